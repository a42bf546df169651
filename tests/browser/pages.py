"""Every page there is, for tests that look at all of them."""

from __future__ import annotations

from collections.abc import Iterator

from django.contrib import admin
from django.db.models import Model
from django.urls import reverse

FOR_EVERYBODY = ("/accounts/login/", "/accounts/signup/", "/accounts/password/reset/")
FOR_ANALYSTS = ("/", "/accounts/logout/", "/admin/")


def for_administrators() -> Iterator[str]:
    """Yield the pages of the admin: each list, and for each kind how one is added and changed."""
    yield reverse("admin:index")
    yield reverse("exchange")
    for model in admin.site._registry:
        yield _page(model, "changelist")
        yield _page(model, "add")
        found = model._default_manager.order_by("pk").first()
        if found is not None:
            yield _page(model, "change", found.pk)
            yield _page(model, "delete", found.pk)


def _page(model: type[Model], page: str, *ids: object) -> str:
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}"
    return reverse(name, args=list(ids))
