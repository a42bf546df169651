"""Whatever stays when a process is killed is followed by a failpoint, where tests kill it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

import pytest

from agnes_site.core import failpoints as server
from analyst_cli import failpoints as client
from tests.architecture.conftest import ROOT

PACKAGES = ("agnes_site", "access", "catalog", "extracts", "marketplace", "metrics", "analyst_cli")
# Where several transactions make one piece of work; elsewhere one is all that somebody asked for.
WORK = (
    "extracts/services/", "extracts/tasks.py", "catalog/services/retention.py",
    "catalog/services/rotation.py", "catalog/services/versions.py", "catalog/services/exchange/",
)  # fmt: skip
METHODS = {"rename", "hardlink_to", "symlink_to", "unlink", "rmdir", "rmtree", "write_bytes",
           "write_text"}  # fmt: skip
FUNCTIONS = {"os.link", "os.replace", "remove_folder", "write_json", "write_private", "write_text"}

# Steps in a function that others call: the failpoint is there, after the call.
AFTER_THE_CALL = {
    "agnes_site/core/keyring.py: KeyRing._write": "rotation.keys_dropped",
    "agnes_site/core/storage.py: write_private": "secrets.key_made",
    "analyst_cli/files.py: write_text": "init.guide_written",
    "analyst_cli/files.py: write_json": "pull.state_written",
    "analyst_cli/pull/database.py: keep_foreign": "pull.foreign_kept",
    "analyst_cli/pull/generation.py: create": "pull.files_linked",
    "analyst_cli/pull/generation.py: drop_before": "pull.pruned",
    "analyst_cli/pull/generation.py: drop_files": "pull.revoked",
    "analyst_cli/pull/state.py: State.save": "pull.state_opened",
    "analyst_cli/pull/state.py: save_manifest": "pull.manifest_read",
    "analyst_cli/settings.py: save": "init.settings_saved",
    "analyst_cli/setup.py: complete": "init.completed",
    "catalog/services/versions.py: commit_all": "publish.committed",
    "extracts/engine/contract/folder.py: ExtractFolder._remember": "regenerate.links_announced",
    "extracts/engine/contract/folder.py: ExtractFolder.link": "regenerate.data_linked",
    "extracts/engine/contract/folder.py: ExtractFolder.remove": "regenerate.folder_removed",
    "extracts/engine/contract/folder.py: ExtractFolder.remove_links_except": (
        "regenerate.links_removed"
    ),
    "extracts/engine/contract/folder.py: ExtractFolder.set_aside": "regenerate.foreign_set_aside",
    "extracts/engine/contract/folder.py: _remove_if_empty": "regenerate.links_removed",
    "extracts/engine/contract/folder.py: _replace_link": "regenerate.data_linked",
    "extracts/engine/storing.py: take_part": "publish.part_stored",
    "extracts/services/bringing.py: _Batch._leave_to_others": "run.requested",
    "extracts/services/bringing.py: _Batch._publish": "run.finished",
    "extracts/services/bringing.py: bring_tables": "run.finished",
    "extracts/services/rejected.py: forget": "publish.rejected_kept",
    "extracts/services/rejected.py: keep": "publish.rejected_kept",
    "extracts/services/runs.py: claim": "run.claimed",
    "extracts/services/runs.py: claim_along": "run.claimed",
    "extracts/services/runs.py: request_run": "run.requested",
    "extracts/services/runs.py: request_tables": "run.requested",
    "extracts/services/scheduling.py: _start": "run.requested",
}

_ALONE = "It is all that was asked for: there is nothing after it."
_AGAIN = "It is done again at the next start, or by the next one who asks."
# Steps without a failpoint, of a function or of all below a folder, and why that is right.
WITHOUT = {
    "agnes_site/core/broker.py: Channel._put": "A message is a bell: the sweeper rings again.",
    "agnes_site/core/secrets.py: persistent_key": _AGAIN,
    "agnes_site/core/storage.py: remove_folder": "Its callers are looked at.",
    "agnes_site/core/supervisor.py: write_supervisord_config": _AGAIN,
    "agnes_site/demo/": "The demo company is made anew.",
    "agnes_site/web/api.py: _check_storage": "A file to see that files can be written.",
    "agnes_site/web/exchange.py: _apply": "The document was imported; the next upload sweeps it.",
    "agnes_site/web/exchange.py: _keep": "Nobody has agreed to the document yet.",
    "agnes_site/web/management/commands/write_reference.py: Command.handle": "For developers.",
    "analyst_cli/commands/query.py: _beside": _ALONE,
    "analyst_cli/main.py: _write_log": _ALONE,
    "analyst_cli/pull/download.py: _Staged.__init__": "What was staged is verified before use.",
    "analyst_cli/settings.py: forget_token": _ALONE,
    "catalog/services/exchange/plan.py: _do": "Inside of the transaction of an import.",
    "catalog/services/exchange/plan.py: _try": "It is taken back.",
    "catalog/services/versions.py: release": _ALONE,
    "catalog/services/versions.py: roll_back": _ALONE,
    "extracts/connectors/": "Below the folder of a run, which goes with it.",
    "extracts/engine/sorting.py: _Runs.__init__": "Below the folder of a run, which goes with it.",
    "extracts/services/damage_reports.py: report": _ALONE,
    "extracts/services/bringing.py: _begin": "Below the folder of a run, which goes with it.",
    "extracts/services/extraction.py: sweep_staging": _AGAIN,
    "extracts/services/leases.py: _take": "It ends by itself.",
    "extracts/services/offering.py: _register": "Somebody waits for it and sees how far it came.",
    "extracts/services/runs.py: cancel": _ALONE,
}


class Module:
    """The functions of a file, who calls whom, and where failpoints are."""

    def __init__(self, name: str, code: str) -> None:
        self.name = name
        self.functions: dict[str, ast.FunctionDef] = {}
        self._collect(ast.parse(code), prefix="")

    def _collect(self, node: ast.AST, *, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef):
                self.functions[prefix + child.name] = child
            elif isinstance(child, ast.ClassDef):
                self._collect(child, prefix=f"{prefix}{child.name}.")

    def steps(self) -> Iterator[tuple[str, int]]:
        """Yield each function with the line of a step that it takes."""
        for name, function in self.functions.items():
            for call in calls_in(function):
                if is_file_step(call):
                    yield name, call.lineno
            if self.name.startswith(WORK):
                yield from ((name, line) for line in commits(function))

    def is_covered(self, name: str, line: int, seen: frozenset[str] = frozenset()) -> bool:
        """Say whether a failpoint comes after ``line``, here or after each call in this file."""
        function = self.functions[name]
        if any(called(call) == "failpoint" and call.lineno > line for call in calls_in(function)):
            return True
        short = name.rpartition(".")[2]
        callers = [
            (other, call.lineno)
            for other, body in self.functions.items()
            for call in calls_in(body)
            if called(call) == short and other != name and other not in seen
        ]
        return bool(callers) and all(
            self.is_covered(other, at, seen | {name}) for other, at in callers
        )


def calls_in(function: ast.FunctionDef) -> list[ast.Call]:
    return [node for node in ast.walk(function) if isinstance(node, ast.Call)]


def called(call: ast.Call) -> str:
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else ""


def is_file_step(call: ast.Call) -> bool:
    name = called(call)
    if name == "replace":  # of a path; that of a text takes two, that of a time names them
        return len(call.args) == 1 and not call.keywords
    if isinstance(call.func, ast.Attribute) and name in METHODS:
        return True
    return ast.unparse(call.func) in FUNCTIONS


def commits(function: ast.FunctionDef) -> Iterator[int]:
    """Yield the lines at which a transaction of this function ends."""
    if any("atomic" in ast.unparse(each) for each in function.decorator_list):
        assert function.end_lineno is not None
        yield function.end_lineno
    for node in ast.walk(function):
        if isinstance(node, ast.With) and "atomic()" in ast.unparse(node.items[0]):
            assert node.end_lineno is not None
            yield node.end_lineno


def is_in(step: str, listed: Iterable[str]) -> bool:
    return any(step == each or (each.endswith("/") and step.startswith(each)) for each in listed)


@pytest.fixture(scope="module")
def modules() -> list[Module]:
    paths = (path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py")))
    return [
        Module(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))
        for path in paths
        if "/migrations/" not in str(path)
    ]


@pytest.fixture(scope="module")
def uncovered(modules) -> set[str]:
    return {
        f"{module.name}: {name}"
        for module in modules
        for name, line in module.steps()
        if not module.is_covered(name, line)
    }


class TestDurableSteps:
    def test_are_followed_by_a_failpoint(self, uncovered):
        listed = (*AFTER_THE_CALL, *WITHOUT)

        assert [step for step in uncovered if not is_in(step, listed)] == []

    def test_are_listed_only_where_they_are_not(self, uncovered):
        listed = (*AFTER_THE_CALL, *WITHOUT)

        assert [each for each in listed if not any(is_in(s, [each]) for s in uncovered)] == []

    def test_name_failpoints_that_exist(self):
        assert set(AFTER_THE_CALL.values()) <= {*server.NAMES, *client.NAMES}

    @pytest.mark.parametrize(
        ("code", "is_noticed"),
        [
            ("path.replace(place)", True),
            ("path.replace(place)\nfailpoint('run.claimed')", False),
            ("text.replace('a', 'b')", False),
            ("path.unlink()", True),
            ("with transaction.atomic():\n    table.save()", True),
            ("with transaction.atomic():\n    table.save()\nfailpoint('run.claimed')", False),
        ],
    )
    def test_are_noticed(self, code, is_noticed):
        body = "".join(f"    {line}\n" for line in code.splitlines())
        module = Module("extracts/services/new.py", f"def do(path, place, text):\n{body}")

        found = [name for name, line in module.steps() if not module.is_covered(name, line)]

        assert bool(found) == is_noticed
