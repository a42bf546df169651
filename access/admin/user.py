"""Users: who there is, who may sign in, and which groups they are in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Exists, OuterRef, Prefetch, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.safestring import SafeString
from unfold import widgets

from access.admin.history import HistoriedAdmin
from access.admin.membership import GroupsInline
from access.admin.user_bulk import USER_BULK
from access.models import ADMIN, EVERYONE, AccessToken, Membership, User
from access.services import groups, users
from agnes_site.core import human, markup
from agnes_site.core.admin import NextStep, OneOfManyFilter, become, button
from agnes_site.core.markup import Tone


class UserForm(forms.ModelForm[User]):
    """A user, and a password that is never shown again."""

    password = forms.CharField(
        required=False,
        strip=False,
        widget=widgets.UnfoldAdminPasswordToggleWidget(attrs={"autocomplete": "new-password"}),
        help_text="Ten characters or more. Empty: as it is; a new user cannot sign in by password.",
    )

    class Meta:
        model = User
        fields = ("email", "name", "attributes")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial.pop("password", None)

    def clean_password(self) -> str:
        """Keep what was typed away from the row, which holds a hash."""
        self.typed_password = str(self.cleaned_data.get("password") or "")
        return self.instance.password


@admin.register(User)
class UserAdmin(HistoriedAdmin):
    """People and service accounts."""

    form = UserForm
    list_display = ("named", "state", "in_groups", "token_count", "seen")
    list_filter = ("is_active", ("memberships__group", OneOfManyFilter))
    search_fields = ("email", "name")
    inlines = (GroupsInline,)
    bulk = USER_BULK
    buttons = ("deactivate", "activate")
    error_fields = {  # noqa: RUF012 (declared as a class variable in the base)
        "user_exists": "email",
        "password_weak": "password",
    }
    next_step = NextStep(
        text="Nobody matches. Users are made here, with a password that they change themselves.",
        label="Add a user",
        url_name="admin:access_user_add",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        """Return the users with what their list shows."""
        found: QuerySet[User] = super().get_queryset(request)
        reasons = Membership.objects.select_related("group")
        living = AccessToken.objects.filter(revoked_at=None)
        is_admin = Membership.objects.filter(user=OuterRef("pk"), group__name=ADMIN)
        return found.prefetch_related(
            Prefetch("memberships", queryset=reasons, to_attr="reasons"),
            Prefetch("tokens", queryset=living.only("user_id", "last_used_at"), to_attr="living"),
        ).annotate(administers=Exists(is_admin))

    @admin.display(description="user", ordering="email")
    def named(self, user: User) -> SafeString:
        """Show name and e-mail."""
        return markup.lines(user.email, user.name)

    @admin.display(description="state", ordering="is_active")
    def state(self, user: Any) -> SafeString:
        """Show whether they may sign in, and whether they administer."""
        if not user.is_active:
            return markup.badge("inactive", Tone.WARN)
        if user.administers:
            return markup.badge("administrator", Tone.BUSY)
        return markup.badge("active", Tone.GOOD)

    @admin.display(description="groups")
    def in_groups(self, user: Any) -> str:
        """Show the groups they were put into."""
        names = sorted({membership.group.name for membership in user.reasons})
        return ", ".join(names) or f"{EVERYONE} only"

    @admin.display(description="tokens")
    def token_count(self, user: Any) -> str:
        """Show how many of their tokens work."""
        return human.number(len(user.living))

    @admin.display(description="last seen")
    def seen(self, user: Any) -> SafeString:
        """Show when they signed in, or used a token."""
        times = [user.last_login, *(token.last_used_at for token in user.living)]
        return markup.when(max((time for time in times if time), default=None))

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        """Return who it is, and facts for policies on an existing one."""
        about = (None, {"fields": ("email", "name", "password")})
        facts = ("Facts for policies", {"fields": ("attributes",), "classes": ("collapse",)})
        return [about, facts] if obj else [about]

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Say that users are deactivated: what they did keeps its name."""
        return False

    def audited_as(self, obj: User) -> Sequence[str]:
        """Return its id."""
        return [f"user/{obj.pk}"]

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: Any) -> None:
        """Make or change the user."""
        by: Any = request.user
        password = form.typed_password
        if not change:
            made = users.create_user(email=obj.email, name=obj.name, password=password, by=by)
            become(obj, made)
            return
        users.change_user(
            user=obj, by=by, email=obj.email, name=obj.name, attributes=obj.attributes or {}
        )
        if password:
            users.set_password(user=obj, password=password, by=by)
            self.say(request, f"{obj} has a new password and is signed out everywhere.")

    def offered(self, request: HttpRequest, obj: User) -> Sequence[str]:
        """Offer the other state than the present one."""
        return ("deactivate",) if obj.is_active else ("activate",)

    @button("Deactivate", icon="block", confirm="Keep this user out, with all tokens, at once?")
    def deactivate(self, request: HttpRequest, user: User) -> None:
        """Keep somebody out."""
        by: Any = request.user
        groups.set_active(user=user, is_active=False, by=by)
        self.say(request, f"{user} has no access any more.")

    @button("Activate", icon="check_circle", is_main=True)
    def activate(self, request: HttpRequest, user: User) -> None:
        """Let somebody in again."""
        by: Any = request.user
        groups.set_active(user=user, is_active=True, by=by)
        self.say(request, f"{user} has access again.")

    def above(self, request: HttpRequest, obj: Any) -> SafeString:
        """Return whether they may sign in, and since when."""
        tokens = f"{reverse('admin:access_accesstoken_changelist')}?user__id__exact={obj.pk}"
        audit = f"{reverse('admin:access_auditevent_changelist')}?actor__id__exact={obj.pk}"
        state = markup.facts(
            [
                ("State", self.state(obj)),
                ("Password", "set" if obj.has_usable_password() else "none"),
                ("Tokens", markup.link(tokens, self.token_count(obj))),
                ("Last seen", self.seen(obj)),
                ("Added", markup.when(obj.created_at)),
                ("What they did", markup.link(audit, "Audit")),
            ]
        )
        title = markup.lines(str(obj), obj.email if obj.name else "")
        new_token = f"{reverse('admin:access_accesstoken_add')}?user={obj.pk}"
        add_token = markup.go_button(new_token, "Add a token", icon="password")
        bar = self.button_bar(request, obj)
        return markup.card(title, state, aside=bar + add_token if obj.is_active else bar)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[User], search_term: str
    ) -> tuple[QuerySet[User], bool]:
        """Leave people without access out where a user is chosen for something."""
        found, may_repeat = super().get_search_results(request, queryset, search_term)
        if request.path == reverse("admin:autocomplete"):
            found = found.filter(is_active=True)
        return found, may_repeat
