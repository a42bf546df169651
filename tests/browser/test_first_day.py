"""The first day: an empty server, a PostgreSQL and a folder of CSV, and an analyst's answer."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from psycopg import sql

from tests.extracts.connectors import postgres_server
from tests.journeys.installation import ROOT, Installation

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(300)]
PATIENCE_MS = 45_000
PASSWORD = "four words nobody joins"


@pytest.fixture
def upstream():
    """A PostgreSQL with a table, and a role that needs its password."""
    with postgres_server.running() as server:
        server.execute("CREATE TABLE customers (id bigint PRIMARY KEY, name text NOT NULL)")
        server.execute("COMMENT ON TABLE customers IS 'One row a customer.'")
        server.execute(
            "INSERT INTO customers SELECT n, 'Customer ' || n FROM generate_series(1, 50) n"
        )
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "exports"
    made.mkdir()
    rows = "".join(f"{n},{n % 50 + 1},{n}.25\n" for n in range(1000))
    (made / "orders.csv").write_text("id,customer_id,amount\n" + rows, encoding="utf-8")
    return made


@pytest.fixture
def server(tmp_path: Path, folder: Path):
    """An empty installation, started as an operator starts it."""
    made = Installation(tmp_path / "server", with_admin=False, AGNES_FILES_ROOTS=str(folder.parent))
    with made.up():
        yield made


def set_up(page: Page, server: Installation) -> None:
    """Make the first administrator with the code of the console."""
    found = re.search(r"one-time code  (\S+)", server.log("up"))
    page.goto(server.url)
    typed = {"code": found[1], "email": "eve@example.com", "name": "Eve"}
    chosen = {"password": PASSWORD, "again": PASSWORD}
    for name, text in {**typed, **chosen}.items():
        page.locator(f"#id_{name}").fill(text)
    page.get_by_role("button", name="Make the administrator").click()
    page.wait_for_url("**/admin/")


def begin_source(page: Page, server: Installation, kind: str, name: str) -> None:
    page.goto(f"{server.url}/admin/catalog/source/add/")
    page.get_by_role("link", name=kind).click()
    page.locator("[name=slug]").fill(name)


def try_connection(page: Page) -> None:
    page.get_by_role("button", name="Test connection").click()


def bring(page: Page, table: str) -> None:
    """Choose a table of those that are offered, for everyone, and wait for its rows."""
    page.get_by_role("button", name="Save and choose tables").click()
    page.get_by_label(re.compile(f"^Choose .*{table}")).check()
    page.get_by_label("Who may read them").select_option("Everyone")
    page.get_by_role("button", name="Register and extract 1 table").click()
    expect(page.get_by_role("heading", name="The table has its first rows")).to_be_visible()


def make_analyst(page: Page, server: Installation) -> str:
    """Add a person and make a token for them; return the token, which is shown once."""
    page.goto(f"{server.url}/admin/access/user/add/")
    page.locator("[name=email]").fill("ana@example.com")
    page.get_by_role("button", name="Save", exact=True).click()
    page.goto(f"{server.url}/admin/access/accesstoken/add/")
    page.locator("[name=name]").fill("laptop")
    choose_user(page, "ana@example.com")
    page.get_by_role("button", name="Save", exact=True).click()
    shown = page.get_by_text(re.compile(r"agn_\w+")).first
    return re.search(r"agn_\w+", shown.inner_text())[0]


def choose_user(page: Page, email: str) -> None:
    page.locator("#select2-id_user-container").click()
    page.locator(".select2-search__field").fill(email)
    page.get_by_role("option", name=re.compile("ana")).click()


def agnes(home: Path, *words: str, given: str = "") -> str:
    """Run the analyst's command and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", "from analyst_cli.main import main; main()", *words],
        cwd=home, input=given, capture_output=True, text=True, check=False, timeout=120,
        env={"HOME": str(home), "PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_leads_from_an_empty_server_to_an_answer(
    page, server, upstream, folder, tmp_path, complaints
):
    page.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    answer = page.locator(".ag-answer")
    set_up(page, server)

    begin_source(page, server, "PostgreSQL", "shop_db")
    page.locator("[name=setting_host]").fill("127.0.0.1")
    page.locator("[name=setting_port]").fill(str(upstream.port))
    page.locator("[name=setting_database]").fill("shop")
    page.locator("[name=setting_user]").fill("reader")
    page.locator("[name=secret_password]").fill("wrong")
    try_connection(page)
    expect(answer).to_contain_text("password")
    page.locator("[name=secret_password]").fill(postgres_server.PASSWORD.replace("\n", ""))
    upstream.execute(
        "ALTER ROLE reader PASSWORD "
        + sql.Literal(postgres_server.PASSWORD.replace("\n", "")).as_string(None)
    )
    try_connection(page)
    expect(answer).to_contain_text("It works.")
    bring(page, "customers")

    begin_source(page, server, "Files", "exports")
    page.locator("[name=setting_folder]").fill(str(folder / "nothing"))
    try_connection(page)
    expect(answer).to_contain_text("nothing")
    page.locator("[name=setting_folder]").fill(str(folder))
    bring(page, "orders")

    token = make_analyst(page, server)
    home = tmp_path / "laptop"
    home.mkdir()
    agnes(home, "init", "--server", server.url, "--token-stdin", given=f"{token}\n")
    printed = agnes(
        home, "query", "--format", "csv",
        "SELECT c.name, sum(o.amount) AS amount FROM orders o JOIN customers c "
        "ON c.id = o.customer_id WHERE c.id = 7 GROUP BY c.name",
    )  # fmt: skip

    expected = sum(n + 0.25 for n in range(1000) if n % 50 + 1 == 7)
    assert printed.splitlines()[-1] == f"Customer 7,{expected}"
    assert complaints == []
