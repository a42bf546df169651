"""Which paths of the server a source may read, asked before opening and again after it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from agnes_site.core.errors import InvalidInputError
from catalog.connectors import Reach

# Not files of anybody, whatever is configured.
_SYSTEM = (Path("/proc"), Path("/sys"), Path("/dev"))


def _whole(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError("give the whole path, beginning with /")
    return path


# A path of the server in the settings of a source.
AbsolutePath = Annotated[Path, AfterValidator(_whole)]


class PathNotAllowedError(InvalidInputError):
    """A path lies where sources may not read."""

    code = "path_not_allowed"
    hint = "Move it below a folder of AGNES_FILES_ROOTS, or add its folder there."


class NotAFileError(InvalidInputError):
    """A path leads to a folder, a device, a pipe or a socket instead of a file."""

    code = "not_a_file"
    hint = "Give the path of a file that holds data."


def allowed_path(path: Path, reach: Reach) -> Path:
    """Return where ``path`` really is, links followed; it need not exist.

    Raises:
        PathNotAllowedError: that is not where sources may read.
    """
    try:
        real = path.resolve()
    except (OSError, RuntimeError, ValueError):
        raise PathNotAllowedError(f"{_shown(path)} cannot be followed.") from None
    if not is_allowed(real, reach):
        raise PathNotAllowedError(
            f"{_shown(path)} is not where sources may read files.", hint=_advice(reach)
        )
    return real


def is_allowed(real: Path, reach: Reach) -> bool:
    """Say whether sources may read ``real``, a path without links.

    Below the root that is nearest to it no folder is private, and no name begins with a dot.
    """
    if any(real.is_relative_to(place) for place in _SYSTEM):
        return False
    roots = [_real(root) for root in reach.roots]
    holding = [root for root in roots if real.is_relative_to(root)]
    if not holding:
        return False
    nearest = max(holding, key=lambda root: len(root.parts))
    private = [_real(folder) for folder in reach.private]
    if any(real.is_relative_to(each) and each.is_relative_to(nearest) for each in private):
        return False
    return not any(part.startswith(".") for part in real.relative_to(nearest).parts)


@contextmanager
def opened(path: Path, reach: Reach) -> Iterator[int]:
    """Open a file for reading and give its descriptor; nothing that could block is opened.

    ``/proc/self/fd/<descriptor>`` is the same file, whatever happens to its name meanwhile.

    Raises:
        PathNotAllowedError: the path, or what was opened, lies where sources may not read.
        NotAFileError: it is not a regular file.
        OSError: it is not there, or may not be read.
    """
    real = allowed_path(path, reach)
    if not stat.S_ISREG(real.lstat().st_mode):
        raise NotAFileError(f"{_shown(path)} is not a file.")
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(real, flags)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise NotAFileError(f"{_shown(path)} is not a file.")
        # A folder on the way may have become a link since the path was followed.
        allowed_path(Path(f"/proc/self/fd/{descriptor}").readlink(), reach)
        yield descriptor
    finally:
        os.close(descriptor)


def _real(folder: Path) -> Path:
    return Path(os.path.realpath(folder))


def _advice(reach: Reach) -> str:
    if not reach.roots:
        return "Add its folder to AGNES_FILES_ROOTS (files.roots) and restart the server."
    roots = ", ".join(str(root) for root in reach.roots)
    return (
        f"Put it below {roots}, or add its folder to AGNES_FILES_ROOTS (files.roots) and restart "
        "the server. Hidden folders and those of the server itself stay closed."
    )


def _shown(path: Path) -> str:
    return ascii(str(path))[1:-1]
