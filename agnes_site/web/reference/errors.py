"""Every error that the server can answer with."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterable, Iterator
from importlib import import_module

from agnes_site.core.errors import AgnesError
from agnes_site.web.reference import markdown

PACKAGES = ("agnes_site", "access", "catalog", "extracts", "marketplace", "metrics")

_INTRODUCTION = """\
Whatever fails answers in one shape. `code` is for programs and never changes its meaning; `message`
says what happened, `hint` what to do next, `details` holds names and numbers. `detail` repeats
them under older names. The server's log has the line of each request under `request_id`, which is
also the header `X-Request-Id` of every answer."""

_EXAMPLE = """\
{
  "code": "table_not_found",
  "message": "There is no table named 'orderz'.",
  "hint": "Run `agnes catalog` to list the tables you may read.",
  "details": {"table": "orderz"},
  "request_id": "5d0c6b1e8f2a4c77",
  "detail": {"code": "table_not_found", "reason": "table_not_found", "…": "…"}
}"""

_RETRYING = """\
Status 502 and 503 are worth another try, and so is 429 after the seconds in `Retry-After`; the
rest stays as it is until somebody changes something. A failed run shows the same code, message and
hint."""


def found() -> list[type[AgnesError]]:
    """Return every class of error in the server's code."""
    for package in PACKAGES:
        _import_all(package)
    ours = {each for each in _below(AgnesError) if each.__module__.partition(".")[0] in PACKAGES}
    return sorted(ours, key=lambda each: (each.code, len(each.__mro__), each.__module__))


def page(classes: Iterable[type[AgnesError]]) -> str:
    """Return the page: a line for each code, the mildest status first."""
    by_code: dict[str, type[AgnesError]] = {}
    for each in classes:
        by_code.setdefault(each.code, each)
    rows = [
        [markdown.code(each.code), str(each.status), markdown.docstring(each), each.hint]
        for each in sorted(by_code.values(), key=lambda each: (each.status, each.code))
    ]
    return markdown.document(
        "Errors",
        _INTRODUCTION,
        markdown.fenced(_EXAMPLE, language="json"),
        _RETRYING,
        markdown.table(["Code", "Status", "Meaning", "What to do"], rows),
    )


def _below(base: type[AgnesError]) -> Iterator[type[AgnesError]]:
    for each in base.__subclasses__():
        yield each
        yield from _below(each)


def _import_all(package: str) -> None:
    module = import_module(package)
    for found in pkgutil.walk_packages(module.__path__, f"{package}."):
        if ".migrations." not in f"{found.name}." and not found.name.endswith("__main__"):
            import_module(found.name)
