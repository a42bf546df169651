"""Settings of the tests: those of the product, in folders of their own."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

# Tests never touch the data of an installation, whatever the environment says.
SCRATCH = tempfile.mkdtemp(prefix="agnes-tests-")
atexit.register(shutil.rmtree, SCRATCH, ignore_errors=True)
os.environ["DATA_DIR"] = os.environ["CONFIG_DIR"] = SCRATCH
os.environ["AGNES_FILES_ROOTS"] = tempfile.gettempdir()
# Threads do not see what the transaction of a test has written: what keeps a lease would lose it.
os.environ["AGNES_RUN_LEASE_SECONDS"] = "3600"
for _name in ("SESSION_SECRET", "STATE_DIR", "AGNES_FAILPOINT", "AGNES_SERVER", "AGNES_TOKEN"):
    os.environ.pop(_name, None)

from agnes_site.settings import *  # noqa: E402, F403 (the environment comes first)

# Fast instead of strong: the passwords of tests protect nothing.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# As above: they would find nothing.
QUESTIONS_ARE_ANSWERED_AT_ONCE = True
# Tests that clear the cache do not take away the queues of others in the same Redis.
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
# More tests sign in in a minute than people do.
ACCOUNT_RATE_LIMITS = False
