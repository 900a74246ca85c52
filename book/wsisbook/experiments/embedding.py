"""Fixed vectors of categories, for weight transfer from an embedding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wsisbook.experiments.partial_data import PartialDataConfig, data_file

if TYPE_CHECKING:
    from torch import Tensor

    from wsislib.data.sample import Dataset


@dataclass(frozen=True)
class EmbeddingConfig(PartialDataConfig):
    """Which embedding the input "embedding" of weight transfer means.

    Attributes:
        embedding_file: word vectors relative to the data folder; in the world it may be empty.
        embedding_width: of the world's own embedding, which encodes a category's factors and so
            plays the part that word vectors play for photographs.
    """

    embedding_file: str = ""
    embedding_width: int = 64


def embedding_of(config: EmbeddingConfig, train: Dataset) -> Tensor:
    """(C, D): the world's embedding of its categories, or word vectors of their names.

    Raises:
        ValueError: the file lacks categories, or there is none and the data are no world.
    """
    import torch

    from wsisbook.experiments.word_vectors import word_vectors

    if config.embedding_file:
        names = [category.name for category in train.categories]
        return word_vectors(data_file(config.embedding_file), names)
    if config.data != "world":
        raise ValueError(
            "the input is 'embedding', but photographs have no embedding of their own; name a "
            "file of word vectors as `embedding_file`"
        )
    from wsislib.data.world import World, WorldSpec

    world = World(WorldSpec(config.categories, config.image_size, config.world_seed))
    return torch.from_numpy(world.embedding(config.embedding_width))


def embedding_files(config: EmbeddingConfig) -> tuple[str, ...]:
    """The files that `embedding_of` reads, relative to the data folder."""
    return (config.embedding_file,) if config.embedding_file else ()
