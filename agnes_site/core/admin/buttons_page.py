"""Pages with buttons: what each does, and what a service refuses of it.

When a service raises an ``AgnesError``, nothing of the request is kept, and the page comes back
with a message.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http import HttpResponseRedirect as Redirect
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString, mark_safe

from agnes_site.core import markup
from agnes_site.core.admin import parts
from agnes_site.core.admin.offers import Button, Done
from agnes_site.core.admin.parts_page import PartsAdmin
from agnes_site.core.admin.refusals import said
from agnes_site.core.constraints import violations_told
from agnes_site.core.errors import AgnesError


class ButtonsAdmin(PartsAdmin):
    """Offers what can be done to an object, and does it."""

    # Methods marked with :func:`button`, in the order in which a page shows them.
    buttons: ClassVar[Sequence[str]] = ()

    def get_urls(self) -> list[URLPattern]:
        """Return the pages of this model, and the place where its buttons call."""
        view = self.admin_site.admin_view(self.do_view)
        do = path("<uuid:object_id>/do/<slug:name>/", view, name=self.path_name("do"))
        return [do, *super().get_urls()]

    def offered(self, request: HttpRequest, obj: Any) -> Sequence[str]:
        """Return which of the buttons make sense for ``obj`` as it is."""
        return self.buttons

    def button_bar(self, request: HttpRequest, obj: Any) -> SafeString:
        """Return the buttons that make sense for ``obj``."""
        shown = (self.do_button(request, obj, name) for name in self.offered(request, obj))
        return mark_safe("".join(shown))  # each is safe already

    def do_button(
        self,
        request: HttpRequest,
        obj: Any,
        name: str,
        *,
        is_small: bool = False,
        part: str = "",
        confirm: str = "",
        ask: str = "",
        **fields: Any,
    ) -> SafeString:
        """Return the button that calls the method ``name`` for ``obj``.

        With ``part``, that part of the page is renewed instead of the page; ``confirm`` asks
        something else than usual, ``ask`` what that address answers.
        """
        shown: Button = getattr(self, name).button
        return markup.post_button(
            request, self.do_url(obj, name), shown.label, icon=shown.icon, is_small=is_small,
            is_main=shown.is_main, confirm=confirm or shown.confirm, ask=ask,
            part=part or shown.part, fields=fields,
        )  # fmt: skip

    def do_url(self, obj: Any, name: str) -> str:
        """Return where the method ``name`` is called for ``obj``."""
        return reverse(self.url_name("do"), args=[obj.pk, name])

    def callable_names(self) -> Sequence[str]:
        """Return the names under which something can be done to an object."""
        return self.buttons

    def do_view(self, request: HttpRequest, object_id: Any, name: str) -> HttpResponse:
        """Call what a button stands for, and go back to the page it was on."""
        if name not in self.callable_names():
            raise Http404
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        obj = self.get_object(request, str(object_id))
        if obj is None:
            raise Http404
        return self.answer(request, obj, name)

    def answer(self, request: HttpRequest, obj: Any, name: str) -> HttpResponse:
        """Do what ``name`` stands for; without an answer of its own, go back to the page."""
        if not self.has_view_permission(request, obj):
            raise PermissionDenied
        try:
            with violations_told():
                answer = self.call(request, obj, name)
        except (AgnesError, ValidationError) as error:
            self.say(request, said(error), level=messages.ERROR)
            answer = None
        part = request.headers.get("HX-Target", "").removeprefix("part-")
        if part in self.part_names():
            return self.renewed(request, obj, part)
        return answer or Redirect(self.page_url(obj))

    def renewed(self, request: HttpRequest, obj: Any, name: str) -> HttpResponse:
        """Return a part as it is after something was done; the other parts renew themselves."""
        fresh = self.get_object(request, str(obj.pk))
        if fresh is None:
            return HttpResponse(headers={"HX-Refresh": "true"})
        body = parts.joined([parts.said_here(request), self.part_body(request, fresh, name)])
        return HttpResponse(body, headers={"HX-Trigger": "ag-changed"})

    def call(self, request: HttpRequest, obj: Any, name: str) -> Done:
        """Do what ``name`` stands for."""
        done: Done = getattr(self, name)(request, obj)
        return done
