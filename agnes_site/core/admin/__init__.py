"""The ground that every page of the admin stands on."""

from agnes_site.core.admin.bulk import BulkAction, Step
from agnes_site.core.admin.differences import difference
from agnes_site.core.admin.inline import RowsInline
from agnes_site.core.admin.listing import CountedPaginator, OneOfManyFilter
from agnes_site.core.admin.offers import Button, Done, NextStep, button
from agnes_site.core.admin.page import Admin, ReadOnlyAdmin
from agnes_site.core.admin.refusals import said
from agnes_site.core.admin.rows import become, summary

__all__ = [
    "Admin",
    "BulkAction",
    "Button",
    "CountedPaginator",
    "Done",
    "NextStep",
    "OneOfManyFilter",
    "ReadOnlyAdmin",
    "RowsInline",
    "Step",
    "become",
    "button",
    "difference",
    "said",
    "summary",
]
