"""Which server and which token: from the environment, else from the configuration folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from analyst_cli import environment
from analyst_cli.errors import CliError, NotSignedInError, UsageError
from analyst_cli.failpoints import failpoint
from analyst_cli.files import read_json, write_json


class NoServerError(CliError):
    """No server is configured."""

    code = "no_server"
    hint = "Run `agnes init --server https://agnes.example.com` in the folder of your analysis."


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """Where to ask and as whom."""

    server: str
    token: str
    email: str


def config_dir() -> Path:
    """Return the folder of the user's configuration; it may not exist yet."""
    named = environment.config_dir()
    if named:
        return Path(named).expanduser()
    from platformdirs import user_config_path

    return user_config_path("agnes", appauthor=False)


def server() -> str:
    """Return the address of the server, or an empty text."""
    if environment.server():
        return environment.server()
    stored = read_json(config_dir() / "config.json").get("server")
    return stored if isinstance(stored, str) else ""


def credentials() -> Credentials:
    """Return the server and the token that are in force.

    Raises:
        NoServerError: no server is configured.
        NotSignedInError: there is no token for this server.
    """
    if not server():
        raise NoServerError("No server is configured.")
    address = checked_server(server())
    token, email = environment.token(), ""
    if not token:
        stored = _stored(for_server=address)
        token, email = str(stored.get("access_token") or ""), str(stored.get("email") or "")
    if not token:
        raise NotSignedInError(f"You are not signed in to {address}.")
    return Credentials(server=address, token=checked_token(token), email=email)


def stored_token(*, for_server: str) -> str:
    """Return the token that is in force, unless it was stored for another server."""
    if environment.token():
        return checked_token(environment.token())
    return str(_stored(for_server=for_server).get("access_token") or "")


def _stored(*, for_server: str) -> dict[str, Any]:
    """Return what is kept of the token; nothing of one that belongs to another server."""
    stored = read_json(config_dir() / "token.json")
    owner = stored.get("server") or read_json(config_dir() / "config.json").get("server")
    return stored if owner == for_server else {}


def save(*, server: str, token: str, email: str) -> None:
    """Store server and token; the token in a file that only the user can read."""
    folder = config_dir()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_json(folder / "config.json", {"server": server})
    failpoint("init.server_saved")
    kept = {"access_token": token, "email": email, "server": server}
    write_json(folder / "token.json", kept, mode=0o600)


def forget_token() -> bool:
    """Delete the stored token; say whether there was one."""
    path = config_dir() / "token.json"
    existed = path.exists()
    path.unlink(missing_ok=True)
    return existed


def checked_server(address: str) -> str:
    """Return ``address`` without a trailing slash.

    Raises:
        UsageError: it is not an http(s) address, or it holds a password.
    """
    try:
        parts = urlsplit(address.strip())
        valid = parts.scheme in ("http", "https") and parts.hostname and (parts.port or True)
    except ValueError:
        valid = False
    if not valid or not address.isascii() or any(c <= " " for c in address.strip()):
        raise UsageError(
            f"{address!r} is not the address of a server.",
            hint="It looks like https://agnes.example.com",
        )
    if parts.username or parts.password or parts.query or parts.fragment:
        raise UsageError("The address of a server holds no password, `?` or `#`.")
    return address.strip().rstrip("/")


def checked_token(token: str) -> str:
    """Return ``token`` without the white space around it.

    Raises:
        UsageError: it is empty, or it cannot be sent in a header.
    """
    token = token.strip()
    if not token or not token.isascii() or any(not "!" <= char <= "~" for char in token):
        raise UsageError(
            "This is not a token: it must be one line of plain characters.",
            hint="Create one on the server's page `Tokens` and paste it as it is.",
        )
    return token
