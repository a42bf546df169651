"""The few pieces of HTML that every page of the admin is made of.

Everything given is escaped unless it is marked safe already; the classes are those of
``web/agnes.css``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.http import HttpRequest
from django.middleware.csrf import get_token
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from agnes_site.core import human

NOTHING = mark_safe('<span class="ag-faint">—</span>')


class Tone(StrEnum):
    """What a colour says."""

    GOOD = "good"
    BAD = "bad"
    WARN = "warn"
    BUSY = "busy"
    PLAIN = "plain"


def badge(text: str, tone: Tone = Tone.PLAIN) -> SafeString:
    """Return a short word on a coloured ground."""
    return format_html('<span class="ag-badge ag-{}">{}</span>', tone, text)


def when(moment: datetime | None, *, never: str = "never") -> SafeString:
    """Return a time as people say it, with the exact one (UTC) where the mouse rests."""
    if moment is None:
        return format_html('<span class="ag-faint">{}</span>', never)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        moment.isoformat(),
        f"{moment:%Y-%m-%d %H:%M:%S} UTC",
        human.ago(moment, now=timezone.now()),
    )


def link(url: str, text: object) -> SafeString:
    """Return a link."""
    return format_html('<a class="ag-link" href="{}">{}</a>', url, text)


def code(text: str) -> SafeString:
    """Return something that is typed or read by machines."""
    return format_html("<code>{}</code>", text)


def prose(text: str) -> SafeString:
    """Return a text in which what stands between backticks is code."""
    parts = text.split("`")
    return format_html_join(
        "", "{}", ((code(part) if odd % 2 else part,) for odd, part in enumerate(parts))
    )


def faint(text: object) -> SafeString:
    """Return something of less weight."""
    return format_html('<span class="ag-faint">{}</span>', text)


def lines(*parts: object) -> SafeString:
    """Return parts below each other, the first as it is and the others faint; empty ones go."""
    first, *others = [part for part in parts if part]
    return format_html(
        "{}{}",
        first,
        format_html_join("", '<div class="ag-faint">{}</div>', ((o,) for o in others)),
    )


def progress(done: int, total: int | None, *, label: str) -> SafeString:
    """Return a bar; an unknown total makes it move without end."""
    if not total:
        return format_html('<progress class="ag-progress" aria-label="{}"></progress>', label)
    return format_html(
        '<progress class="ag-progress" aria-label="{}" max="{}" value="{}"></progress>',
        label,
        total,
        min(done, total),
    )


def grid(
    headers: Sequence[str], rows: Iterable[Sequence[object]], *, empty: object = ""
) -> SafeString:
    """Return a table; without rows it is the sentence ``empty``, which says what to do next."""
    body = format_html_join(
        "",
        "<tr>{}</tr>",
        (
            (
                format_html_join(
                    "",
                    '<td data-label="{}"><div>{}</div></td>',
                    ((header, cell) for header, cell in zip(headers, row, strict=True)),
                ),
            )
            for row in rows
        ),
    )
    if not body:
        return format_html('<p class="ag-empty">{}</p>', empty)
    head = format_html_join("", "<th>{}</th>", ((header,) for header in headers))
    return format_html(
        '<div class="ag-scroll"><table class="ag-grid"><thead><tr>{}</tr></thead>'
        "<tbody>{}</tbody></table></div>",
        head,
        body,
    )


def facts(pairs: Iterable[tuple[str, object]]) -> SafeString:
    """Return names with their values, side by side."""
    return format_html(
        '<dl class="ag-facts">{}</dl>',
        format_html_join("", "<div><dt>{}</dt><dd>{}</dd></div>", pairs),
    )


def aside(*parts: object) -> SafeString:
    """Return parts beside each other, below what they belong to; nothing without any."""
    shown = format_html_join("", "{}", ((p,) for p in parts if p))
    return format_html('<div class="ag-beside">{}</div>', shown) if shown else shown


def card(title: object, body: object, *, aside: object = "") -> SafeString:
    """Return a box with a title, and with what can be done on the right of it."""
    return format_html(
        '<section class="ag-card"><header><h2>{}</h2><div class="ag-aside">{}</div></header>'
        "{}</section>",
        title,
        aside,
        body,
    )


def note(text: object) -> SafeString:
    """Return a sentence that explains what stands above it."""
    return format_html('<p class="ag-note">{}</p>', text)


def notice(body: object, tone: Tone) -> SafeString:
    """Return a sentence that is to be noticed."""
    return format_html('<div class="ag-notice ag-{}">{}</div>', tone, body)


def stack(*parts: object) -> SafeString:
    """Return parts below each other."""
    return format_html(
        '<div class="ag-stack">{}</div>', format_html_join("", "{}", ((p,) for p in parts if p))
    )


def go_button(url: str, label: str, *, icon: str = "", is_main: bool = False) -> SafeString:
    """Return a link that looks like a button."""
    return format_html(
        '<a class="ag-button{}" href="{}">{}{}</a>',
        " ag-main" if is_main else "",
        url,
        picture(icon),
        label,
    )


def post_button(
    request: HttpRequest,
    url: str,
    label: str,
    *,
    icon: str = "",
    is_main: bool = False,
    is_small: bool = False,
    confirm: str = "",
    ask: str = "",
    part: str = "",
    fields: Mapping[str, Any] | None = None,
) -> SafeString:
    """Return a button that does something: posts ``fields``, after a question if there is one.

    The question is ``confirm``, or what the address ``ask`` answers. With ``part``, that part of
    the page is renewed instead of the whole page.
    """
    hidden = format_html_join(
        "", '<input type="hidden" name="{}" value="{}">', (fields or {}).items()
    )
    return format_html(
        '<form class="ag-do" method="post" action="{}"{}>'
        '<input type="hidden" name="csrfmiddlewaretoken" value="{}">{}'
        '<button type="submit" class="ag-button{}{}">{}{}</button></form>',
        url,
        in_part(url, part, confirm=confirm, ask=ask) if part else _asking(confirm, ask),
        get_token(request),
        hidden,
        " ag-main" if is_main else "",
        " ag-small" if is_small else "",
        picture(icon),
        label,
    )


def in_part(url: str, part: str, *, confirm: str = "", ask: str = "") -> SafeString:
    """Return what makes a form post to ``url`` and renew a part of the page with the answer."""
    return format_html(
        ' hx-post="{}" hx-target="#part-{}" hx-disabled-elt="find button" hx-disinherit="*"{}{}',
        url,
        part,
        format_html(' hx-confirm="{}"', confirm) if confirm else "",
        format_html(' data-ask="{}"', ask) if ask else "",
    )


def picture(name: str) -> SafeString:
    """Return a picture that says nothing to those who hear the page; nothing for no name."""
    if not name:
        return mark_safe("")
    return format_html('<span class="material-symbols-outlined" aria-hidden="true">{}</span>', name)


def _asking(confirm: str, ask: str) -> SafeString:
    return format_html(
        "{}{}",
        format_html(' data-confirm="{}"', confirm) if confirm else "",
        format_html(' data-ask="{}"', ask) if ask else "",
    )
