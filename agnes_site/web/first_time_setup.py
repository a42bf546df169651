"""The page on which the first administrator is made, with a code from the server's console."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth import login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

from access.services import setup
from access.services.setup import NewCode, SetupDoneError
from agnes_site.core.admin import said
from agnes_site.core.errors import AgnesError

_FIELD_OF = {"setup_code_wrong": "code", "password_weak": "password"}


class SetupForm(forms.Form):
    """Who the first administrator is, and the code that proves it."""

    code = forms.CharField(max_length=40)
    email = forms.EmailField(max_length=254)
    name = forms.CharField(max_length=200, required=False)
    password = forms.CharField(max_length=4096, strip=False)
    again = forms.CharField(max_length=4096, strip=False)

    def clean(self) -> dict[str, Any]:
        """Make sure that the password was typed twice the same."""
        cleaned: dict[str, Any] = super().clean() or {}
        again = cleaned.pop("again", None)
        if again is not None and "password" in cleaned and cleaned["password"] != again:
            self.add_error("again", "It differs from the password above.")
        return cleaned


@never_cache
@sensitive_post_parameters()
def first_time_setup(request: HttpRequest) -> HttpResponse:
    """Make the first administrator and sign them in; there is no such page once somebody exists."""
    if not setup.is_open():
        return redirect("home")
    form = SetupForm(request.POST or None)
    if request.method != "POST" or not form.is_valid():
        return _page(request, form)
    try:
        user = setup.make_first_admin(**form.cleaned_data)
    except SetupDoneError:
        return render(request, "web/setup_done.html", status=SetupDoneError.status)
    except AgnesError as error:
        form.add_error(_FIELD_OF.get(error.code), said(error))
        return _page(request, form)
    login(request, user)
    return redirect("admin:index")


def invitation(code: NewCode) -> str:
    """Return what the console says: where to go, and with which code."""
    address = settings.CONFIG.server_url.rstrip("/") + reverse("first_time_setup")
    return (
        f"\nNobody can sign in yet. Make the first administrator in the browser:\n\n"
        f"    {address}\n"
        f"    one-time code  {code.text}   (good until {code.expires_at:%Y-%m-%d %H:%M} UTC)\n"
    )


def _page(request: HttpRequest, form: SetupForm) -> HttpResponse:
    return render(request, "web/first_time_setup.html", {"form": form})
