"""The page that exports everything as a document, and imports one after showing its plan."""

from __future__ import annotations

import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from agnes_site.core import human, markup
from agnes_site.core.admin import difference, said
from agnes_site.core.errors import AgnesError, ConflictError
from agnes_site.core.markup import Tone
from agnes_site.core.storage import Layout, as_storage_error
from catalog.services import exchange
from catalog.services.exchange import Action, Change, Document, Format, Plan

_SALT = "agnes.exchange"
_PATIENCE_SECONDS = 24 * 3600
_SHOWN = 300
_TONES = {Action.ADD: Tone.GOOD, Action.CHANGE: Tone.BUSY, Action.REMOVE: Tone.BAD}
_WORDS = {Action.ADD: "added", Action.CHANGE: "changed", Action.REMOVE: "removed"}


class ImportForgottenError(ConflictError):
    """The document that waited for a yes is no longer there."""

    code = "import_forgotten"
    hint = "Choose the file again."


def exchange_page(request: HttpRequest) -> HttpResponse:
    """Offer export and import; show the plan of an uploaded document; carry a plan out."""
    context: dict[str, Any] = {}
    try:
        if request.method == "POST" and "agreed" in request.POST:
            return _apply(request, request.POST["agreed"])
        if request.method == "POST":
            context = _planned(request)
    except AgnesError as error:
        messages.error(request, said(error))
    kinds = [kind.name for kind in exchange.KINDS]
    context |= {**admin.site.each_context(request), "title": "Import & export", "kinds": kinds}
    return render(request, "web/exchange.html", context)


def export(request: HttpRequest) -> HttpResponse:
    """Download a document."""
    kind = request.GET.get("kind", "")
    try:
        as_format = exchange.format_named(request.GET.get("format", Format.YAML))
        text = exchange.write(as_format=as_format, kind=kind)
    except AgnesError as error:
        messages.error(request, said(error))
        return redirect("exchange")
    name = f"{kind or 'agnes'}.{as_format}"
    return HttpResponse(
        text,
        content_type=f"text/{as_format}; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _planned(request: HttpRequest) -> dict[str, Any]:
    file = request.FILES.get("document")
    if file is None:
        raise exchange.DocumentInvalidError("No file was chosen.", hint="Choose one first.")
    content, name = file.read(exchange.SIZE_LIMIT + 1), file.name or ""
    kind, exactly = request.POST.get("kind", ""), "exactly" in request.POST
    document = exchange.read(content, file_name=name, kind=kind)
    plan = exchange.make(document, exactly=exactly, by=_who(request))
    agreed = ""
    if plan.changes and not plan.problems:
        token = _keep(content)
        waiting = [token, name, kind, exactly, plan.fingerprint, str(_who(request).pk)]
        agreed = signing.dumps(waiting, salt=_SALT)
    return {
        "plan": shown(plan),
        "is_empty": not plan.changes and not plan.problems,
        "file_name": name,
        "agreed": agreed,
        "summary": _summary(plan),
    }


def _apply(request: HttpRequest, agreed: str) -> HttpResponse:
    try:
        token, name, kind, exactly, fingerprint, user = signing.loads(
            agreed, salt=_SALT, max_age=_PATIENCE_SECONDS
        )
        path = _place(token)
        content = path.read_bytes()
    except (signing.BadSignature, FileNotFoundError):
        raise ImportForgottenError("The document is no longer there.") from None
    if user != str(_who(request).pk):
        raise ImportForgottenError("Somebody else has chosen this document.")
    document: Document = exchange.read(content, file_name=name, kind=kind)
    plan = exchange.apply(document, exactly=exactly, expected=fingerprint, by=_who(request))
    path.unlink(missing_ok=True)
    messages.success(request, f"Imported {name}: {_summary(plan)}.")
    return redirect("exchange")


def shown(plan: Plan) -> SafeString:
    """Return a plan as people read it: problems first, then each change with its fields."""
    parts = []
    if plan.problems:
        listed = format_html_join(
            "", "<li>{} {}</li>", ((str(each), markup.faint(each.hint)) for each in plan.problems)
        )
        text = "Nothing can be imported until this is mended:"
        parts.append(format_html('<div class="ag-notice ag-bad">{}<ul>{}</ul></div>', text, listed))
    if plan.changes:
        each = mark_safe("".join(_shown(change) for change in plan.changes[:_SHOWN]))
        rest = len(plan.changes) - _SHOWN
        more = markup.faint(f"and {rest:,} more") if rest > 0 else ""
        parts.append(markup.card("What changes", format_html("{}{}", each, more)))
    return markup.stack(*parts)


def _shown(change: Change) -> SafeString:
    return format_html(
        '<section class="ag-change"><header>{} <strong>{}</strong> {}</header>{}</section>',
        markup.badge(_WORDS[change.action], _TONES[change.action]),
        change.said,
        markup.faint(f"line {change.line}") if change.line else "",
        difference(change.before, change.after),
    )


def _summary(plan: Plan) -> str:
    counts = plan.counted()
    told = [f"{counts[action]:,} {word}" for action, word in _WORDS.items() if counts[action]]
    return ", ".join([*told, f"{human.number(plan.unchanged)} unchanged"])


def _who(request: HttpRequest) -> Any:
    return request.user


def _keep(content: bytes) -> str:
    """Keep a document until somebody says yes; forget those that nobody answered for."""
    layout: Layout = settings.LAYOUT
    token = uuid.uuid4().hex
    try:
        for old in layout.imports.iterdir():
            with suppress(FileNotFoundError):  # somebody else forgets it at this moment
                if old.stat().st_mtime < time.time() - _PATIENCE_SECONDS:
                    old.unlink()
        _place(token).write_bytes(content)
    except OSError as error:
        raise as_storage_error(error) from error
    return token


def _place(token: str) -> Path:
    layout: Layout = settings.LAYOUT
    return layout.imports / f"{uuid.UUID(token).hex}.document"
