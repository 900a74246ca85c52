"""A training run in a process of its own, which can be told to die: what the tests kill.

python tiny_run.py FOLDER '{"steps": 12, ...}' [--die-at-step N | --die-between-files N]
Under torchrun it is one of several processes.
"""

import argparse
import json
import os
import signal
from pathlib import Path

import torch
from conftest import TinyDataset, tiny_model

from wsislib.data.sample import Sample
from wsislib.engine import weights
from wsislib.engine.config import TrainConfig
from wsislib.engine.train import fit


class Deadly(TinyDataset):
    """Kills this process when the image of the given position is asked for."""

    def __init__(self, position: int) -> None:
        super().__init__()
        self.left = position

    def __getitem__(self, index: int) -> Sample:
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self.left -= 1
        return super().__getitem__(index)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("config", type=json.loads)
    parser.add_argument("--die-after-images", type=int, default=-1)
    parser.add_argument("--die-before-sidecar", type=int, default=-1)
    parser.add_argument("--model", type=json.loads, default={})
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    write_json = weights.write_json

    def deadly_write(path: Path, obj: object) -> None:
        if path.name == f"step-{arguments.die_before_sidecar}.json":
            os.kill(os.getpid(), signal.SIGKILL)
        write_json(path, obj)

    weights.write_json = deadly_write
    config = TrainConfig.from_dict(arguments.config)
    data = Deadly(arguments.die_after_images)
    model = tiny_model(**arguments.model)
    fit(model, data, config, arguments.folder, device="cpu", progress=False)
    rank = os.environ.get("RANK", "0")
    torch.save(model.state_dict(), arguments.folder / f"weights-{rank}.pt")


if __name__ == "__main__":
    main()
