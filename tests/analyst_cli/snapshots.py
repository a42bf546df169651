"""What a workspace holds, to be compared."""

from __future__ import annotations

from pathlib import Path


def snapshot(workspace: Path) -> dict[str, bytes]:
    """Return the visible files below the folder of pulled files."""
    folder = workspace / "server" / "parquet"
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}
