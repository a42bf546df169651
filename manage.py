#!/usr/bin/env python
"""The operator's entry: `python manage.py help`."""

from __future__ import annotations

import os
import sys

from django.core.management import execute_from_command_line

from agnes_site.core.errors import AgnesError


def main() -> None:
    """Run a management command; what an operator can mend is one line, not a traceback."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agnes_site.settings")
    try:
        execute_from_command_line(sys.argv)
    except AgnesError as error:
        sys.stderr.write(f"Error: {error.message}\n")
        if error.hint:
            sys.stderr.write(f"hint: {error.hint}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
