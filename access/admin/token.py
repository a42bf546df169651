"""Tokens: made, shown once, revoked; never edited."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from django import forms
from django.conf import settings
from django.contrib import admin
from django.db.models import Q, QuerySet, prefetch_related_objects
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold import widgets

from access.models import AccessToken, TokenKind
from access.services import tokens
from agnes_site.core import markup
from agnes_site.core.admin import (
    Admin,
    BulkAction,
    NextStep,
    OneOfManyFilter,
    Step,
    become,
    button,
)
from agnes_site.core.markup import Tone


class TokenForm(forms.ModelForm[AccessToken]):
    """A new token and what it is limited to."""

    is_read_only = forms.BooleanField(
        required=False,
        label="Read only",
        widget=widgets.UnfoldBooleanSwitchWidget(),
        help_text="Keeps the token out of administration, whoever its user is.",
    )
    tables = forms.CharField(
        required=False,
        label="Only these tables",
        widget=widgets.UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="Names, one per line. Empty: all that the user may read.",
    )

    class Meta:
        model = AccessToken
        fields = ("user", "name", "kind", "expires_at")
        help_texts: ClassVar = {
            "user": "Whoever has the token may do what this user may.",
            "kind": "What uses it: programs of a person, the command `agnes`, a service. It may "
            "do the same.",
            "expires_at": "The token ends at this time; empty: when it is revoked.",
        }

    def clean_tables(self) -> list[str]:
        """Return the names that were given."""
        return str(self.cleaned_data["tables"]).split()


class StateFilter(admin.SimpleListFilter):
    """Whether a token works."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the choices."""
        return [("valid", "Valid"), ("over", "Revoked or expired")]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[AccessToken]
    ) -> QuerySet[AccessToken]:
        """Limit the tokens to the chosen ones."""
        over = Q(revoked_at__isnull=False) | Q(expires_at__lte=timezone.now())
        match self.value():
            case "valid":
                return queryset.exclude(over)
            case "over":
                return queryset.filter(over)
        return queryset


def _revoking(chosen: Sequence[AccessToken], values: Mapping[str, Any]) -> Iterator[Step]:
    prefetch_related_objects(chosen, "user")
    for token in chosen:
        is_alive = token.revoked_at is None
        yield Step(
            row=token,
            name=token.name,
            text=f"Ends at once for {token.user.email}." if is_alive else "It is revoked already.",
            is_possible=is_alive,
        )


@admin.register(AccessToken)
class AccessTokenAdmin(Admin):
    """How programs sign in."""

    form = TokenForm
    list_display = ("name", "user", "kind", "shown", "state", "used", "expires")
    list_filter = (StateFilter, "kind", ("user", OneOfManyFilter))
    list_select_related = ("user",)
    search_fields = ("name", "user__email", "prefix", "last4")
    autocomplete_fields = ("user",)
    bulk = (
        BulkAction(
            key="revoke", label="Revoke", confirm="Revoke", done="Revoked", is_dangerous=True,
            plan=_revoking, do=lambda token, values, by: tokens.revoke(token=token, by=by),
            effect=lambda chosen, values: "This cannot be undone.",
        ),
    )  # fmt: skip
    buttons = ("revoke",)
    fieldsets = (
        (None, {"fields": ("user", "name", "kind", "expires_at")}),
        ("Limits", {"fields": ("is_read_only", "tables")}),
    )
    next_step = NextStep(
        text="A token lets a program act as a user: the command line on a laptop, an agent, a "
        "script. Its secret is shown once, when it is made.",
        label="Add a token",
        url_name="admin:access_accesstoken_add",
    )

    @admin.display(description="token")
    def shown(self, token: AccessToken) -> SafeString:
        """Show what tells it from others, not what it is."""
        return markup.code(f"{token.prefix}…{token.last4}")

    @admin.display(description="state")
    def state(self, token: AccessToken) -> SafeString:
        """Show whether it works."""
        if token.revoked_at is not None:
            return markup.badge("revoked", Tone.WARN)
        if token.expires_at is not None and token.expires_at <= timezone.now():
            return markup.badge("expired", Tone.WARN)
        if not token.user.is_active:
            return markup.badge("user inactive", Tone.WARN)
        return markup.badge("valid", Tone.GOOD)

    @admin.display(description="last used", ordering="last_used_at")
    def used(self, token: AccessToken) -> SafeString:
        """Show when it was used, and from where."""
        return markup.lines(markup.when(token.last_used_at), token.last_used_ip)

    @admin.display(description="expires", ordering="expires_at")
    def expires(self, token: AccessToken) -> SafeString:
        """Show when it ends."""
        return markup.when(token.expires_at)

    def has_change_permission(self, request: HttpRequest, obj: AccessToken | None = None) -> bool:
        """Say that a token is never edited."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: AccessToken | None = None) -> bool:
        """Say that a token is revoked: what it did keeps its name."""
        return False

    def get_fieldsets(self, request: HttpRequest, obj: AccessToken | None = None) -> Any:
        """Return the form of a new token; an old one has none."""
        return [] if obj else self.fieldsets

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Propose a personal token; for whom is for a person to say."""
        found: dict[str, Any] = super().get_changeform_initial_data(request)
        return {"kind": TokenKind.PAT, **found}

    def save_model(self, request: HttpRequest, obj: AccessToken, form: Any, change: Any) -> None:
        """Make the token; its secret goes to the next page and nowhere else."""
        by: Any = request.user
        made = tokens.create(
            user=obj.user, name=obj.name, kind=TokenKind(obj.kind), expires_at=obj.expires_at,
            scopes=["read"] if form.cleaned_data["is_read_only"] else [],
            only=form.cleaned_data["tables"], by=by,
        )  # fmt: skip
        become(obj, made.token)
        request.new_secret = made.secret  # type: ignore[attr-defined]  # read by response_add

    def response_add(
        self, request: HttpRequest, obj: AccessToken, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Show the secret, once."""
        context = {
            **self.admin_site.each_context(request),
            "title": "The new token",
            "opts": self.opts,
            "token": obj,
            "secret": request.new_secret,  # type: ignore[attr-defined]  # set by save_model
            "server_url": settings.CONFIG.server_url,
            "next_url": reverse("admin:access_accesstoken_changelist"),
        }
        return render(request, "access/new_token.html", context)

    @button("Revoke", icon="block", confirm="End this token at once? This cannot be undone.")
    def revoke(self, request: HttpRequest, token: AccessToken) -> None:
        """End the token."""
        by: Any = request.user
        tokens.revoke(token=token, by=by)
        self.say(request, "The token is revoked.")

    def offered(self, request: HttpRequest, obj: AccessToken) -> Sequence[str]:
        """Offer to revoke what is not revoked."""
        return ("revoke",) if obj.revoked_at is None else ()

    def above(self, request: HttpRequest, obj: AccessToken) -> SafeString:
        """Return all that is known of the token; the secret is not."""
        told = markup.facts(
            [
                ("State", self.state(obj)),
                ("Token", self.shown(obj)),
                ("User", obj.user),
                ("Kind", obj.get_kind_display()),
                ("May do", "read only" if obj.scopes == ["read"] else "all that the user may"),
                ("Tables", ", ".join(obj.only) or "all that the user may read"),
                ("Made", markup.when(obj.created_at)),
                ("Last used", self.used(obj)),
                ("Expires", self.expires(obj)),
                ("Revoked", markup.when(obj.revoked_at, never="no")),
            ]
        )
        return markup.card(obj.name, told, aside=self.button_bar(request, obj))
