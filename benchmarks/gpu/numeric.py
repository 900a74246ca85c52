"""The tests of tests/gpu on a device, as one line of JSON: how many passed, and what failed."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TESTS = ("tests/gpu/test_cuda_parts.py", "tests/gpu/test_cuda_models.py")


class Tally:
    """Counts outcomes and keeps the last line of each failure."""

    def __init__(self) -> None:
        self.passed, self.skipped = 0, 0
        self.failures: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failures[report.nodeid] = str(report.longrepr).strip().splitlines()[-1][:300]
        self.passed += report.passed and report.when == "call"
        self.skipped += report.skipped


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--select", default="", help="as pytest's -k")
    said = parser.parse_args()
    os.environ["WSIS_TEST_DEVICE"] = said.device
    tally = Tally()
    # Warnings of another release of torch or of the driver are no failures here.
    options = ["-q", "-W", "default", "-p", "no:cacheprovider", "-k", said.select]
    code = pytest.main([*options, *(str(ROOT / test) for test in TESTS)], plugins=[tally])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        return int(code)
    failures = tally.failures
    row = {"passed": tally.passed, "failed": len(failures), "skipped": tally.skipped}
    print(json.dumps({**row, "failures": failures}))
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
