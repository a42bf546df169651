"""How people sign in: by password, with accounts that an administrator made."""

from __future__ import annotations

from allauth.account import views
from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect

from access.services import setup


class AccountAdapter(DefaultAccountAdapter):
    """Nobody signs up by themselves."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Say that accounts are made by administrators only."""
        return False


def sign_in(request: HttpRequest) -> HttpResponseBase:
    """Ask for e-mail and password, or for the first administrator while there is nobody."""
    if request.method == "GET" and setup.is_open():
        return redirect("first_time_setup")
    answer: HttpResponseBase = views.login(request)
    return answer
