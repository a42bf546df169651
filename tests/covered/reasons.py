"""Why some branches are taken by no test that can be measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

_FILE = Path(__file__).with_name("reasons.yaml")


def read() -> dict[str, str]:
    """Return the reasons by ``path:function``, or by ``path`` where one holds for a whole file."""
    return dict(_flat(yaml.safe_load(_FILE.read_text(encoding="utf-8"))))


def _flat(found: Mapping[str, str | Mapping[str, str]]) -> Iterator[tuple[str, str]]:
    for path, told in found.items():
        if isinstance(told, str):
            yield path, told
        else:
            yield from ((f"{path}:{name}", reason) for name, reason in told.items())
