"""The Celery application: `celery -A agnes_site worker`."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agnes_site.settings")  # noqa: TID251 (Django's)

app = Celery("agnes")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
