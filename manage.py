#!/usr/bin/env python
"""The operator's entry: `python manage.py help`."""

from __future__ import annotations

import os
import sys

from django.core.management import execute_from_command_line
from django.db import DatabaseError

from agnes_site.core.errors import AgnesError
from agnes_site.core.storage import as_database_error, as_storage_error


def main() -> None:
    """Run a management command; what an operator can mend is one line, not a traceback."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agnes_site.settings")
    try:
        execute_from_command_line(sys.argv)
    except AgnesError as error:
        sys.exit(_told(error))
    except OSError as error:
        sys.exit(_told(as_storage_error(error)))
    except DatabaseError as error:
        known = as_database_error(error)
        if known is None:
            raise
        sys.exit(_told(known))


def _told(error: AgnesError) -> int:
    sys.stderr.write(f"Error: {error.message}\n")
    if error.hint:
        sys.stderr.write(f"hint: {error.hint}\n")
    return 1


if __name__ == "__main__":
    main()
