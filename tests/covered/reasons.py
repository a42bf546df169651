"""Why some branches are taken by no test that can be measured.

Kept by ``path:function`` or, where one reason holds for a whole file, by ``path``.
"""

from __future__ import annotations

REASONS: dict[str, str] = {}
