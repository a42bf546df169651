"""A PostgreSQL server of our own, for tests that need passwords, TLS or a restart."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import trustme

from tests.ports import free_port

PROGRAMS = max(Path("/usr/lib/postgresql").glob("*/bin"), default=Path("/usr/bin"))

# Every character that has a meaning in SQL, in libpq's options, in addresses or in shells.
PASSWORD = "a'b\"c\\d e=f;--\n\t$1 {ä}%@/:''\\' ${x} `id` "

ACCESS = """\
local all all trust
hostssl tls_only all 127.0.0.1/32 scram-sha-256
hostnossl tls_only all 127.0.0.1/32 reject
host all stranger 127.0.0.1/32 reject
host all all 127.0.0.1/32 scram-sha-256
"""


@dataclass(frozen=True)
class Server:
    """A running server; ``socket`` is its folder, where everybody is trusted."""

    folder: Path
    port: int

    @property
    def socket(self) -> str:
        return str(self.folder)

    @property
    def authority(self) -> Path:
        return self.folder / "authority.pem"

    def connect(self, database: str = "postgres", **options: Any) -> psycopg.Connection[Any]:
        return psycopg.connect(
            host=self.socket, port=self.port, dbname=database, user="postgres",
            autocommit=True, **options,
        )  # fmt: skip

    def execute(self, sql: str, database: str = "shop") -> None:
        with self.connect(database) as connection:
            connection.execute(sql)

    def is_asked(self, query: str) -> bool:
        """Say whether a query like this is at work for the reader."""
        with self.connect("shop") as connection:
            row = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' "
                "AND usename = 'reader' AND query LIKE %s",
                [query],
            ).fetchone()
        return bool(row and row[0])

    def restart(self) -> None:
        self.control("restart", "-m", "immediate")

    def control(self, *what: str) -> None:
        data = self.folder / "data"
        run("pg_ctl", "-D", data, "-l", self.folder / "log", "-w", *what)


@contextmanager
def running() -> Iterator[Server]:
    """Start a server in a folder below /tmp, and remove both in the end."""
    folder = Path(tempfile.mkdtemp(prefix="agnes-postgres-", dir="/tmp"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    server = Server(folder, free_port())
    try:
        _create(server)
        server.control("start")
        try:
            _fill(server)
            yield server
        finally:
            server.control("stop", "-m", "immediate")
    finally:
        shutil.rmtree(folder)


def run(program: str, *arguments: object) -> None:
    """Run one of PostgreSQL's programs, which refuse to work as root."""
    user = "postgres" if os.geteuid() == 0 else None
    subprocess.run(
        [str(PROGRAMS / program), *map(str, arguments)],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, user=user, cwd="/",
    )  # fmt: skip


def _create(server: Server) -> None:
    data = server.folder / "data"
    run("initdb", "-D", data, "-U", "postgres", "-E", "UTF8", "--locale", "C.UTF-8", "-N")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(server.authority))
    certificate = authority.issue_cert("db.example.com", "127.0.0.1")
    certificate.private_key_pem.write_to_path(str(data / "server.key"))
    certificate.cert_chain_pems[0].write_to_path(str(data / "server.crt"))
    (data / "server.key").chmod(0o600)
    if os.geteuid() == 0:
        shutil.chown(data / "server.key", "postgres")
    (data / "pg_hba.conf").write_text(ACCESS)
    with (data / "postgresql.conf").open("a") as settings:
        settings.write(
            f"port = {server.port}\nunix_socket_directories = '{server.folder}'\n"
            "listen_addresses = '127.0.0.1'\nfsync = off\nssl = on\nmax_connections = 30\n"
            "max_locks_per_transaction = 512\n"
        )


def _fill(server: Server) -> None:
    server.execute("CREATE DATABASE shop", "postgres")
    server.execute("CREATE DATABASE tls_only", "postgres")
    for role in ("reader", "stranger", "nobody"):
        quoted = psycopg.sql.Literal(PASSWORD).as_string(None)
        server.execute(f"CREATE ROLE {role} LOGIN PASSWORD {quoted}", "postgres")
    run(
        "pgbench", "-i", "-q", "-s", "1", "-h", server.socket, "-p", server.port,
        "-U", "postgres", "shop",
    )  # fmt: skip
    server.execute(
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader;"
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO reader"
    )
