"""Keys of this installation, generated once and kept for their owner only."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def persistent_key(path: Path) -> str:
    """Return the key kept in ``path``, and make one first if there is none.

    Safe when several processes start at once: all of them return the same key.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    if not path.exists():
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(48))
            file.flush()
            os.fsync(file.fileno())
        try:
            # A link is refused when the name exists: the first process wins, whole.
            os.link(beside, path)
        except FileExistsError:
            pass
        finally:
            beside.unlink()
    return path.read_text(encoding="ascii").strip()
