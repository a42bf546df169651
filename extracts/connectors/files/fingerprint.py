"""Tell whether files are the same as last time, without reading them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from extracts.connectors.files.listing import SourceFile

# A file that changed so recently may change again without a visible difference: clocks of file
# systems are coarse, and pages written through a memory map get their time late.
_SETTLED_NS = 60 * 10**9


class Fingerprint:
    """What the file system says about some files at one moment."""

    def __init__(self, files: Sequence[SourceFile]) -> None:
        found = [(file.name, file.path.stat()) for file in files]
        # The change time cannot be set by programs, unlike the modification time.
        self.identities = [
            [name, stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
            for name, stat in found
        ]
        self._changed_ns = max(max(stat.st_mtime_ns, stat.st_ctime_ns) for _, stat in found)
        self.bytes = sum(stat.st_size for _, stat in found)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fingerprint) and self.identities == other.identities

    __hash__ = None  # type: ignore[assignment]  # compared, never a key

    def digest(self, *, now_ns: int, settings: Any) -> str | None:
        """Return a hash of files and ``settings``; ``None`` while the files are too fresh.

        Two equal digests say that the files and the way of reading them are the same.
        """
        if not 0 <= now_ns - self._changed_ns >= _SETTLED_NS:
            return None
        facts = json.dumps([self.identities, settings], sort_keys=True)
        return hashlib.sha256(facts.encode()).hexdigest()
