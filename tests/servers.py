"""Says whether PostgreSQL and Redis answer: `python -m tests.servers`; exit code 1 if not."""

from __future__ import annotations

import os
import sys

import psycopg
import redis


def missing() -> list[str]:
    """Return what does not answer, with the reason."""
    found = []
    try:
        psycopg.connect(os.environ["DATABASE_URL"], connect_timeout=5).close()
    except psycopg.Error as error:
        found.append(f"PostgreSQL does not answer: {error}")
    try:
        redis.Redis.from_url(os.environ["REDIS_URL"], socket_timeout=5).ping()
    except redis.RedisError as error:
        found.append(f"Redis does not answer: {error}")
    return found


if __name__ == "__main__":
    reasons = missing()
    sys.stdout.write("".join(f"{reason}\n" for reason in reasons))
    sys.exit(bool(reasons))
