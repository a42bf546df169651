"""What changed, field by field: the old beside the new, long texts line by line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from difflib import unified_diff
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

_LONG = 120
_LIMIT = 20_000
_CLASSES = {"+": "ag-added", "-": "ag-removed"}


def difference(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> SafeString:
    """Return the fields of two states that differ; what is new, or gone, and empty is left out."""
    old, new = before or {}, after or {}
    names = [*new, *(name for name in old if name not in new)]
    rows = [(name, _change(old, new, name)) for name in names if _says_something(old, new, name)]
    if not rows:
        return mark_safe("")
    return format_html(
        '<dl class="ag-difference">{}</dl>',
        format_html_join("", "<div><dt>{}</dt><dd>{}</dd></div>", rows),
    )


def _says_something(old: Mapping[str, Any], new: Mapping[str, Any], name: str) -> bool:
    if name in old and name in new:
        return bool(old[name] != new[name])
    value = old[name] if name in old else new[name]
    return value is False or value not in ("", None, [], {})


def _change(old: Mapping[str, Any], new: Mapping[str, Any], name: str) -> SafeString:
    was, now = (_text(values[name]) if name in values else None for values in (old, new))
    if was is not None and now is not None and _is_long(was, now):
        return _by_line(was, now)
    parts = []
    if was is not None:
        parts.append(format_html('<del class="ag-removed">{}</del>', was[:_LIMIT] or "empty"))
    if now is not None:
        parts.append(format_html('<ins class="ag-added">{}</ins>', now[:_LIMIT] or "empty"))
    return mark_safe(" ".join(parts))  # each is safe already


def _is_long(was: str, now: str) -> bool:
    return "\n" in was + now and max(len(was), len(now)) > _LONG


def _by_line(was: str, now: str) -> SafeString:
    lines = list(unified_diff(was[:_LIMIT].splitlines(), now[:_LIMIT].splitlines(), lineterm=""))
    shown = ((_CLASSES.get(line[:1], ""), line) for line in lines[3:])
    return format_html(
        '<pre class="ag-lines">{}</pre>',
        format_html_join("\n", '<span class="{}">{}</span>', shown),
    )


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, (dict, list)):
        indent = 2 if isinstance(value, dict) and len(value) > 1 else None
        return json.dumps(value, ensure_ascii=False, indent=indent, default=str)
    return json.dumps(value, default=str)
