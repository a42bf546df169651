"""`manage.py demo`: the demo company, from files to an answered query."""

from __future__ import annotations

import signal
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from agnes_site.core import supervisor
from agnes_site.core.errors import AgnesError, ConflictError
from agnes_site.core.migrations import bring_up_to_date
from agnes_site.demo import people, server, story

# What a shell reports of a command that Ctrl-C ended.
_INTERRUPTED = 130


class OtherDataError(ConflictError):
    """The data directory holds something that this demo cannot go on with."""

    code = "demo_data_unusable"
    hint = "Remove the folder, or choose another: DATA_DIR=data/other make demo."


class Command(BaseCommand):
    """Start the demo company's server, tell the main job as a story, and keep serving."""

    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the options of the demo."""
        parser.add_argument("--once", action="store_true", help="tell the story and stop")
        parser.add_argument("--scale", type=float, default=1.0, help="1 is a million rows")
        parser.add_argument("--seed", type=int, default=42)

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the demo until Ctrl-C, or once."""
        # Ctrl-C also where the shell that started this one ignores it.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.default_int_handler)
        try:
            self._run(once=options["once"], scale=options["scale"], seed=options["seed"])
        except (KeyboardInterrupt, RuntimeError) as error:
            # DuckDB has an error of its own for a query that Ctrl-C ended.
            if not isinstance(error.__cause__ or error, KeyboardInterrupt):
                raise
            self.stdout.write("\nStopped.")
            if options["once"]:
                raise SystemExit(_INTERRUPTED) from None

    def _run(self, *, once: bool, scale: float, seed: int) -> None:
        config, layout = settings.CONFIG, settings.LAYOUT
        _prepare(layout.root / "demo.json", layout.state / "agnes.sqlite3")
        told = story.Story(
            config=config, layout=layout, scale=scale, seed=seed, write=self._say,
            people=people.meet(layout.root / "demo.json", url=f"http://{config.bind}"),
        )  # fmt: skip
        self._say(f"Agnes demo in {layout.root}\n\n")
        with supervisor.claim(layout), server.running(config, layout) as process:
            told.tell()
            self._say(f"\n{told.facts['answer']}\n")
            if once:
                self._say("Everything held.\n")
                return
            self._invite(told)
            process.wait()
            raise AgnesError("The supervisor ended.", hint=f"Its logs are in {layout.root}/logs.")

    def _invite(self, told: story.Story) -> None:
        admin, analyst = told.people.admin, told.people.analyst
        self._say(
            f"Admin    {told.url}/admin/   {admin.email}   {admin.password}\n"
            f"Analyst  {told.url}/         {analyst.email}   {analyst.password}\n"
            f"         (also in {told.layout.root}/demo.json)\n\n"
            f"The analyst's next commands, in another terminal:\n{story.next_commands(told)}\n"
            "Serving until Ctrl-C.\n"
        )

    def _say(self, text: str) -> None:
        self.stdout.write(text, ending="")
        self.stdout.flush()


def _prepare(sign_ins: Any, database: Any) -> None:
    """Bring the database up to date, unless it is another installation's."""
    if not settings.CONFIG.database_url and database.exists() and not sign_ins.exists():
        raise OtherDataError(f"{sign_ins.parent} holds an installation that is not the demo.")
    bring_up_to_date()
