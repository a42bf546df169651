"""Calls one function inside an installation: `python -m tests.bench.inside module:name`."""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module

import django


def main() -> None:
    """Read the arguments as JSON, call the function, write its result as the last line."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agnes_site.settings")
    django.setup()
    module, _, name = sys.argv[1].partition(":")
    result = getattr(import_module(module), name)(**json.load(sys.stdin))
    sys.stdout.write(f"\n{json.dumps(result)}\n")


if __name__ == "__main__":
    main()
