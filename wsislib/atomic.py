"""Files that are whole or not there.

A reader, or a process started after a power cut, sees the file as it was before or as it is
after the write, never half of it: the data go to a temporary file in the same directory, are
flushed to the disk, and only then take the name.
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import secrets
from pathlib import Path
from typing import Any

_REMEDIES = {
    errno.ENOSPC: "free some space on that disk",
    errno.EDQUOT: "free some of your quota on that disk",
    errno.EFBIG: "raise the file-size limit (ulimit -f)",
    errno.EROFS: "choose a folder that is not mounted read-only",
    errno.EACCES: "make the folder writable or choose another one",
    errno.EPERM: "make the folder writable or choose another one",
    errno.ENOTDIR: "choose a path whose parents are folders",
    errno.EISDIR: "choose a path that is not a folder",
}


def atomic_write(path: Path, data: bytes | str, flush: bool = True) -> None:
    """Write `data` (text as UTF-8) to `path`, wholly or not at all; makes missing parents.

    With `flush` it waits for the disk. Without, a power cut may leave an empty file; that is for
    many small files that are checked when they are read.

    Raises:
        OSError: names the file, what the system said and the way out. The file keeps what it
            held before, and no temporary file stays behind.
    """
    path = Path(path)
    content = data.encode("utf-8") if isinstance(data, str) else data
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "xb") as file:
            file.write(content)
            if flush:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
        if flush:
            _flush_directory(path.parent)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise _explained(error, path) from error
        raise


def _explained(error: OSError, path: Path) -> OSError:
    """The same kind of error with a message that names `path` and the way out."""
    reason = error.strerror or str(error)
    remedy = _REMEDIES.get(error.errno or 0, "mend the cause")
    message = f"could not write ({reason}): {remedy} and start again; nothing was left half-written"
    return OSError(error.errno, message, str(path))


def write_json(path: Path, obj: Any) -> None:
    """Write `obj` to `path` as indented JSON, atomically; NaN and infinities become null."""
    text = json.dumps(finite_json(obj), indent=2, ensure_ascii=False, allow_nan=False)
    atomic_write(path, text + "\n")


def read_json(path: Path) -> Any:
    """What the JSON file `path` holds; a broken one raises ValueError, which names the place."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        if isinstance(error, json.JSONDecodeError):
            fault = f"valid JSON (line {error.lineno}, column {error.colno}: {error.msg})"
        else:
            fault = f"UTF-8 text (byte {error.start})"
        raise ValueError(
            f"{path}: not {fault}; mend the file or delete it so that it can be made again"
        ) from error


def _flush_directory(folder: Path) -> None:
    """Make a rename in `folder` outlast a power cut, where the system can (Windows cannot)."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems cannot
            raise
    finally:
        os.close(descriptor)


def finite_json(obj: Any) -> Any:
    """`obj` with every float that JSON cannot say replaced by None."""
    if isinstance(obj, float):
        return obj if math.isfinite(obj) else None
    if isinstance(obj, dict):
        return {key: finite_json(value) for key, value in obj.items()}
    if isinstance(obj, (list, tuple)):
        return [finite_json(value) for value in obj]
    return obj
