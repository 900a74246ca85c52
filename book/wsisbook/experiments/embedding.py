"""Fixed vectors of categories, for weight transfer from an embedding.

Word vectors of categories, from a text file as GloVe's are: a word and its numbers a line.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

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


def word_vectors(file: Path, names: Sequence[str]) -> Tensor:
    """The vector of each category's name.

    A name of several words that has no line of its own ("traffic light") gets the mean of its
    words' vectors. Case does not count.

    Args:
        file: UTF-8 text; each line a word (a name of several words joined by "_") and D numbers,
            separated by spaces. Lines of other words are passed over, so a file may be large.
        names: of the categories.

    Returns:
        (C, D) float32.

    Raises:
        ValueError: categories without a vector, by name; lines of different lengths, or no
            numbers.
    """
    wanted = {word for name in names for word in (_joined(name), *_words(name))}
    found = _read(file, wanted)
    rows, missing = [], []
    for name in names:
        parts = [_joined(name)] if _joined(name) in found else _words(name)
        if all(part in found for part in parts) and parts:
            rows.append(torch.stack([found[part] for part in parts]).mean(0))
        else:
            missing.append(name)
    if missing:
        shown = ", ".join(repr(name) for name in missing[:5])
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        raise ValueError(
            f"{file.name}: no vector for {len(missing)} of {len(names)} categories ({shown}{more})."
            " Add a line for each: its name, with '_' between words, and its numbers."
        )
    return torch.stack(rows)


def _read(file: Path, wanted: set[str]) -> dict[str, Tensor]:
    """Word -> (D,) of the words that are wanted; the first line of a word counts."""
    found: dict[str, Tensor] = {}
    width = 0
    with open(file, encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            word, *values = line.rstrip().split(" ")
            word = word.lower()
            if word not in wanted or word in found:
                continue
            vector = _numbers(values, f"{file.name}: line {number} ({word!r})")
            width = width or len(vector)
            if len(vector) != width:
                raise ValueError(
                    f"{file.name}: line {number} ({word!r}) holds {len(vector)} numbers, lines "
                    f"before it {width}; all must hold as many"
                )
            found[word] = vector
    return found


def _numbers(values: Iterable[str], where: str) -> Tensor:
    try:
        vector = torch.tensor([float(value) for value in values])
    except ValueError:
        raise ValueError(f"{where} holds something that is no number; mend or remove it") from None
    if len(vector) == 0 or not bool(torch.isfinite(vector).all()):
        raise ValueError(f"{where} holds no numbers, NaN or infinity; mend or remove it")
    return vector


def _joined(name: str) -> str:
    return "_".join(_words(name))


def _words(name: str) -> list[str]:
    return name.lower().replace("_", " ").replace("-", " ").split()
