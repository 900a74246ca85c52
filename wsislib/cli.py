"""`wsis`: the command line of the library.

Each command is a typed function; tyro makes its options. A command's module is imported only when
it is asked for, so that `wsis --help` answers at once. The study book adds its own commands in
`wsisbook.cli`, which calls `main` with a longer list.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping, Sequence

from wsislib.strict import did_you_mean

# Command -> (module, function, what it does).
Commands = Mapping[str, tuple[str, str, str]]

COMMANDS: Commands = {
    "data check": ("wsislib.commands.data", "check", "report every problem of a data set at once"),
    "data make": ("wsislib.commands.data", "make", "draw scenes of the world as a COCO folder"),
    "data voc2coco": ("wsislib.commands.data", "voc2coco", "a VOC folder as a small COCO folder"),
    "data convert": ("wsislib.commands.formats", "convert", "labels of another tool, and for one"),
    "data split": ("wsislib.commands.formats", "split", "train and val from one COCO file"),
    "data tile": ("wsislib.commands.tile", "tile", "cut large photographs and labels into tiles"),
    "data turn": ("wsislib.commands.turn", "turn", "make labels or photographs upright"),
    "train": ("wsislib.photos.commands", "train", "train a model on your own photographs"),
    "evaluate": ("wsislib.photos.commands", "evaluate", "COCO's twelve numbers of a model"),
    "predict": ("wsislib.photos.commands", "predict", "overlay pictures and COCO results"),
    "label": (
        "wsislib.commands.label",
        "label_folder",
        "label images, correct a model",
    ),
    "teach": ("wsislib.commands.teach", "teach", "a teacher's candidate masks for weak labels"),
    "export": ("wsislib.commands.export", "export", "masks for weak labels as a COCO file"),
}

FOLLOW_LINKS = "--follow-links"  # of every command that reads images

DONE, FAILED, WRONG_USE, BUSY, INTERRUPTED = 0, 1, 2, 75, 130


def main(arguments: Sequence[str] | None = None, commands: Commands = COMMANDS) -> int:
    """Run the command that `arguments` (the process's own if None) name; the exit code.

    Exit codes: 0 done; 1 something that was asked for failed; 2 wrong use or an error with one
    clear message; 75 another process is doing the run; 130 interrupted.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help", "help"):
        print(help_text(commands))
        return DONE if words else WRONG_USE
    if words[0] == "--version":
        from wsislib import __version__

        print(f"wsis {__version__}")
        return DONE
    before = os.environ.get("WSIS_FOLLOW_LINKS")
    if FOLLOW_LINKS in words:
        words.remove(FOLLOW_LINKS)
        os.environ["WSIS_FOLLOW_LINKS"] = "1"  # the processes that this one starts follow them too
    try:
        name, rest = _command(words, commands)
        return _call(name, rest, commands)
    except KeyboardInterrupt as stop:
        print(f"wsis: {str(stop) or 'interrupted'}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has left, as in `wsis status | head`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except (ValueError, OSError, RuntimeError) as error:
        # A RuntimeError that is not ours is a bug: show it whole.
        ours = {"wsislib"} | {module.partition(".")[0] for module, _, _ in commands.values()}
        bug = isinstance(error, RuntimeError) and type(error).__module__.split(".")[0] not in ours
        if os.environ.get("WSIS_DEBUG") or bug:
            raise
        print(f"wsis: error: {_one_line(error)}", file=sys.stderr)
        usual = FAILED if isinstance(error, RuntimeError) else WRONG_USE
        return getattr(error, "exit_code", usual)  # an error class may have its own
    finally:
        if before is None:
            os.environ.pop("WSIS_FOLLOW_LINKS", None)
        else:
            os.environ["WSIS_FOLLOW_LINKS"] = before


def help_text(commands: Commands) -> str:
    """The commands, one a line."""
    width = max(map(len, commands))
    lines = [f"  {name:<{width}}  {what}" for name, (_, _, what) in commands.items()]
    return "\n".join(
        [
            *("usage: wsis COMMAND [OPTIONS]", "", *lines, ""),
            "wsis COMMAND --help shows its options. Where a command reads images from a folder",
            f"with links to elsewhere, {FOLLOW_LINKS} says that these are meant.",
        ]
    )


def _command(words: Sequence[str], commands: Commands) -> tuple[str, list[str]]:
    """Command name and the words after it."""
    for length in (2, 1):
        name = " ".join(words[:length])
        if name in commands:
            return name, list(words[length:])
    inner = [name for name in commands if name.startswith(f"{words[0]} ")]
    if inner:
        raise ValueError(f"`wsis {words[0]}` wants one more word: " + " or ".join(inner))
    raise ValueError(f"unknown command {words[0]!r}{did_you_mean(words[0], commands)}")


def _call(name: str, rest: list[str], commands: Commands) -> int:
    import tyro

    module_name, function_name, what = commands[name]
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


if __name__ == "__main__":
    sys.exit(main())
