"""The work in the admin: runs, and what they add to the pages of tables and sources."""

from extracts.admin.run import RunAdmin

__all__ = ["RunAdmin"]
