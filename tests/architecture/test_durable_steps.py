"""Whatever stays when a process is killed is followed by a failpoint, where tests kill it."""

from __future__ import annotations

import ast
from bisect import bisect
from collections import Counter, defaultdict
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
METHODS = {"rename", "hardlink_to", "symlink_to", "unlink", "rmdir", "rmtree", "touch",
           "write_bytes", "write_text"}  # fmt: skip
FUNCTIONS = {"os.link", "os.remove", "os.replace", "remove_folder", "shutil.copy", "shutil.copy2",
             "shutil.copyfile", "shutil.copyfileobj", "shutil.copytree", "shutil.move",
             "write_json", "write_private", "write_text"}  # fmt: skip
# They make a step last, and are no step of their own.
SYNCS = {"fsync_all", "fsync_file", "fsync_folder", "sync_file", "sync_folder"}
# Outside of a transaction each is one of its own.
ROWS = {"save", "delete", "create", "bulk_create", "bulk_update", "get_or_create",
        "update_or_create"}  # fmt: skip

# Steps in a function that others call: the failpoint is there, after the call.
AFTER_THE_CALL = {
    "agnes_site/core/keyring.py: KeyRing._write": "rotation.keys_dropped",
    "agnes_site/core/storage.py: write_private": "secrets.key_made",
    "analyst_cli/files.py: write_json": "pull.state_written",
    "analyst_cli/files.py: write_text": "init.guide_written",
    "analyst_cli/pull/database.py: keep_foreign": "pull.foreign_kept",
    "analyst_cli/pull/flushing.py: Flusher.finish": "pull.part_verified",
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
    "extracts/engine/storing.py: make_durable": "publish.stored",
    "extracts/engine/contract/writer.py: switch_all": "regenerate.recorded",
    "extracts/engine/storing.py: take_part": "publish.part_stored",
    "extracts/services/bringing.py: _Batch._leave_to_others": "run.requested",
    "extracts/services/bringing.py: _Batch._publish": "run.finished",
    "extracts/services/bringing.py: bring_tables": "run.finished",
    "extracts/services/finishing.py: _write": "run.finished",
    "extracts/services/holding.py: Holding._write": "run.finished",
    "extracts/services/holding.py: Holding.finish": "run.finished",
    "extracts/services/holding.py: Holding.let_go": "run.finished",
    "extracts/services/holding.py: Holding.put_back": "run.finished",
    "extracts/services/holding.py: Holding.requeue": "run.finished",
    "extracts/services/rejected.py: forget": "publish.rejected_kept",
    "extracts/services/rejected.py: keep": "publish.rejected_kept",
    "extracts/services/runs.py: _join": "run.requested",
    "extracts/services/runs.py: _requested": "run.requested",
    "extracts/services/runs.py: claim": "run.claimed",
    "extracts/services/runs.py: claim_along": "run.claimed",
    "extracts/services/runs.py: request_run": "run.requested",
    "extracts/services/scheduling.py: _start": "run.requested",
    "extracts/services/scheduling.py: put_off": "run.finished",
    "extracts/services/scheduling.py: record_failure": "run.finished",
    "extracts/services/scheduling.py: record_success": "run.finished",
}

_ALONE = "It is all that was asked for: there is nothing after it."
_INSIDE = "Inside of the transaction of its callers."
_AGAIN = "It is done again at the next start, or by the next one who asks."
# Steps without a failpoint, of a function or of all below a folder, and why that is right.
WITHOUT = {
    "access/services/chain.py: seal": "The note before it is as true: the chain goes on from it.",
    "agnes_site/core/broker.py: Channel._put": "A message is a bell: the sweeper rings again.",
    "agnes_site/core/failpoints.py: failpoint": "It is the failpoint.",
    "agnes_site/core/secrets.py: persistent_key": _AGAIN,
    "agnes_site/core/storage.py: fsync_all": "Its callers are looked at.",
    "agnes_site/core/storage.py: fsync_file": "Its callers are looked at.",
    "agnes_site/core/storage.py: fsync_folder": "Its callers are looked at.",
    "agnes_site/core/storage.py: remove_folder": "Its callers are looked at.",
    "agnes_site/core/supervisor.py: write_supervisord_config": _AGAIN,
    "agnes_site/demo/": "The demo company is made anew.",
    "agnes_site/web/api/health.py: _check_storage": "A file to see that files can be written.",
    "agnes_site/web/exchange.py: _apply": "The document was imported; the next upload sweeps it.",
    "agnes_site/web/exchange.py: _keep": "Nobody has agreed to the document yet.",
    "agnes_site/web/management/commands/write_reference.py: Command.handle": "For developers.",
    "analyst_cli/commands/query.py: _beside": _ALONE,
    "analyst_cli/files.py: sync_file": "Its callers are looked at.",
    "analyst_cli/files.py: sync_folder": "Its callers are looked at.",
    "analyst_cli/main.py: _write_log": _ALONE,
    "analyst_cli/pull/download.py: _Staged.__init__": "What was staged is verified before use.",
    "analyst_cli/pull/state.py: touch_manifest": _AGAIN,
    "analyst_cli/settings.py: forget_token": _ALONE,
    "catalog/services/exchange/plan.py: _do": "Inside of the transaction of an import.",
    "catalog/services/exchange/plan.py: _try": "It is taken back.",
    "catalog/services/versions.py: _kept": _INSIDE,
    "catalog/services/versions.py: _make_current": _INSIDE,
    "catalog/services/versions.py: release": _ALONE,
    "catalog/services/versions.py: roll_back": _ALONE,
    "catalog/services/versions.py: take_fencings": _INSIDE,
    "extracts/connectors/": "Below the folder of a run, which goes with it.",
    "extracts/engine/sorting.py: _Runs.__init__": "Below the folder of a run, which goes with it.",
    "extracts/services/bringing.py: _begin": "Below the folder of a run, which goes with it.",
    "extracts/services/damage.py: _renew_faces": "The sweep asks for what is behind.",
    "extracts/services/damage_reports.py: report": _ALONE,
    "extracts/services/extraction.py: sweep_staging": _AGAIN,
    "extracts/services/holding.py: Holding.beat": "It ends by itself.",
    "extracts/services/leases.py: Held.keep": "It ends by itself.",
    "extracts/services/leases.py: _take": "It ends by itself.",
    "extracts/services/leases.py: leases": "It ends by itself.",
    "extracts/services/offering.py: _register": "Somebody waits for it and sees how far it came.",
    "extracts/services/questions.py: _asker": "Somebody waits for it, and asks again.",
    "extracts/services/questions.py: _end": "Somebody waits for it, and asks again.",
    "extracts/services/questions.py: ask": "Somebody waits for it, and asks again.",
    "extracts/services/questions.py: forget_old": _AGAIN,
    "extracts/services/regeneration.py: request_behind": _AGAIN,
    "extracts/services/runs.py: cancel": _ALONE,
    "extracts/services/runs.py: sweep": _AGAIN,
    "extracts/services/scanning.py: _look_for_stranger": _AGAIN,
    "extracts/services/scheduling.py: _remember": _INSIDE,
    "extracts/services/scrub.py: go_on": _AGAIN,
    "extracts/services/scrub.py: read_all": _AGAIN,
}

# How many steps a function takes with no failpoint between them. It takes one or the other of
# them, or what comes first does no harm without the next and is done again.
TOGETHER = {
    "analyst_cli/files.py: write_text": 2,
    "analyst_cli/pull/database.py: build": 2,
    "analyst_cli/pull/database.py: keep_foreign": 2,
    "analyst_cli/pull/generation.py: create": 2,
    "analyst_cli/pull/install.py: _prune_files": 2,
    "analyst_cli/pull/install.py: _sweep_staging": 2,
    "extracts/engine/contract/folder.py: ExtractFolder.remove": 2,
    "extracts/engine/contract/folder.py: ExtractFolder.set_aside": 2,
    "extracts/engine/contract/folder.py: _replace_link": 2,
    "extracts/engine/contract/writer.py: PreparedExtract.put_in_place": 2,
    "extracts/engine/contract/writer.py: _write": 3,
    "extracts/engine/orchestrator.py: _switch": 2,
    "extracts/engine/orchestrator.py: renew": 2,
    "extracts/engine/storing.py: take_part": 2,
    "extracts/services/finishing.py: _write": 2,
    "extracts/services/regeneration.py: _renew_held": 2,
    "extracts/services/runs.py: _join": 2,
    "extracts/services/scrub.py: _read": 3,
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
            yield from ((name, call.lineno) for call in calls_in(function) if is_file_step(call))
            if self.name.startswith(WORK):
                yield from ((name, line) for line in commits(function))

    def syncs(self) -> Iterator[tuple[str, int]]:
        """Yield each function with the line at which it makes a step last."""
        for name, function in self.functions.items():
            for call in calls_in(function):
                if ast.unparse(call.func) == "os.fsync" or called(call) in SYNCS:
                    yield name, call.lineno

    def in_a_row(self) -> dict[str, int]:
        """Return of each function how many steps it takes at most before a failpoint."""
        lines: dict[str, list[int]] = defaultdict(list)
        for name, line in self.steps():
            lines[name].append(line)
        found = {}
        for name, steps in lines.items():
            calls = calls_in(self.functions[name])
            points = sorted(call.lineno for call in calls if called(call) == "failpoint")
            places = [bisect(points, line) for line in steps]
            found[name] = max(Counter(places).values())
        return found

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
        return
    inside: set[ast.AST] = set()
    for node in ast.walk(function):
        if isinstance(node, ast.With) and "atomic()" in ast.unparse(node).partition("\n")[0]:
            assert node.end_lineno is not None
            yield node.end_lineno
            inside.update(ast.walk(node))
    yield from (c.lineno for c in calls_in(function) if is_row_step(c) and c not in inside)


def is_row_step(call: ast.Call) -> bool:
    if not isinstance(call.func, ast.Attribute):
        return False
    if called(call) == "update":  # of rows; that of a dictionary or a hash is given one
        return bool(call.keywords) and not call.args
    return called(call) in ROWS


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
        for name, line in (*module.steps(), *module.syncs())
        if not module.is_covered(name, line)
    }


class TestDurableSteps:
    def test_are_followed_by_a_failpoint(self, uncovered):
        listed = (*AFTER_THE_CALL, *WITHOUT)

        assert [step for step in uncovered if not is_in(step, listed)] == []

    def test_are_listed_only_where_they_are_not(self, uncovered):
        listed = (*AFTER_THE_CALL, *WITHOUT)

        assert [each for each in listed if not any(is_in(s, [each]) for s in uncovered)] == []

    def test_are_apart_from_each_other(self, modules):
        found = {
            f"{module.name}: {name}": steps
            for module in modules
            for name, steps in module.in_a_row().items()
            if steps > 1
        }

        assert {s: n for s, n in found.items() if not is_in(s, WITHOUT)} == TOGETHER

    def test_name_failpoints_that_exist(self):
        assert set(AFTER_THE_CALL.values()) <= {*server.NAMES, *client.NAMES}

    @pytest.mark.parametrize(
        ("code", "is_noticed"),
        [
            ("path.replace(place)", True),
            ("path.replace(place)\nfailpoint('run.claimed')", False),
            ("text.replace('a', 'b')", False),
            ("path.unlink()", True),
            ("os.remove(path)", True),
            ("shutil.move(path, place)", True),
            ("storage.fsync_folder(path)", True),
            ("table.save()", True),
            ("Table.objects.filter(pk=1).update(rows=2)", True),
            ("state.update({'a': 1})", False),
            ("with transaction.atomic():\n    table.save()", True),
            ("with transaction.atomic():\n    table.save()\nfailpoint('run.claimed')", False),
        ],
    )
    def test_are_noticed(self, code, is_noticed):
        module = function_of(code)
        taken = (*module.steps(), *module.syncs())

        assert any(not module.is_covered(*step) for step in taken) == is_noticed

    @pytest.mark.parametrize(
        ("code", "steps"),
        [
            ("path.unlink()\nfailpoint('run.claimed')\npath.rmdir()", 1),
            ("path.unlink()\npath.rmdir()\nfailpoint('run.claimed')", 2),
            ("table.save()\nos.remove(path)", 2),
            ("with transaction.atomic():\n    one.save()\n    other.save()", 1),
        ],
    )
    def test_are_counted_from_one_failpoint_to_the_next(self, code, steps):
        assert function_of(code).in_a_row() == {"do": steps}


def function_of(code: str) -> Module:
    body = "".join(f"    {line}\n" for line in code.splitlines())
    return Module("extracts/services/new.py", f"def do(path, place, text):\n{body}")
