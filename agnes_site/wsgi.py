"""The WSGI application that gunicorn serves."""

from __future__ import annotations

import atexit
import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agnes_site.settings")  # noqa: TID251 (Django's)

application = get_wsgi_application()

from access.services import tokens  # noqa: E402 (models are loaded by now)

atexit.register(tokens.uses.flush)
