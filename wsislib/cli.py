"""`wsis`: a thin door to the library.

Each command is a typed function in `wsislib.commands`; tyro makes its options. A command's
module is imported only when it is asked for, so that `wsis --help` answers at once.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

from wsislib.strict import near

# Command -> (module, function, what it does).
COMMANDS: dict[str, tuple[str, str, str]] = {
    "data check": ("wsislib.commands.data", "check", "report every problem of a data set at once"),
    "data make": ("wsislib.commands.data", "make", "draw scenes of the world as a COCO folder"),
    "train": ("wsislib.photos.commands", "train", "train a model on your own photographs"),
    "evaluate": ("wsislib.photos.commands", "evaluate", "COCO's twelve numbers of a model"),
    "predict": ("wsislib.photos.commands", "predict", "overlay pictures and COCO results"),
    "teach": ("wsislib.commands.teach", "teach", "a teacher's candidate masks for weak labels"),
    "export": ("wsislib.commands.export", "export", "masks for weak labels as a COCO file"),
    "run": ("wsisbook.commands.study", "run", "do one run: a row of a table, one seed"),
    "reproduce": ("wsisbook.commands.study", "reproduce", "do all unfinished runs of some tables"),
    "plan": ("wsisbook.commands.plan", "plan", "what runs would cost: files, hours, disk"),
    "dry-run": ("wsisbook.commands.plan", "dry_run", "try a row for one step on made-up images"),
    "status": ("wsisbook.commands.study", "status", "which runs are done, stale, missing, failed"),
    "tables": ("wsisbook.commands.study", "tables", "write and show the tables of finished runs"),
    "notebooks": ("wsisbook.commands.book", "notebooks", "execute the book's notebooks"),
    "pages": ("wsisbook.commands.book", "pages", "generate the book's claims and status pages"),
    "teacher train": ("wsisbook.commands.teacher", "train", "train the weights of the package"),
    "teacher install": ("wsisbook.commands.teacher", "install", "put them into the package"),
    "teacher measure": ("wsisbook.commands.teacher", "measure", "IoU of a teacher's candidates"),
    "devices": ("wsisbook.commands.study", "devices", "which devices this machine has"),
}

DONE, FAILED, WRONG_USE, BUSY, INTERRUPTED = 0, 1, 2, 75, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that `arguments` (the process's own if None) name; the exit code.

    Exit codes: 0 done; 1 something that was asked for failed; 2 wrong use or an error with one
    clear message; 75 another process is doing the run; 130 interrupted.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help", "help"):
        print(help_text())
        return DONE if words else WRONG_USE
    if words[0] == "--version":
        from wsislib import __version__

        print(f"wsis {__version__}")
        return DONE
    try:
        name, rest = _command(words)
        return _call(name, rest)
    except KeyboardInterrupt as stop:
        print(f"wsis: {str(stop) or 'interrupted'}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has left, as in `wsis status | head`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except (ValueError, OSError, RuntimeError) as error:
        # A RuntimeError that is not ours is a bug: show it whole.
        ours = not isinstance(error, RuntimeError) or type(error).__module__.startswith(("wsislib", "wsisbook"))
        if os.environ.get("WSIS_DEBUG") or not ours:
            raise
        print(f"wsis: error: {_one_line(error)}", file=sys.stderr)
        return _exit_code(error)


def help_text() -> str:
    """The list of commands."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {what}" for name, (_, _, what) in COMMANDS.items()]
    return "\n".join(
        ["usage: wsis COMMAND [OPTIONS]", "", *lines, "", "wsis COMMAND --help shows its options"]
    )


def _command(words: Sequence[str]) -> tuple[str, list[str]]:
    """Command name and the words after it."""
    for length in (2, 1):
        name = " ".join(words[:length])
        if name in COMMANDS:
            return name, list(words[length:])
    inner = [name for name in COMMANDS if name.startswith(f"{words[0]} ")]
    if inner:
        raise ValueError(f"`wsis {words[0]}` wants one more word: " + " or ".join(inner))
    raise ValueError(f"unknown command {words[0]!r}{near(words[0], COMMANDS)}")


def _call(name: str, rest: list[str]) -> int:
    import tyro

    module_name, function_name, what = COMMANDS[name]
    try:
        function = getattr(importlib.import_module(module_name), function_name)
    except ModuleNotFoundError as error:
        raise ValueError(
            f"`wsis {name}` needs the package {error.name!r}, which is not installed; "
            "`make setup` installs everything"
        ) from error
    result = tyro.cli(function, prog=f"wsis {name}", args=rest, config=(tyro.conf.OmitArgPrefixes,))
    return result if isinstance(result, int) else DONE


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error) or type(error).__name__


def _exit_code(error: Exception) -> int:
    from wsisbook.runs.store import RunBusyError

    if isinstance(error, RunBusyError):
        return BUSY
    return FAILED if isinstance(error, RuntimeError) else WRONG_USE


if __name__ == "__main__":
    sys.exit(main())
