"""What all tests share: an imitated other processor, and a count of what was skipped."""

from collections import Counter
from collections.abc import Generator, Iterator

import pytest
import torch


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--other-rounding", type=int, metavar="SEED",
        help="round as another processor might (tests/other_rounding.py)",
    )  # fmt: skip


@pytest.fixture(autouse=True)
def same_draws() -> None:
    """What a test draws from the global generator does not depend on the tests before it.

    Otherwise a decision that is far from a tie in one order of the tests is near one in another.
    """
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def other_rounding(request: pytest.FixtureRequest) -> Iterator[None]:
    seed = request.config.getoption("--other-rounding")
    if seed is None:
        yield
        return
    from tests.other_rounding import OtherRounding

    with OtherRounding(seed):
        yield


# The outermost wrapper, as pytest's own list of skips is printed by a wrapper too: so the line
# stands right above pytest's closing line, which stays the last.
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter,
) -> Generator[None, None, None]:
    yield
    reports = terminalreporter.stats.get("skipped", [])
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in reports)
    if reasons:
        counted = "; ".join(f"{count} {reason}" for reason, count in reasons.most_common())
        terminalreporter.write_line(f"{len(reports)} skipped: {counted}")
