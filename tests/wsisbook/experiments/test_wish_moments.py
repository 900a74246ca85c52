"""A watched WISH: the same training, the same moments after a kill, and files that read back."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.numeric import close
from wsisbook.experiments import watched_wish
from wsisbook.experiments.partial_data import data_sets
from wsisbook.experiments.watched_wish import (
    Snapshot,
    _best,
    _packed,
    _unpacked,
    load_student,
    look,
    read_moments,
)
from wsisbook.experiments.wish import build_wish_model
from wsisbook.experiments.wish_insight import cam_quality
from wsisbook.experiments.wish_settings import (
    WATCHED_WISH,
    WISH_EXPERIMENT,
    WatchedWishConfig,
    WishConfig,
)
from wsisbook.runs import paths
from wsisbook.runs.config import as_settings, config_from, differences
from wsisbook.runs.experiments import Context, Experiment
from wsisbook.runs.run import execute
from wsisbook.runs.spec import load_study
from wsislib.atomic import read_json
from wsislib.data.sample import Detections, Label, LabelKind
from wsislib.engine.errors import Interrupted
from wsislib.engine.weights import load_weights
from wsislib.models.sam import sam_weights
from wsislib.models.sam.sam import Teacher
from wsislib.models.sam.tiny_sam import tiny_sam

SMOKE = {
    "categories": 4, "image_size": 64, "train_count": 8, "val_count": 3, "steps": 4,
    "batch_size": 4, "optimiser": "adamw", "learning_rate": 0.0005, "precision": "float32",
    "log_every": 1, "cam_warmup": 0, "self_start": 1, "checkpoint_every": 2,
    "labels": "3 tags + 2 points + 2 boxes + 1 masks",
}  # fmt: skip
WATCHED = {**SMOKE, "moments": [1, 3], "keep_student": True}
STUDY = """
experiments:
  watched_wish: wsisbook.experiments.wish_settings:WATCHED_WISH
scales:
  smoke: {seeds: [0]}
tables:
  wish-moments:
    title: Moments
    experiment: watched_wish
    columns: {AP: {metric: moments.last.segm.AP, title: AP}}
    scales: {smoke: SETTINGS}
    rows:
      everything: {title: everything}
"""


@pytest.fixture(autouse=True, scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A repository of our own, and a SAM with random weights in place of the package's."""
    folder = tmp_path_factory.mktemp("moments")
    (folder / "book").mkdir()
    text = STUDY.replace("SETTINGS", str(WATCHED).replace("True", "true"))
    (folder / "book" / "study.yml").write_text(text, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sam_weights, "load_sam", random_sam)
        patch.delenv("WSIS_RESULTS", raising=False)
        patch.chdir(folder)
        assert paths.repository_root() == folder
        yield folder


def random_sam(which: str) -> Teacher:
    assert which == "tiny"
    return Teacher(tiny_sam(0, 8, 48, (4, 4, 4, 4)), "random", "f" * 64)


@pytest.fixture(scope="module")
def whole(root: Path):
    """A watched run that nothing disturbed."""
    return run(WATCHED_WISH, root / "whole", WATCHED)


def run(kind: Experiment, folder: Path, settings: dict, on_model=lambda model: None):
    config = config_from(kind.config, settings, "row")
    return kind.run(Context(config, 1, folder, "cpu", {}, False, on_model))


def test_watching_changes_no_weight_and_adds_to_what_is_published(tmp_path: Path, whole) -> None:
    plain, watched = run(WISH_EXPERIMENT, tmp_path, SMOKE), whole
    weights = [one.weights["final.safetensors"].read_bytes() for one in (plain, watched)]
    assert weights[0] == weights[1]
    assert set(watched.metrics) - set(plain.metrics) == {"moments"}
    same = {name: watched.metrics[name] for name in plain.metrics}
    assert repr(same) == repr(dict(plain.metrics)), "NaN is not equal to itself"
    moments = watched.metrics["moments"]
    assert list(moments) == ["1", "3", "4", "last"] and moments["last"] == moments["4"]
    assert moments["4"]["segm"]["AP"] == pytest.approx(plain.metrics["segm"]["all"]["AP"])
    assert set(moments["1"]["cam"]) == {"hits", "found", "points", "objects"}
    assert set(watched.files) == {"history.csv", "moments.safetensors", "student.safetensors"}
    seen = read_moments(watched.files["moments.safetensors"])
    assert list(seen) == [1, 3, 4] and list(seen[1]) == [1, 2, 3]
    assert seen[1][2].maps.shape == (4, 8, 8)
    assert not torch.equal(seen[1][2].maps, seen[3][2].maps)


@pytest.mark.parametrize("at", [1, 3])
def test_a_killed_run_publishes_the_same_moments(tmp_path, whole, at: int, monkeypatch) -> None:
    judge, calls = watched_wish.judge, []

    def dying(model, val):
        calls.append(1)
        if len(calls) == (1 if at == 1 else 2):
            raise KeyboardInterrupt
        return judge(model, val)

    monkeypatch.setattr(watched_wish, "judge", dying)
    with pytest.raises((KeyboardInterrupt, Interrupted)):
        run(WATCHED_WISH, tmp_path / "parts", WATCHED)
    again = run(WATCHED_WISH, tmp_path / "parts", WATCHED)
    for name in ("moments.safetensors", "student.safetensors"):
        assert again.files[name].read_bytes() == whole.files[name].read_bytes()
    assert repr(again.metrics) == repr(whole.metrics)


def test_a_look_says_what_cam_quality_counts_and_predict_finds() -> None:
    config = config_from(WishConfig, SMOKE, "row")
    model = build_wish_model(config, 4, sam_weights.load_sam("tiny"), 0)
    torch.nn.init.constant_(model.cam_head.classify.weight, 0.05)  # so that every map has a peak
    scene = data_sets(config)[1][1]
    seen = look(model, scene)
    counted = cam_quality(model, [scene])
    assert len(seen.points) == counted["points"] > 0
    assert set(seen.points.categories.tolist()) <= set(scene.label.categories.tolist())
    (found,) = model.eval().predict([scene.image])
    kept = found.scores[:8] >= 0.1
    assert torch.equal(seen.found.masks, found.masks[:8][kept])


def test_masks_are_packed_without_loss_and_large_ones_made_small() -> None:
    masks = torch.rand(12, 90, 71, generator=torch.Generator().manual_seed(0)) > 0.5
    scores = torch.linspace(0.9, 0.05, 12)
    found = Detections(torch.rand(12, 4), scores, torch.arange(12), masks)
    kept = _best(found)
    assert len(kept) == 8 and torch.equal(kept.masks, masks[:8])
    points = Label(LabelKind.POINT, torch.tensor([300]), points=torch.tensor([[1.5, 2.5]]))
    moment = Snapshot(torch.rand(12, 9, 8).half(), points, kept)
    back = _unpacked(_packed(moment))
    assert torch.equal(back.found.masks, kept.masks) and torch.equal(back.maps, moment.maps)
    assert torch.equal(back.points.categories, points.categories)
    wide = torch.zeros(1, 100, 480, dtype=torch.bool)
    wide[:, :, 240:] = True
    small = _best(Detections(torch.zeros(1, 4), torch.ones(1), torch.zeros(1), wide)).masks
    assert small.shape == (1, 20, 96) and small[:, :, 48:].all() and not small[:, :, :48].any()
    nothing = replace(moment, found=_best(Detections(*(x[:0] for x in _fields(found)))))
    assert _unpacked(_packed(nothing)).found.masks.shape == (0, 90, 71)


def _fields(found: Detections):
    return found.boxes, found.scores, found.categories, found.masks


def test_the_student_is_found_again_and_says_nearly_the_same() -> None:
    with pytest.raises(ValueError, match="has no student.safetensors yet; `wsis run wish-moments"):
        load_student("smoke")
    study = load_study()
    done = execute("wish-moments", "everything", 0, "smoke", study=study, device="cpu",
                   progress=False)  # fmt: skip
    student = load_student("smoke")
    assert not student.training and student.teacher.name == "random"
    config = config_from(WatchedWishConfig, WATCHED, "row")
    full = build_wish_model(config, 4, sam_weights.load_sam("tiny"), 0)
    load_weights(done.folder / "checkpoints" / "final.safetensors", full)
    scene = data_sets(config)[1][0]
    maps = [look(model, scene).maps.float() for model in (student, full)]
    why = "the kept student's weights are stored in half precision"
    close(*maps, why, atol=0.02 * float(maps[1].abs().max()))
    assert int(student.steps) == 4
    assert read_json(done.folder / "metrics.json")["moments"]["last"]
    (done.folder / "student.safetensors").write_bytes(b"other")
    with pytest.raises(ValueError, match="not the file that the run wrote; .* --force"):
        load_student("smoke")


def test_settings_are_those_of_wish_and_two_more() -> None:
    plain = config_from(WishConfig, SMOKE, "row")
    watched = config_from(WatchedWishConfig, SMOKE, "row")
    defaults = as_settings(WatchedWishConfig())
    assert not differences(as_settings(plain), as_settings(watched), defaults)
    assert set(as_settings(watched)) - set(as_settings(plain)) == {"moments", "keep_student"}
    for wrong, text in (
        ({"moments": [0]}, r"moments \[0\] are no steps of a training of 4"),
        ({"moments": [2, 9]}, r"moments \[9\]"),
        ({"method": "mask2former", "labels": "masks"}, "those of method 'wish'"),
    ):
        with pytest.raises(ValueError, match=f"row: .*{text}"):
            config_from(WatchedWishConfig, {**SMOKE, **wrong}, "row")


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"gone.safetensors: no such file"):
        read_moments(tmp_path / "gone.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"x" * 40)
    with pytest.raises(ValueError, match=r"bad.safetensors: holds no moments"):
        read_moments(tmp_path / "bad.safetensors")
