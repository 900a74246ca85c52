"""`wsis` with the study's commands beside the library's; see `wsislib.cli`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from wsislib import cli

COMMANDS: cli.Commands = {
    **cli.COMMANDS,
    "run": ("wsisbook.commands.study", "run", "do one run: a row of a table, one seed"),
    "reproduce": ("wsisbook.commands.study", "reproduce", "do all unfinished runs of some tables"),
    "plan": ("wsisbook.commands.study", "plan", "what runs would cost: files, hours, disk"),
    "dry-run": ("wsisbook.commands.study", "dry_run", "try a row for one step on made-up images"),
    "status": ("wsisbook.commands.study", "status", "which runs are done, stale, missing, failed"),
    "tables": ("wsisbook.commands.study", "tables", "write and show the tables of finished runs"),
    "notebooks": ("wsisbook.commands.book", "notebooks", "execute the book's notebooks"),
    "pages": ("wsisbook.commands.book", "pages", "generate the book's claims and status pages"),
    "truth": ("wsisbook.commands.book", "truth", "ground truth of the photographs in figures"),
    "teacher train": (
        "wsisbook.commands.teacher",
        "train_weights",
        "train the weights of the package",
    ),
    "teacher install": ("wsisbook.commands.teacher", "install", "put them into the package"),
    "teacher measure": ("wsisbook.commands.teacher", "measure", "IoU of a teacher's candidates"),
    "devices": ("wsisbook.commands.study", "devices", "which devices this machine has"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that `arguments` (the process's own if None) name; the exit code."""
    return cli.main(arguments, COMMANDS)


if __name__ == "__main__":
    sys.exit(main())
