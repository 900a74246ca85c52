"""A few hundred damaged COCO files; `python -m tests.fuzz_coco 10000` tries more."""

from tests import fuzz_coco


def test_damaged_files_are_read_or_refused_with_a_message() -> None:
    outcome = fuzz_coco.run(300)
    assert outcome["files"] == 300 and min(outcome.values()) > 20  # both kinds are tried
