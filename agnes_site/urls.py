"""Where everything is on the web."""

from __future__ import annotations

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView

from agnes_site.api import api
from agnes_site.web import accounts
from agnes_site.web.exchange import exchange_page, export
from agnes_site.web.first_time_setup import first_time_setup
from agnes_site.web.home import home
from agnes_site.web.search import search_page

admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]  # as its page says
admin.site.index_template = "web/overview.html"

urlpatterns: list[URLPattern | URLResolver] = [
    path("", home, name="home"),
    path("login", RedirectView.as_view(pattern_name="account_login", query_string=True)),
    path("admin/exchange/", admin.site.admin_view(exchange_page), name="exchange"),
    path("admin/exchange/export/", admin.site.admin_view(export), name="exchange_export"),
    path("admin/search/", admin.site.admin_view(search_page), name="search"),
    path("first-time-setup", first_time_setup, name="first_time_setup"),
    path("accounts/login/", accounts.sign_in),
    path("admin/", admin.site.urls),
    path("accounts/", include("allauth.account.urls")),
    path("", api.urls),
]

handler400 = "agnes_site.api.bad_request"
handler404 = "agnes_site.api.not_found"
handler500 = "agnes_site.api.failed"
