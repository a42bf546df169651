"""Where the pages of a model are."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest
from django.urls import reverse
from unfold.admin import ModelAdmin


class AddressedAdmin(ModelAdmin):  # type: ignore[misc]  # the framework has no types
    """Knows its own pages, and says something on the next one."""

    def page_url(self, obj: Any) -> str:
        """Return the address of the page of ``obj``."""
        return reverse(self.url_name("change"), args=[obj.pk])

    def say(self, request: HttpRequest, text: str, *, level: int = messages.SUCCESS) -> None:
        """Show a message on the next page."""
        self.message_user(request, text, level)

    def url_name(self, page: str) -> str:
        """Return the name of the address of a page, such as ``changelist``."""
        return f"admin:{self.path_name(page)}"

    def path_name(self, page: str) -> str:
        """Return the name under which a page is listed among the addresses of the admin."""
        return f"{self.opts.app_label}_{self.opts.model_name}_{page}"
