"""What this process may read and write: Landlock, the kernel's sandbox without privileges.

A restriction only ever narrows and cannot be taken back. It holds for the calling thread and
for the threads and processes it starts from then on, not for threads that are already running:
call :func:`restrict` in a process of its own, after the imports and before any thread starts.
DuckDB opened with ``threads=1`` has none; files that are already open stay open.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Sequence
from pathlib import Path

from agnes_site.core.errors import ConfigurationError

# System calls have these numbers on every architecture.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_FOR_VERSION = 1
_RULE_PATH_BENEATH = 1
_PR_SET_NO_NEW_PRIVS = 38

_WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 1, 1 << 2, 1 << 3
_REMOVE_DIR, _REMOVE_FILE, _MAKE_DIR, _MAKE_FILE = 1 << 4, 1 << 5, 1 << 7, 1 << 8
_REFER, _TRUNCATE = 1 << 13, 1 << 14

_READ_BELOW = _READ_FILE | _READ_DIR
_WRITE_BELOW = _READ_BELOW | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_FILE | _REFER
_FILE_RIGHTS = _WRITE_FILE | _READ_FILE | _TRUNCATE

# Rights over files that the kernel knows, by the version of its interface.
_KNOWN_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}
_ALL_RIGHTS = (1 << 16) - 1
_TCP_SINCE, _TCP_RIGHTS = 4, 0b11
_SCOPES_SINCE, _SCOPES = 6, 0b11

_MISSING = frozenset([errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM])


class LandlockMissingError(ConfigurationError):
    """The kernel cannot confine a process."""

    code = "landlock_missing"
    hint = "Use a Linux kernel from 6.2 on with `landlock` among its active security modules."


def abi() -> int:
    """Return the version of Landlock that the kernel offers, 0 if it offers none."""
    try:
        return _call(_CREATE_RULESET, None, 0, _ASK_FOR_VERSION)
    except OSError as error:
        if error.errno in _MISSING:
            return 0
        raise


def restrict(*, read: Sequence[Path], write: Sequence[Path], network: bool = True) -> int:
    """Confine this process to reading ``read`` and to reading and writing ``write``.

    Folders count with everything below them; programs can no longer be started. Without
    ``network`` TCP, abstract sockets and signals to the outside are refused as well, as far as
    the kernel knows how. Return the version of Landlock in force.

    Raises:
        LandlockMissingError: the kernel has no Landlock.
        FileNotFoundError: one of the paths does not exist.
    """
    version = abi()
    if version < 1:
        raise LandlockMissingError("This kernel offers no Landlock.")
    known = _KNOWN_RIGHTS.get(version, _ALL_RIGHTS)
    attributes = _attributes(version, known, network=network)
    rules = _call(_CREATE_RULESET, attributes, len(attributes), 0)
    try:
        for path in read:
            _allow(rules, path, _READ_BELOW & known)
        for path in write:
            _allow(rules, path, (_WRITE_BELOW | _FILE_RIGHTS) & known)
        _give_up_new_privileges()
        _call(_RESTRICT_SELF, rules, 0)
    finally:
        os.close(rules)
    return version


def _attributes(version: int, known: int, *, network: bool) -> bytes:
    attributes = struct.pack("=Q", known)
    if version >= _TCP_SINCE:
        attributes += struct.pack("=Q", 0 if network else _TCP_RIGHTS)
    if version >= _SCOPES_SINCE:
        attributes += struct.pack("=Q", 0 if network else _SCOPES)
    return attributes


def _allow(rules: int, path: Path, rights: int) -> None:
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not path.is_dir():
            rights &= _FILE_RIGHTS
        _call(_ADD_RULE, rules, _RULE_PATH_BENEATH, struct.pack("=Qi", rights, place), 0)
    finally:
        os.close(place)


def _give_up_new_privileges() -> None:
    # The kernel demands this of whoever confines itself without being root.
    if _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise _last_error()


def _call(number: int, *arguments: int | bytes | None) -> int:
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result: int = _libc.syscall(ctypes.c_long(number), *words)
    if result < 0:
        raise _last_error()
    return result


def _last_error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))


_libc = ctypes.CDLL(None, use_errno=True)
