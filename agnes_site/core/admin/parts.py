"""Pages made of sections and of parts: what can be linked to, and what is renewed in place.

A part is a piece of a page with an address of its own. Its buttons and its pager fetch it again
without the rest of the page; without scripts they load the page instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.messages import get_messages
from django.core.paginator import Page, Paginator
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from agnes_site.core import human, markup
from agnes_site.core.markup import Tone

LOADING = mark_safe('<p class="ag-empty" role="status">Loading …</p>')
_TONES = {"error": Tone.BAD, "warning": Tone.WARN, "success": Tone.GOOD}


@dataclass(frozen=True, kw_only=True)
class Section:
    """A piece of a page that has a heading in its navigation; without a body it is the form."""

    key: str
    title: str
    body: object = ""


def sectioned(sections: Sequence[Section], *, label: str) -> SafeString:
    """Return the navigation of a page and its sections, of which scripts show one at a time."""
    links = format_html_join(
        "",
        '<a href="#{}">{}</a>',
        ((each.key, each.title) for each in sections),
    )
    bodies = format_html_join(
        "",
        '<div class="ag-section" id="section-{}" data-section="{}">{}</div>',
        ((each.key, each.key, each.body) for each in sections if each.body),
    )
    return format_html('<nav class="ag-sections" aria-label="{}">{}</nav>{}', label, links, bodies)


def part(name: str, url: str, body: object, *, is_completed_when_seen: bool = False) -> SafeString:
    """Return a part of a page; one that is completed when seen is fetched once more then."""
    return format_html(
        '<div class="ag-part" id="part-{}" hx-get="{}" hx-trigger="{}">{}</div>',
        name,
        url,
        "intersect once, refresh" if is_completed_when_seen else "refresh",
        body,
    )


def said_here(request: HttpRequest) -> SafeString:
    """Return the messages that wait for this person, to be shown in a part."""
    told = [
        format_html(
            '<div role="status">{}</div>',
            markup.notice(message.message, _TONES.get(message.level_tag, Tone.PLAIN)),
        )
        for message in get_messages(request)
    ]
    return markup.stack(*told) if told else mark_safe("")


def paged(request: HttpRequest, found: Any, *, size: int) -> Page[Any]:
    """Return the page of ``found`` that a part was asked for."""
    return Paginator(found, size).get_page(request.GET.get("page"))


def pager(page: Page[Any], *, name: str, url: str, noun: str) -> SafeString:
    """Return the way to the other pages of a part; nothing where there is only one."""
    total = page.paginator.count
    if page.paginator.num_pages < 2:
        return mark_safe("")
    shown = f"{page.start_index():,} to {page.end_index():,} of {human.plural(total, noun)}"
    ways = [
        (page.number - 1, "Earlier page", "chevron_left", page.has_previous()),
        (page.number + 1, "Next page", "chevron_right", page.has_next()),
    ]
    return format_html(
        '<div class="ag-pager"><span class="ag-faint">{}</span>{}</div>',
        shown,
        format_html_join("", "{}", ((_way(name, url, *way),) for way in ways)),
    )


def _way(name: str, url: str, number: int, label: str, icon: str, is_there: bool) -> SafeString:
    return format_html(
        '<button type="button" class="ag-button ag-small" aria-label="{}" hx-get="{}?page={}" '
        'hx-target="#part-{}"{}>{}</button>',
        label,
        url,
        number,
        name,
        "" if is_there else mark_safe(" disabled"),
        markup.picture(icon),
    )


def joined(parts: Iterable[object]) -> SafeString:
    """Return pieces one after the other."""
    return format_html_join("", "{}", ((piece,) for piece in parts if piece))
