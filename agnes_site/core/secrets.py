"""Keys of this installation, generated once and kept for their owner only."""

from __future__ import annotations

import secrets
from pathlib import Path

from agnes_site.core.storage import locked, write_private


def persistent_key(path: Path) -> str:
    """Return the key kept in ``path``, and make one first if there is none.

    Safe when several processes start at once: all of them return the same key.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with locked(path.parent):
            if not path.exists():
                write_private(path, secrets.token_urlsafe(48).encode())
    return path.read_text(encoding="ascii").strip()
