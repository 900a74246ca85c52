"""What golden runs report: numbers, and digests of what must be equal to the last digit."""

import hashlib
import json

Numbers = dict[str, float | str]


def exact(obj: object) -> str:
    """A digest, which must be equal to the last digit.

    For integers, booleans, names, and numbers that no processor rounds (halves of pixels, corners
    of masks). What a sine, a sum or a product of matrices gave goes in as a number.
    """
    return hashlib.sha256(json.dumps(obj, sort_keys=True).encode()).hexdigest()[:16]
