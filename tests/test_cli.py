"""`wsis`: quick help, one-line errors, exit codes."""

import importlib
import inspect
import subprocess
import sys
import time
from pathlib import Path

import pytest

from wsisbook import cli
from wsislib.cli import DONE, WRONG_USE

ROOT = Path(__file__).resolve().parents[1]


def wsis(*words: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "wsisbook.cli", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60)


def test_help_lists_every_command_without_loading_torch() -> None:
    probe = (
        "import sys; from wsisbook.cli import main; main(['--help']); "
        "assert 'torch' not in sys.modules and 'pandas' not in sys.modules"
    )
    started = time.process_time()
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(f"  {name}" in done.stdout for name in cli.COMMANDS)
    assert time.process_time() - started < 1.0


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_exists_and_explains_itself(name: str) -> None:
    module_name, function_name, what = cli.COMMANDS[name]
    function = getattr(importlib.import_module(module_name), function_name)
    assert inspect.getdoc(function) and what
    with pytest.raises(SystemExit) as stop:
        cli.main([*name.split(), "--help"])
    assert stop.value.code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("rnu",), "wsis: error: unknown command 'rnu'; did you mean 'run'?"),
        (("data",), "wsis: error: `wsis data` wants one more word: data check or data make"),
        (("run", "no-table", "row"), "wsis: error: study.yml: no table 'no-table'"),
        (
            ("run", "masks-are-worth", "agnostic-b"),
            "wsis: error: table 'masks-are-worth' has no row 'agnostic-b'; did you mean",
        ),
        (
            ("status", "--scale", "labs"),
            "wsis: error: study.yml: no scale 'labs'; did you mean 'lab'?",
        ),
        (("reproduce", "-j", "0", "--yes"), "wsis: error: --jobs is 0; it must be 1 or more"),
    ],
)
def test_an_error_is_one_line(
    words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture
) -> None:
    assert cli.main(words) == WRONG_USE
    error = capsys.readouterr().err
    assert error.startswith(message) and error.count("\n") == 1


def test_an_unknown_option_names_it() -> None:
    done = wsis("run", "masks-are-worth", "agnostic-a", "--sed", "1")
    assert done.returncode == 2
    assert "--sed" in done.stderr and "Traceback" not in done.stderr


def test_debug_shows_the_whole_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WSIS_DEBUG", "1")
    with pytest.raises(ValueError, match="no table"):
        cli.main(["run", "no-table", "row"])


def test_without_words_the_help_is_shown(capsys: pytest.CaptureFixture) -> None:
    assert cli.main([]) == WRONG_USE
    assert "usage: wsis COMMAND" in capsys.readouterr().out
    assert cli.main(["--version"]) == DONE


def test_the_committed_study_has_a_status(capsys: pytest.CaptureFixture) -> None:
    assert cli.main(["status", "--scale", "paper"]) == DONE
    assert "maskx-end-to-end/oracle/seed-0" in capsys.readouterr().out


def test_the_library_says_its_public_names() -> None:
    import wsislib

    for name in wsislib.__all__:
        assert getattr(wsislib, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'fitt'"):
        wsislib.fitt  # noqa: B018
