"""The landing page of administrators: is all well, what happened, what is next."""

from agnes_site.web.overview.page import dashboard
from agnes_site.web.overview.state import open_incidents_badge

__all__ = ["dashboard", "open_incidents_badge"]
