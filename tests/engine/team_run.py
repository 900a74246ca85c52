"""What each process of a group does in the test: torchrun ... team_run.py FOLDER CONFIG."""

import json
import sys
from pathlib import Path

import torch
from conftest import TinyDataset, tiny_model

from wsislib.data.sample import Sample
from wsislib.engine.batches import batches
from wsislib.engine.config import TrainConfig
from wsislib.engine.distributed import join_process_group
from wsislib.engine.errors import NonFiniteLoss
from wsislib.engine.train import fit

CPU = torch.device("cpu")


def main() -> None:
    folder, config = Path(sys.argv[1]), TrainConfig.from_dict(json.loads(sys.argv[2]))
    torch.set_num_threads(1)
    said = {}

    group = join_process_group(CPU)
    model = tiny_model(norm=False, dropout=0.0)
    batch = next(batches(TinyDataset(), config, rank=group.rank, world=group.world))
    losses = group.wrap(model)
    sum(losses(batch).values()).backward()
    said["gradients"] = {name: p.grad for name, p in model.named_parameters()}
    said["image_ids"] = [sample.image_id for sample in batch]

    model = tiny_model(norm=False, dropout=0.0)
    result = fit(model, TinyDataset(), config, folder / "run", device="cpu", progress=False)
    said["history"] = result.history
    said["weights"] = model.state_dict()

    def spoil(sample: Sample, generator: torch.Generator) -> Sample:
        first = sample.image_id == TinyDataset().image_ids[0]
        return Sample(sample.image * (float("nan") if first else 1), sample.image_id, sample.label)

    try:
        fit(
            tiny_model(norm=False, dropout=0.0), TinyDataset(), config, folder / "bad",
            device="cpu", progress=False, augment=spoil,
        )  # fmt: skip
    except NonFiniteLoss as error:
        said["error"] = (error.step, error.image_ids)
    torch.save(said, folder / f"rank-{group.rank}.pt")


if __name__ == "__main__":
    main()
