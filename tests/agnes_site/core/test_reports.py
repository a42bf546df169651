from __future__ import annotations

import sys

from django.views.debug import technical_500_response

from agnes_site.core.config import Config

# Put together here: the page shows lines of this file.
CANARY = "-".join(["canary", "66a"])


def page(rf, **environ) -> str:
    request = rf.post("/admin/", {"secret_password": CANARY}, **environ)

    def save(password):
        raise KeyError("nobody foresaw this")

    try:
        save(CANARY)
    except KeyError:
        return technical_500_response(request, *sys.exc_info()).content.decode()


class TestPageAboutAnError:
    def test_shows_where_it_was_and_no_values(self, rf, settings):
        settings.DEBUG = True

        shown = page(rf, AGNES_SOURCE_VAULT=CANARY, HTTP_AUTHORIZATION=f"Bearer {CANARY}")

        assert "nobody foresaw this" in shown
        assert "test_reports.py" in shown
        assert CANARY not in shown

    def test_shows_no_secret_of_the_settings(self, rf, settings):
        settings.DEBUG = True
        settings.CONFIG = Config(
            secret_key=CANARY, database_url=CANARY, redis_url=CANARY, secrets_keys=CANARY
        )
        settings.CELERY_BROKER_URL = f"redis://:{CANARY}@host"

        assert CANARY not in page(rf)
