"""Tables: registered, changed, unregistered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin, messages
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.http import HttpResponseRedirect as Redirect
from django.shortcuts import render
from django.urls import reverse

from access.models import Grant
from agnes_site.core import human
from agnes_site.core.admin import become, summary
from agnes_site.core.database import as_uuid
from agnes_site.core.errors import AgnesError
from catalog import connectors, queries
from catalog.admin import settings_form
from catalog.admin.table_form import ABOUT, INCREMENTAL, LINES, ORIGIN, UPKEEP, TableForm
from catalog.admin.table_page import TablePage
from catalog.admin.timing import explained
from catalog.connectors import QueryMode, SyncStrategy
from catalog.models import Source, Table
from catalog.services import registry


@admin.register(Table)
class TableAdmin(TablePage):
    """The registry: its list, the form of a table, and its page."""

    autocomplete_fields = ("owner",)
    error_fields = {  # noqa: RUF012 (declared as a class variable in the base)
        "table_exists": "new_name",
        "table_invalid": "new_name",
        "schedule_invalid": "sync_schedule",
        "query_mode_unsupported": "query_mode",
        "sync_strategy_unsupported": "sync_strategy",
        "source_query_refused": "source_query",
        "source_object_missing": "source_query",
        "source_right_missing": "source_query",
    }

    def audited_as(self, obj: Table) -> Sequence[str]:
        """Return its name."""
        return [f"table/{obj.name}"]

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Ask for the source first: what can be said of a table follows from it."""
        source = self._chosen_source(request)
        if source is not None:
            title = {"title": f"Register a table of {source}"}
            answer: HttpResponse = super().add_view(
                request, form_url, {**(extra_context or {}), **title}
            )
            return answer
        known = Source.objects.annotate(tables_total=Count("tables"))
        if not known:
            self.say(request, "Add a source first: tables come from one.", level=messages.INFO)
            return Redirect(reverse("admin:catalog_source_add"))
        url = reverse("admin:catalog_table_add")
        context = {
            **self.admin_site.each_context(request),
            "title": "Register a table: where does it come from?",
            "choices": [
                (str(each), human.plural(each.tables_total, "table"), f"{url}?source={each.pk}")
                for each in known
            ],
            "note": "The page of a source lists what it offers, ready to be registered.",
        }
        return render(request, "web/choose.html", context)

    def changeform_view(
        self, request: HttpRequest, object_id: Any = None, form_url: str = "",
        extra_context: Any = None,
    ) -> HttpResponse:  # fmt: skip
        """Have a query judged before the transaction of the form begins."""
        # A form that was refused is shown by this view too: the source is asked once.
        if request.method == "POST" and not hasattr(request, "refusal"):
            request.refusal = self._refusal(request, object_id)  # type: ignore[attr-defined]  # for save_model
        answer: HttpResponse = super().changeform_view(request, object_id, form_url, extra_context)
        return answer

    def get_form(
        self, request: HttpRequest, obj: Table | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        """Return the form with the fields that the connector wants for a table."""
        connector = self._connector(request, obj)
        values = obj.options if obj else {}
        fields = settings_form.form_fields(connector.table_schema, values)
        made = type("TableForm", (TableForm,), {**fields, "connector": connector})
        form = super().get_form(request, obj, change=change, **{**kwargs, "form": made})
        served = {
            "query_mode": connector.query_modes,
            "sync_strategy": connector.sync_strategies,
        }
        for name in served.keys() & form.base_fields.keys():
            field = form.base_fields[name]
            field.choices = [each for each in field.choices if each[0] in served[name]]
        return form

    def get_fieldsets(self, request: HttpRequest, obj: Table | None = None) -> Any:
        """Return what it is, where it comes from, and how it is kept up."""
        connector = self._connector(request, obj)
        options = settings_form.names(connector.table_schema)
        first = ABOUT if obj else ("new_name", "source_table", *ABOUT)
        origin = ORIGIN if obj else ORIGIN[1:]
        folded = [] if obj and obj.options else ["collapse"]
        return [
            (None, {"fields": first}),
            ("Where it comes from", {"fields": _fitting(origin, connector)}),
            *(
                [("How it is written there", {"fields": options, "classes": folded})]
                if options
                else []
            ),
            ("How it is kept up", {"fields": _fitting(UPKEEP, connector)}),
        ]

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Give long texts as many lines as they need at first."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name in LINES:
            field.widget.attrs["rows"] = LINES[db_field.name]
        if db_field.name == "sync_schedule":
            explained(field.widget)
        return field

    def save_model(self, request: HttpRequest, obj: Table, form: Any, change: Any) -> None:
        """Register or change the table."""
        by: Any = request.user
        refusal: AgnesError | None = getattr(request, "refusal", None)
        if refusal is not None:
            raise refusal
        names = _fitting((*ABOUT, *ORIGIN, *UPKEEP), form.connector)
        fields = {name: form.cleaned_data[name] for name in names}
        fields["options"] = form.settings
        fields["primary_key"] = fields["primary_key"] or []
        if change:
            registry.update_table(table=obj, by=by, **fields)
            return
        folder = fields.pop("folder")
        if not fields["display_name"]:
            del fields["display_name"]  # then it is the name as it was typed
        source = self._chosen_source(request)
        assert source is not None
        made = registry.register_table(
            source=source,
            name=form.cleaned_data["new_name"],
            by=by,
            folder=folder.slug if folder else "",
            **fields,
        )
        become(obj, made)

    def delete_model(self, request: HttpRequest, obj: Table) -> None:
        """Unregister the table."""
        by: Any = request.user
        registry.unregister_table(table=obj, by=by)

    def goes_with(self, obj: Table) -> Sequence[str]:
        """Say what else is gone."""
        held = Grant.objects.filter(resource_type="table", resource_id=obj.name).count()
        return [*summary(obj.versions.count(), "version"), *summary(held, "grant")]

    def _refusal(self, request: HttpRequest, object_id: Any) -> AgnesError | None:
        """Return what is wrong with the query that was typed, if it is another one."""
        table = self.get_object(request, object_id) if object_id else None
        source = table.source if table else self._chosen_source(request)
        given = {name: request.POST.get(name, "") for name in ("query_mode", "source_query")}
        if source is None or not self.has_change_permission(request, table):
            return None
        try:
            queries.check(source=source, fields=given, table=table)
        except AgnesError as error:
            return error
        return None

    def _chosen_source(self, request: HttpRequest) -> Source | None:
        chosen = as_uuid(request.GET.get("source"))
        return Source.objects.filter(pk=chosen).first() if chosen else None

    def _connector(self, request: HttpRequest, obj: Table | None) -> connectors.Connector:
        source = obj.source if obj else self._chosen_source(request)
        return connectors.get(source.source_type if source else "files")


def _fitting(names: Sequence[str], connector: connectors.Connector) -> list[str]:
    """Return those of the fields that have a meaning for tables of a connector."""
    without: set[str] = set()
    if len(connector.query_modes) == 1:
        without |= {"query_mode"}
    if QueryMode.MATERIALIZED not in connector.query_modes:
        without |= {"source_query"}
    if SyncStrategy.INCREMENTAL not in connector.sync_strategies:
        without |= set(INCREMENTAL)
    return [name for name in names if name not in without]
