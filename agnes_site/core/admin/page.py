"""The base of every page of the admin: what a service refuses is said where it was asked for.

A subclass calls services in ``save_model`` and ``delete_model``. When one raises an ``AgnesError``,
nothing of the request is kept: a form is shown again with the reason at its field, anything else
comes back with a message.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.http import HttpResponseRedirect as Redirect
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe
from unfold.views import ChangeList

from agnes_site.core import markup
from agnes_site.core.admin import staying
from agnes_site.core.admin.bulk_page import BulkAdmin
from agnes_site.core.admin.buttons_page import ButtonsAdmin
from agnes_site.core.admin.listing import CountedPaginator, RowsChangeList
from agnes_site.core.admin.offers import NextStep
from agnes_site.core.admin.refusals import refusing, said
from agnes_site.core.constraints import violations_told
from agnes_site.core.errors import AgnesError


class Admin(ButtonsAdmin, BulkAdmin):
    """A list and a page for one model, in terms of services."""

    list_per_page = 100
    show_full_result_count = False
    paginator = CountedPaginator
    list_before_template = "web/limits.html"
    list_filter_submit = False
    list_fullwidth = True
    compressed_fields = True
    change_form_outer_before_template = "web/above_form.html"
    change_form_outer_after_template = "web/below_form.html"
    next_step: ClassVar[NextStep | None] = None
    # At which field of the form the errors of services are shown, by their code.
    error_fields: ClassVar[Mapping[str, str]] = {}

    def above(self, request: HttpRequest, obj: Any) -> SafeString:
        """Return what stands above the form of ``obj``."""
        return mark_safe("")

    def below(self, request: HttpRequest, obj: Any) -> SafeString:
        """Return what stands below the form of ``obj``."""
        return mark_safe("")

    def complete_rows(self, request: HttpRequest, rows: list[Any]) -> None:
        """Look up, for all rows of a page of the list at once, what its columns show."""

    def goes_with(self, obj: Any) -> Sequence[str]:
        """Say what else is gone when ``obj`` is deleted."""
        return ()

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return the list whose rows are completed a page at a time."""
        return RowsChangeList

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the list as it was left; what a service refuses of an action becomes a message."""
        left = staying.returning(request)
        if left is not None:
            return left
        try:
            with violations_told():
                answer: HttpResponse = super().changelist_view(request, extra_context)
        except (AgnesError, ValidationError) as error:
            self.say(request, said(error), level=messages.ERROR)
            answer = Redirect(request.get_full_path())
        return answer

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """Show or save the form; what a service refuses is shown in it, else in the list."""
        try:
            with violations_told():
                return super().changeform_view(request, object_id, form_url, extra_context)
        except (AgnesError, ValidationError) as error:
            if request.method == "POST" and not hasattr(request, "refused"):
                request.refused = error  # type: ignore[attr-defined]  # read by get_form
                return self.changeform_view(request, object_id, form_url, extra_context)
            self.say(request, said(error), level=messages.ERROR)
            return Redirect(reverse(self.url_name("changelist")))

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        """Return the form, which refuses what a service has refused."""
        form = super().get_form(request, obj, change=change, **kwargs)
        error = getattr(request, "refused", None)
        return form if error is None else refusing(form, error, self.error_fields)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Show the form between what stands above and below it."""
        obj = context.get("original")
        context["show_save_and_add_another"] = False
        if obj is not None:
            context |= {"above": self.above(request, obj), "below": self.below(request, obj)}
        answer: HttpResponse = super().render_change_form(request, context, *args, **kwargs)
        return answer

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Return the field of a form, with the code in its help shown as code."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None:
            field.help_text = markup.prose(str(field.help_text))
        return field

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        """Hand each row of an inline to what its inline does with it."""
        formset.save(commit=False)
        inline = next(
            found
            for found in self.get_inline_instances(request, form.instance)
            if found.model is formset.model
        )
        for row in formset.deleted_objects:
            inline.remove_row(request, row)
        for row, _ in formset.changed_objects:
            inline.change_row(request, row)
        for row in formset.new_objects:
            inline.add_row(request, row)

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Ask, then delete; what a service refuses becomes a message on the object's page."""
        try:
            with violations_told():
                answer: HttpResponse = super().delete_view(request, object_id, extra_context)
        except (AgnesError, ValidationError) as error:
            self.say(request, said(error), level=messages.ERROR)
            answer = Redirect(reverse(self.url_name("change"), args=[object_id]))
        return answer

    def delete_queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> None:
        """Delete the chosen ones as single ones are deleted."""
        for obj in queryset:
            self.delete_model(request, obj)

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[str]]:
        """Return what the question before a deletion lists."""
        chosen = list(objs)
        listed = [item for obj in chosen for item in (str(obj), list(self.goes_with(obj))) if item]
        name = self.opts.verbose_name if len(chosen) == 1 else self.opts.verbose_name_plural
        return listed, {str(name): len(chosen)}, set(), []

    # The audit is the one record of who did what.
    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> None:
        """Leave the record to the audit."""

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> None:
        """Leave the record to the audit."""

    def log_deletions(self, request: HttpRequest, queryset: Any) -> None:
        """Leave the record to the audit."""


class ReadOnlyAdmin(Admin):
    """A list and a page of what only the system itself writes."""

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return no form: what there is to be seen stands above it."""
        return []

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Say that nothing is added here."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say that nothing is changed here."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say that nothing is deleted here."""
        return False
