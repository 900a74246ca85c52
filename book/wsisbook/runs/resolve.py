"""From a row of study.yml to everything that defines its run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from wsisbook.runs.config import RunConfig, as_settings, config_from, digest, identity
from wsisbook.runs.declared import RunKey, Study
from wsisbook.runs.experiments import Experiment, experiment
from wsisbook.runs.parts import versions_of


@dataclass(frozen=True)
class Run:
    """One run, resolved."""

    key: RunKey
    experiment_name: str  # as study.yml has it
    experiment: Experiment
    config: RunConfig
    needs: dict[str, RunKey] = field(default_factory=dict)
    parts: dict[str, int] = field(default_factory=dict)  # versions now, those of needs included
    need_hashes: dict[str, str] = field(default_factory=dict)  # by the names of `needs`

    @property
    def settings(self) -> dict[str, Any]:
        """Every setting by name, as JSON holds it."""
        return as_settings(self.config)

    @property
    def default_settings(self) -> dict[str, Any]:
        """What the settings are where study.yml says nothing."""
        return as_settings(self.experiment.config())

    @property
    def params_hash(self) -> str:
        """Hex digest of experiment, settings, seed and the needed runs' parameters."""
        settings = identity(self.settings)
        what = {"experiment": self.experiment_name, "settings": settings, "seed": self.key.seed}
        return digest({**what, "needs": self.need_hashes})

    @property
    def work_hash(self) -> str:
        """Hex digest of all that must stay the same for a half-done training to be continued."""
        return digest({"params": self.params_hash, "parts": self.parts})

    def record(self) -> dict[str, Any]:
        """What params.json holds."""
        needs = {n: {"run": str(k), "hash": self.need_hashes[n]} for n, k in self.needs.items()}
        return {
            **{name: getattr(self.key, name) for name in ("table", "row", "seed", "scale")},
            "experiment": self.experiment_name,
            "hash": self.params_hash,
            "settings": self.settings,
            "needs": needs,
            "parts": self.parts,
        }


def resolve(study: Study, key: RunKey) -> Run:
    """Everything that defines the run `key`; for a row with `view`, the run it shows.

    A ValueError names what study.yml does not have: table, row, scale, experiment or setting.
    """
    key = source_key(study, key)
    table = study.table(key.table)
    row = table.row(key.row)
    study.scale(key.scale)
    table.check_scale(key.scale)
    name = row.experiment or table.experiment
    where = f"{study.file.name}: tables.{table.name}.rows.{row.name}"
    try:
        kind = experiment(name, study.experiments)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
    at_scale = table.scales[key.scale], row.scales.get(key.scale, {})
    settings = {**table.settings, **at_scale[0], **row.change, **at_scale[1]}  # later ones win
    config = config_from(kind.config, settings, f"{where} at scale {key.scale}")
    needs = {
        label: RunKey(key.scale, need.table, need.row, key.seed if need.seed is None else need.seed)
        for label, need in row.needs.items()
    }
    needed = {label: resolve(study, need) for label, need in needs.items()}
    parts = versions_of(kind.parts(config))
    for run in needed.values():
        parts |= run.parts
    hashes = {label: run.params_hash for label, run in needed.items()}
    return Run(key, name, kind, config, needs, parts, hashes)


def source_key(study: Study, key: RunKey) -> RunKey:
    """The run that fills a row: its own, or for a row with `view` the other row's."""
    view = study.table(key.table).row(key.row).view
    return key if view is None else RunKey(key.scale, view.table, view.row, key.seed)


def runs_of_row(study: Study, table: str, row: str, scale: str) -> Iterator[RunKey]:
    """The runs that fill one row, over its seeds."""
    for seed in study.seeds(table, row, scale):
        yield source_key(study, RunKey(scale, table, row, seed))


def keys_of(study: Study, scale: str, tables: Iterable[str] = ()) -> list[RunKey]:
    """The runs that fill `tables` (all that have this scale if empty), each once, in order."""
    study.scale(scale)
    names = list(tables)
    for name in names:
        study.table(name).check_scale(scale)
    names = names or [name for name, table in study.tables.items() if scale in table.scales]
    rows = ((name, row) for name in names for row in study.table(name).rows)
    return list(dict.fromkeys(key for row in rows for key in runs_of_row(study, *row, scale)))


def with_needs(study: Study, keys: Iterable[RunKey]) -> list[RunKey]:
    """`keys` and all that they need, directly or not, each once, what is needed first."""
    ordered: dict[RunKey, None] = {}

    def visit(key: RunKey) -> None:
        if key not in ordered:
            for need in resolve(study, key).needs.values():
                visit(need)
            ordered[key] = None

    for key in keys:
        visit(source_key(study, key))
    return list(ordered)
