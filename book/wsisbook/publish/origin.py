"""Where a notebook's own numbers and pictures come from: the table at the end of every page."""

from __future__ import annotations

import html
import time
from typing import Any

import pandas as pd
from pandas.io.formats.style import Styler

from wsisbook.runs.environment import code_version, library_versions, machine_text
from wsisbook.runs.spec import load_study
from wsisbook.runs.stopwatch import duration
from wsisbook.runs.store import now

# A notebook imports this module in its first cell, so that its clock is the notebook's.
_OPENED = time.monotonic()


def notebook_provenance(**facts: Any) -> Styler:
    """This execution of a notebook as a table: code, time, machine, device, versions.

    Args:
        facts: what else decides the page's numbers, such as `scale` and `seed`; shown first.
    """
    from wsislib.engine.device import describe_device, pick_device

    study = load_study()
    code = code_version(study.root, study.files)
    commit = str(code["commit"] or "not in a git repository")[:10]
    shown = {
        **facts,
        "commit": commit + (" + changes" if code["dirty"] else ""),
        "executed": now(),
        "time from first import": duration(time.monotonic() - _OPENED),
        "device": describe_device(pick_device("auto")),
        "machine": machine_text(),
        "versions": ", ".join(f"{name} {version}" for name, version in library_versions().items()),
    }
    rows = {html.escape(str(k)): html.escape(str(value)) for k, value in shown.items()}
    frame = pd.DataFrame({"this page": pd.Series(rows, dtype=object)})
    look = frame.style.set_table_attributes('class="dataframe provenance"')
    return look.set_uuid("notebook-provenance")
