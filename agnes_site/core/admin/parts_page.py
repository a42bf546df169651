"""Pages with parts that are found, and renewed, by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString

from agnes_site.core import markup
from agnes_site.core.admin import parts
from agnes_site.core.admin.addresses import AddressedAdmin
from agnes_site.core.errors import AgnesError
from agnes_site.core.markup import Tone


class PartsAdmin(AddressedAdmin):
    """Shows parts of a page, each from a method of its name."""

    # Methods that return a part of the page, which is renewed in place.
    parts: ClassVar[Sequence[str]] = ()

    def get_urls(self) -> list[URLPattern]:
        """Return the pages of this model, and the place where parts of them are."""
        view = self.admin_site.admin_view(self.part_view)
        part = path("<uuid:object_id>/part/<slug:name>/", view, name=self.path_name("part"))
        found: list[URLPattern] = super().get_urls()
        return [part, *found]

    def part(
        self,
        request: HttpRequest,
        obj: Any,
        name: str,
        *,
        body: object = None,
        is_completed_when_seen: bool = False,
    ) -> SafeString:
        """Return a part of the page of ``obj``, which can be renewed in place.

        ``body`` stands there instead of the part until it is renewed for the first time.
        """
        shown = self.part_body(request, obj, name) if body is None else body
        return parts.part(
            name, self.part_url(obj, name), shown, is_completed_when_seen=is_completed_when_seen
        )

    def part_url(self, obj: Any, name: str) -> str:
        """Return where a part of the page of ``obj`` is found by itself."""
        return reverse(self.url_name("part"), args=[obj.pk, name])

    def part_names(self) -> Sequence[str]:
        """Return the names of the parts of a page."""
        return self.parts

    def part_body(self, request: HttpRequest, obj: Any, name: str) -> SafeString:
        """Return what stands in a part; what a service refuses is said there."""
        try:
            return self.render_part(request, obj, name)
        except AgnesError as error:
            return markup.notice(markup.lines(error.message, error.hint), Tone.BAD)

    def render_part(self, request: HttpRequest, obj: Any, name: str) -> SafeString:
        """Return what stands in a part."""
        body: SafeString = getattr(self, name)(request, obj)
        return body

    def part_view(self, request: HttpRequest, object_id: Any, name: str) -> HttpResponse:
        """Return one part of the page of an object."""
        obj = self.get_object(request, str(object_id)) if name in self.part_names() else None
        if obj is None:
            raise Http404
        if not self.has_view_permission(request, obj):
            raise PermissionDenied
        return HttpResponse(self.part_body(request, obj, name))
