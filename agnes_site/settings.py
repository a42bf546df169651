"""Django's settings; every value that can differ between installations comes from ``config``."""

from __future__ import annotations

import dj_database_url
import django_stubs_ext
from celery.schedules import crontab

from agnes_site.core import failpoints
from agnes_site.core.broker import redis_options
from agnes_site.core.config import config
from agnes_site.core.errors import ConfigurationError
from agnes_site.core.logs import logging_config
from agnes_site.core.secrets import persistent_key
from agnes_site.core.storage import Layout
from agnes_site.web import look

django_stubs_ext.monkeypatch()

CONFIG = config()
LAYOUT = Layout(root=CONFIG.data_dir.absolute(), state=CONFIG.state.absolute())
LAYOUT.create()
failpoints.arm(CONFIG.failpoint, once=CONFIG.failpoint_once)

SECRET_KEY = CONFIG.secret_key or persistent_key(LAYOUT.state / "keys" / "session")
DEBUG = CONFIG.debug
DEFAULT_EXCEPTION_REPORTER_FILTER = "agnes_site.core.reports.PlacesOnly"
ALLOWED_HOSTS = list(CONFIG.allowed_hosts)

INSTALLED_APPS = [
    # First, so that its templates are found before those of the packages.
    "agnes_site.web",
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "ninja",
    "access",
    "catalog",
    "extracts",
]

MIDDLEWARE = [
    "agnes_site.core.requests.RequestContextMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "agnes_site.urls"
WSGI_APPLICATION = "agnes_site.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

if CONFIG.database_url:
    try:
        _database = dj_database_url.parse(
            CONFIG.database_url, conn_max_age=600, conn_health_checks=True
        )
        if _database["ENGINE"] != "django.db.backends.postgresql":
            raise ValueError("not PostgreSQL")
    except ValueError:
        # What is wrong with it would show what is in it.
        raise ConfigurationError(
            "DATABASE_URL cannot be used.",
            hint="Write postgres://user:password@host/name; quote special characters as %40.",
        ) from None
    # A server that is gone without a word holds up nobody for long.
    _database["OPTIONS"] = {
        "connect_timeout": 10, "tcp_user_timeout": 30_000, **_database.get("OPTIONS", {}),
    }  # fmt: skip
    DATABASES = {"default": _database}
else:
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": str(LAYOUT.state / "agnes.sqlite3"),
            "CONN_MAX_AGE": 600,
            "OPTIONS": {
                # Writers queue at BEGIN instead of failing at their first write.
                "transaction_mode": "IMMEDIATE",
                "timeout": 30,
                "init_command": "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;",
            },
        }
    }

if CONFIG.redis_url:
    CACHES = {
        "default": {
            "BACKEND": "agnes_site.core.cache.RedisCache",
            "LOCATION": CONFIG.redis_url,
            "KEY_PREFIX": CONFIG.queue_prefix,
        }
    }
else:
    CACHES = {
        "default": {
            "BACKEND": "agnes_site.core.cache.FileBasedCache",
            "LOCATION": str(LAYOUT.state / "cache"),
        }
    }

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "access.User"
# The e-mail is unique without regard to case: a constraint on Lower("email").
SILENCED_SYSTEM_CHECKS = ["auth.W004"]
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 10},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "agnes_site.web.accounts.AccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_SESSION_REMEMBER = True

SESSION_COOKIE_AGE = CONFIG.session_days * 24 * 3600
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = CONFIG.is_behind_https
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if CONFIG.is_behind_https else None
SECURE_REFERRER_POLICY = "same-origin"
CSRF_TRUSTED_ORIGINS = [CONFIG.server_url]
X_FRAME_OPTIONS = "DENY"

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False

STATIC_URL = "/static/"
STATIC_ROOT = LAYOUT.root / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
# Serve from the packages themselves: no step between installing and starting.
WHITENOISE_USE_FINDERS = True

LOGGING_CONFIG = None
logging_config(level=CONFIG.log_level, style=CONFIG.log_format)

CELERY_BROKER_URL = CONFIG.redis_url or "folder://localhost"
CELERY_BROKER_TRANSPORT_OPTIONS = (
    redis_options(prefix=CONFIG.queue_prefix)
    if CONFIG.redis_url
    else {
        "data_folder_in": str(LAYOUT.broker),
        "data_folder_out": str(LAYOUT.broker),
        # At its default of a second, a task waits seconds for an idle worker.
        "polling_interval": 0.1,
    }
)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
# Who asks for a run does not wait long for the bell: the sweeper rings again.
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 1, "interval_start": 0}
CELERY_TASK_IGNORE_RESULT = True
# Each start of a worker would leave a queue behind, and nobody gives orders through it.
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TASK_DEFAULT_QUEUE = "runs"
CELERY_TASK_ROUTES = {
    "extracts.tasks.sweep": {"queue": "upkeep"},
    "extracts.tasks.start_due": {"queue": "upkeep"},
    "extracts.tasks.scan": {"queue": "upkeep"},
    "extracts.tasks.collect_garbage": {"queue": "upkeep"},
    "extracts.tasks.scrub": {"queue": "upkeep"},
    "extracts.tasks.check_stored_file": {"queue": "upkeep"},
    "access.tasks.seal_audit": {"queue": "upkeep"},
    "access.tasks.check_audit": {"queue": "upkeep"},
}
# It remembers nothing between starts: a file of its own could be torn, and keep it from starting.
CELERY_BEAT_SCHEDULER = "agnes_site.core.beat:Scheduler"
CELERY_BEAT_SCHEDULE = {
    "sweep": {"task": "extracts.tasks.sweep", "schedule": CONFIG.run_sweep_seconds},
    "schedules": {"task": "extracts.tasks.start_due", "schedule": CONFIG.schedule_tick_seconds},
    "scan": {"task": "extracts.tasks.scan", "schedule": CONFIG.scan_seconds},
    "scrub": {"task": "extracts.tasks.scrub", "schedule": CONFIG.scrub_seconds},
    "seal-audit": {"task": "access.tasks.seal_audit", "schedule": 60},
    "check-audit": {"task": "access.tasks.check_audit", "schedule": crontab(hour=2, minute=47)},
    "collect-garbage": {"task": "extracts.tasks.collect_garbage", "schedule": crontab(minute=17)},
}

# Tests set it: a question to a source is answered before it is asked for, without a thread.
QUESTIONS_ARE_ANSWERED_AT_ONCE = False

UNFOLD = look.unfold(instance_name=CONFIG.instance_name)
