"""Fixed vectors of categories, for weight transfer from an embedding."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from wsisbook.experiments.partial_data import data_file, world_spec
from wsisbook.experiments.settings import EmbeddingConfig
from wsislib.data.sample import Dataset
from wsislib.data.world import World


def embedding_of(config: EmbeddingConfig, train: Dataset) -> Tensor:
    """(C, D): the world's embedding of its categories, or word vectors of their names."""
    if config.embedding_file:
        names = [category.name for category in train.categories]
        return word_vectors(data_file(config.embedding_file), names)
    if config.data != "world":
        raise ValueError(
            "the input is 'embedding', but photographs have no embedding of their own; name a "
            "file of word vectors as `embedding_file`"
        )
    return torch.from_numpy(World(world_spec(config)).embedding(config.embedding_width))


def word_vectors(file: Path, names: Sequence[str]) -> Tensor:
    """(C, D) float32: the vector of each category's name, from a text file as GloVe's are.

    A name of several words that has no line of its own ("traffic light") gets the mean of its
    words' vectors. Case does not count.

    Args:
        file: UTF-8; each line a word (a name of several words joined by "_") and D numbers,
            separated by spaces. Lines of other words are skipped, so a file may be large.
        names: of the categories.

    Raises:
        ValueError: categories without a vector, by name; lines of different lengths, or no
            numbers.
    """
    words = {name: name.lower().replace("_", " ").replace("-", " ").split() for name in names}
    vectors = _read(file, {word for parts in words.values() for word in ("_".join(parts), *parts)})
    rows, missing = [], []
    for name, parts in words.items():
        line = "_".join(parts)
        parts = [line] if line in vectors else parts
        if all(part in vectors for part in parts) and parts:
            rows.append(torch.stack([vectors[part] for part in parts]).mean(0))
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


def _read(file: Path, needed: set[str]) -> dict[str, Tensor]:
    """Word -> (D,); of a word that has several lines the first one counts."""
    vectors: dict[str, Tensor] = {}
    width = 0
    with open(file, encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            word, *values = line.rstrip().split(" ")
            word = word.lower()
            if word not in needed or word in vectors:
                continue
            where = f"{file.name}: line {number} ({word!r})"
            vector = _numbers(values, where)
            width = width or len(vector)
            if len(vector) != width:
                raise ValueError(
                    f"{where} holds {len(vector)} numbers, lines before it {width}; all must hold "
                    "as many"
                )
            vectors[word] = vector
    return vectors


def _numbers(values: Sequence[str], where: str) -> Tensor:
    try:
        vector = torch.tensor([float(value) for value in values])
    except ValueError:
        raise ValueError(f"{where} holds something that is no number; mend or remove it") from None
    if len(vector) == 0 or not bool(torch.isfinite(vector).all()):
        raise ValueError(f"{where} holds no numbers, NaN or infinity; mend or remove it")
    return vector
