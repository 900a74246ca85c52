"""Record the golden numbers of parts whose version was raised: `python -m tests.golden.update`.

Refuses to record moved numbers under a version that was not raised.
"""

import sys
from functools import partial

from tests.golden.compare import FOLDER, advice, moved, recorded, version_of
from tests.golden.measure import MEASURES
from tests.golden.tolerances import tolerance_of
from wsislib.atomic import write_json


def main() -> int:
    """Update what may be updated; 1 if a part's numbers moved under an old version."""
    code = 0
    for part, measure in MEASURES.items():
        now, before, version = measure(), recorded(part), version_of(part)
        if before is not None and before["version"] == version:
            kept = {name: now[name] for name in before["numbers"] if name in now}
            changes = moved(before["numbers"], kept, partial(tolerance_of, part))
            if changes:
                print(advice(part, changes), file=sys.stderr)
                code = 1
                continue
            if set(now) == set(before["numbers"]):
                print(f"{part}: version {version}, as recorded")
                continue
        record = {"version": version, "numbers": now}
        write_json(FOLDER / f"{part}.json", record)
        print(f"{part}: version {version}, {len(now)} numbers recorded")
    return code


if __name__ == "__main__":
    sys.exit(main())
