"""One process per run folder, and no first step where results cannot be kept."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from wsislib.engine.config import TrainConfig
from wsislib.engine.errors import RunBusy
from wsislib.engine.runfolder import run_folder
from wsislib.engine.train import fit

CONFIG = TrainConfig(steps=2, batch_size=2, precision="float32")
HOLDER = """
import sys
from filelock import FileLock
with FileLock(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_second_process_gets_a_clear_error_at_once(tmp_path: Path, tiny: SimpleNamespace) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "run.lock")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RunBusy, match=r"another process is training.*folder of its own"):
            fit(tiny.model(), tiny.dataset(), CONFIG, tmp_path, device="cpu", progress=False)
        assert {path.name for path in tmp_path.iterdir()} == {"run.lock"}
        holder.kill()  # a lock ends with its process
    fit(tiny.model(), tiny.dataset(), CONFIG, tmp_path, device="cpu", progress=False)


def test_lock_is_released_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError), run_folder(tmp_path):
        raise KeyError
    with run_folder(tmp_path):
        pass


def test_leftovers_of_a_killed_process_are_removed(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    leftovers = [tmp_path / ".history.csv.1-ab.tmp", tmp_path / "checkpoints" / ".x.2-cd.tmp"]
    for path in leftovers:
        path.touch()
    with run_folder(tmp_path):
        assert not any(path.exists() for path in leftovers)


def test_read_only_folder_stops_before_the_first_step(
    tmp_path: Path, tiny: SimpleNamespace
) -> None:
    def never(sample, generator):  # type: ignore[no-untyped-def]
        raise AssertionError("training began")

    folder = tmp_path / "results"
    folder.mkdir()
    folder.chmod(0o555)
    root = os.geteuid() == 0
    if root:  # whom no permission bit stops
        os.seteuid(65534)
    try:
        with pytest.raises(OSError, match=r"could not write.*make the folder writable"):
            fit(
                tiny.model(), tiny.dataset(), CONFIG, folder, device="cpu", progress=False,
                augment=never,
            )  # fmt: skip
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o755)
    assert list(folder.iterdir()) == []
