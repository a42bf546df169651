"""Canaries as secrets, real work with them, and a search of everything for them."""

from __future__ import annotations

import base64
import re
import sys
import sysconfig
import uuid
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from werkzeug import Request, Response

from tests.journeys import safe
from tests.journeys.haystack import Haystack, Watch, gather
from tests.journeys.installation import Installation, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

# What is searched for; each stands between what breaks naive quoting.
CANARIES = {name: f"canary{name}{uuid.uuid4().hex[:12]}" for name in ("typed", "sent", "named")}
SECRETS = {name: f'a\' "{canary}" %41;\\ö' for name, canary in CANARIES.items()}
PLANTED = "a_word_that_was_planted"
TABLES = ("rows", "refused", "stumbling")


@pytest.fixture(scope="module")
def python(tmp_path_factory) -> str:
    """An interpreter with the packages of this one, and the safe's package installed."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, with_pip=False, symlinks=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "server.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    safe.install(packages)
    return str(folder / "bin" / Path(sys.executable).name)


@pytest.fixture(scope="module")
def service(make_httpserver):
    """The safe: it lets everybody in, and repeats the password where it refuses."""

    def answer(request: Request) -> Response:
        assert request.authorization is not None
        refusal = f"not with {request.authorization.password}, {request.headers['Authorization']}"
        return Response(refusal, status=401) if request.path == "/refused" else Response("gold")

    make_httpserver.expect_request(re.compile("/.*")).respond_with_handler(answer)
    return make_httpserver


@pytest.fixture(scope="module")
def installation(tmp_path_factory, python) -> Iterator[Installation]:
    """A server that logs everything, with a worker."""
    made = Installation(
        tmp_path_factory.mktemp("installation"), python=python, LOG_LEVEL="DEBUG",
        AGNES_SOURCE_SAFE=SECRETS["named"],
    )  # fmt: skip
    try:
        made.start_web()
        made.start_worker()
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def browser(installation) -> requests.Session:
    """An administrator who is signed in."""
    session = requests.Session()
    signed_in = _post(
        session, f"{installation.url}/accounts/login/",
        login="ada@example.com", password="a long password",
    )  # fmt: skip
    assert "/admin/" in signed_in.url
    return session


@pytest.fixture(scope="module")
def haystack(installation, browser, service) -> Haystack:
    """What is left after work that succeeded and work that failed, with each of the secrets."""
    found = Haystack()
    with Watch(installation, found):
        url = service.url_for("").rstrip("/")
        _test_drafts(installation, url, found)
        _plant(installation, browser, url)
        runs = {name: installation.extract(name)[0] for name in _tables(installation, found)}
        for name, run in runs.items():
            ended = installation.finished(run)
            expected = {"rows": "succeeded"}.get(name.partition("_")[2], "failed")
            assert ended["state"] == expected, ended
        _try_forms(installation, browser, url, found)
        installation.manage("rotate_secrets")
    gather(installation, found, browser)
    return found


def _test_drafts(installation: Installation, url: str, found: Haystack) -> None:
    """Test what is not saved by the API: the safe refuses."""
    draft = {"source_type": "safe", "config": {"url": url}}
    for secret in ({"value": SECRETS["sent"]}, {"environment": "AGNES_SOURCE_SAFE"}):
        answer = requests.post(
            f"{installation.url}/api/admin/sources/test", timeout=60,
            json={**draft, "secrets": {"password": secret}},
            headers={"Authorization": f"Bearer {installation.token}"},
        )  # fmt: skip
        assert "The safe said: not with ***" in answer.json()["message"]
        found.add("answers", f"test {list(secret)}", answer.content)


def _plant(installation: Installation, browser: requests.Session, url: str) -> None:
    """Give a secret by the form, by the API and by the environment."""
    _post(
        browser, f"{installation.url}/admin/catalog/source/add/?source_type=safe",
        slug="typed", display_name="", schedule="", concurrency="2", setting_url=url,
        secret_password=SECRETS["typed"],
    )  # fmt: skip
    draft = {"source_type": "safe", "config": {"url": url}}
    installation.call(
        "POST", "/api/admin/sources",
        {"name": "sent", **draft, "secrets": {"password": {"value": SECRETS["sent"]}}},
    )  # fmt: skip
    installation.call("POST", "/api/admin/sources", {"name": "named", **draft})
    named = {"environment": "AGNES_SOURCE_SAFE"}
    installation.call("PUT", "/api/admin/sources/named/secrets/password", named)
    origins = {
        name: installation.call("GET", f"/api/admin/sources/{name}/secrets")["secrets"][0]["origin"]
        for name in ("typed", "sent", "named")
    }
    assert origins == {"typed": "stored", "sent": "stored", "named": "environment"}


def _try_forms(
    installation: Installation, browser: requests.Session, url: str, found: Haystack
) -> None:
    """Press "Test connection" in the form of each source, and of a new one: the safe refuses."""
    listed = browser.get(f"{installation.url}/admin/catalog/source/", timeout=30).text
    form = f"{installation.url}/admin/catalog/source/"
    tries = [
        (f"{form}{source}/change/", f"source={source}", {})
        for source in sorted(set(re.findall(r"/admin/catalog/source/([0-9a-f-]{36})/", listed)))
    ]
    typed = {"secret_password": SECRETS["typed"]}
    tries.append((f"{form}add/?source_type=safe", "source_type=safe", typed))
    for page, subject, secret in tries:
        named = re.search(
            r'name="secret_password_variable" value="([^"]+)"', browser.get(page, timeout=30).text
        )
        asked = _post(
            browser, page, to=f"{form}try/test/?{subject}", setting_url=url,
            secret_password_variable=named.group(1) if named else "", **secret,
        )  # fmt: skip
        answer = wait_until(lambda asked=asked: _answer(browser, installation, asked), seconds=30)
        assert "The safe said" in answer.text
        found.add("pages", answer.url, asked.content + answer.content)


def _answer(
    browser: requests.Session, installation: Installation, asked: requests.Response
) -> requests.Response | None:
    question = asked.json()["id"]
    answer = browser.get(f"{installation.url}/api/admin/questions/{question}", timeout=30)
    return None if answer.json()["state"] == "asking" else answer


def _tables(installation: Installation, found: Haystack) -> list[str]:
    """Register the tables of each source, and return their names."""
    made = []
    for source in ("typed", "sent", "named"):
        for table in TABLES:
            name = f"{source}_{table}"
            installation.call(
                "POST", "/api/admin/register-table",
                {"name": name, "source": source, "source_table": table, "description": PLANTED},
            )  # fmt: skip
            made.append(name)
    return made


def _post(session: requests.Session, url: str, *, to: str = "", **typed: str) -> requests.Response:
    """Send a form on a page as a browser does."""
    page = session.get(url, timeout=30)
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
    assert token is not None, page.text
    return session.post(
        to or url, {**typed, "csrfmiddlewaretoken": token.group(1)}, timeout=60,
        headers={"Referer": url},
    )  # fmt: skip


class TestHaystack:
    @pytest.mark.parametrize(
        "written",
        [
            "x{}x".format,
            lambda text: base64.b64encode(f"me:{text}".encode()),
            lambda text: base64.b64encode(f"m:{text}:".encode()),
            lambda text: base64.b64encode(text.encode()),
            lambda text: text.encode("utf-16-le"),
            lambda text: text.encode().hex().upper(),
            lambda text: text[::-1],
        ],
    )
    def test_finds_a_needle_as_programs_write_it(self, written):
        heap = Haystack()
        heap.add("a channel", "a place", written("canary0123456789"))

        assert heap.places_of("canary0123456789") == ["a channel: a place"]
        assert heap.places_of("canary9876543210") == []


class TestEverything:
    @pytest.mark.parametrize("name", CANARIES)
    def test_holds_no_secret(self, haystack, name):
        assert haystack.places_of(CANARIES[name]) == []

    @pytest.mark.parametrize(
        ("channel", "known"),
        [
            ("files", PLANTED),
            ("logs", "debug"),
            ("logs", "RuntimeError: unexpected: safe://me:***@host"),
            ("extracts", PLANTED),
            ("rows", PLANTED),
            ("rows", "The safe said: not with ***"),
            ("rows", "The password *** was good."),
            ("pages", PLANTED),
            ("pages", "The safe said: not with ***"),
            ("pages", "AGNES_SOURCE_SAFE"),
            ("answers", PLANTED),
            ("answers", "The safe said: not with ***"),
            ("openapi", "SecretIn"),
            ("exports", PLANTED),
            ("exports", "AGNES_SOURCE_*"),
            ("command lines", "extracts.engine.zygote"),
            ("environments", "PYTHONDONTWRITEBYTECODE"),
        ],
    )
    def test_is_searched_where_a_planted_word_is_found(self, haystack, channel, known):
        assert haystack.places_of(known, channel=channel) != []

    def test_is_searched_in_the_queue_and_the_database_on_disk(self, haystack, installation):
        if "DATABASE_URL" in installation.environment:
            pytest.skip("they are in PostgreSQL and Redis, and found as rows")

        for known in ("extracts.tasks.execute_run", "run_id"):
            assert haystack.places_of(known, channel="broker") != []
        names = {place.partition(": ")[2] for place in haystack.places_of(PLANTED)}
        assert {"agnes.sqlite3", "agnes.sqlite3-wal"} & names


class TestChildren:
    def test_worked_with_the_secrets_as_they_were_given(self, service, haystack):
        # Others may knock at a port that was theirs before; they bring no credentials.
        given = [request.authorization for request, _ in service.log if request.authorization]
        seen = {each.password for each in given}

        assert seen == set(SECRETS.values())
