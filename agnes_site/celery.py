"""The Celery application: `celery -A agnes_site worker`."""

from __future__ import annotations

import os

from celery import Celery
from kombu.transport import TRANSPORT_ALIASES

TRANSPORT_ALIASES["folder"] = "agnes_site.core.broker:Transport"
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agnes_site.settings")  # noqa: TID251 (Django's)

app = Celery("agnes")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
