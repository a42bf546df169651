"""Lists as somebody left them: search, filters, order and page come back with the next visit."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict

_KEPT = "lists"
_ALL = "all"
# What a page is asked for once, by itself or by the framework.
_PASSING = ("e", "_popup", "_to_field", "_facets", "_changelist_filters")


def returning(request: HttpRequest) -> HttpResponse | None:
    """Return where the list is as it was left, or ``None`` to show it as it was asked for.

    What is chosen on the list itself is kept in the session. A list that is asked for without
    anything is one that somebody comes to, unless they are on it: then they took the last limit
    away.
    """
    if request.method != "GET" or "_popup" in request.GET:
        return None
    kept: dict[str, str] = request.session.get(_KEPT, {})
    if _ALL in request.GET:
        _keep(request, kept, "")
        return HttpResponseRedirect(request.path)
    if "e" in request.GET:
        _keep(request, kept, "")
    elif _comes_from_here(request):
        _keep(request, kept, _worth_keeping(request.GET))
    elif not request.GET and request.path in kept:
        return HttpResponseRedirect(f"{request.path}?{kept[request.path]}")
    return None


def _worth_keeping(asked: QueryDict) -> str:
    wanted = asked.copy()
    for name, value in asked.items():
        if name in _PASSING or value == "":
            del wanted[name]
    return wanted.urlencode()


def _keep(request: HttpRequest, kept: dict[str, str], query: str) -> None:
    if kept.get(request.path, "") == query:
        return
    others = {path: value for path, value in kept.items() if path != request.path}
    request.session[_KEPT] = {**others, request.path: query} if query else others


def _comes_from_here(request: HttpRequest) -> bool:
    return urlsplit(request.headers.get("Referer", "")).path == request.path
