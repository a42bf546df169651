"""`manage.py source …`: add, change and ask sources, and bring their tables in.

Secrets are read from a variable of this shell or from standard input, never from an argument:

    manage.py source add crm --type postgres --set host=db --secret-env password=CRM_PASSWORD
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from agnes_site.core import human
from agnes_site.core.errors import AgnesError
from catalog.connectors import QueryMode
from catalog.models import Source
from catalog.services import removal, sources
from extracts.management import following, reading
from extracts.services import changing, offering, probing
from extracts.services.offering import Wishes
from extracts.services.probing import Upstream

_EXAMPLES = {
    "types": "manage.py source types",
    "add": "manage.py source add shop --type files --set folder=/data/shop --test",
    "change": "manage.py source change shop --set folder=/data/new-shop",
    "test": "manage.py source test shop",
    "discover": "manage.py source discover shop",
    "register": "manage.py source register shop orders customers --group Finance --extract",
    "extract": "manage.py source extract shop",
    "remove": "manage.py source remove shop --with-tables",
}


class Command(BaseCommand):
    """Add, change and ask sources, and bring their tables in."""

    help = "Add, change and ask sources, and bring their tables in."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take what to do, and with which source."""
        words = parser.add_subparsers(dest="what", required=True, metavar="WHAT")

        def word(name: str, text: str, *, named: bool = True) -> argparse.ArgumentParser:
            made = words.add_parser(
                name, help=text, description=f"{text} Example: {_EXAMPLES[name]}"
            )
            if named:
                made.add_argument("name", help="name of the source")
            return made

        word("types", "List the types of sources, with their settings and secrets.", named=False)
        add = word("add", "Add a source.")
        add.add_argument("--type", required=True, help="which connector serves it")
        add.add_argument("--display-name", default="", help="shown to people")
        add.add_argument("--schedule", default="", help="such as `every 6h`")
        add.add_argument("--test", action="store_true", help="add it only if it can be reached")
        reading.add_settings(add)
        change = word("change", "Change the settings or secrets of a source.")
        change.add_argument("--force", action="store_true", help="do not ask what it would break")
        reading.add_settings(change)
        word("test", "Test the connection of a source.")
        word("discover", "List the tables that a source offers.")
        register = word("register", "Register tables that a source offers.")
        register.add_argument("tables", nargs="*", metavar="TABLE[=NAME]", help="which of them")
        register.add_argument("--all", action="store_true", help="all that are not registered")
        register.add_argument(
            "--query-mode", choices=["local", "remote"], default="local",
            help="remote: their rows stay at the source",
        )  # fmt: skip
        register.add_argument("--folder", default="", help="grouping, made where there is none")
        register.add_argument("--schedule", default="", help="such as `daily 07:00`")
        register.add_argument("--group", default="", help="name of the group that may read them")
        register.add_argument("--extract", action="store_true", help="bring their rows and wait")
        extract = word("extract", "Extract the tables of a source and wait for their rows.")
        extract.add_argument("tables", nargs="*", metavar="TABLE", help="only these")
        extract.add_argument("--full", action="store_true", help="read incremental tables anew")
        remove = word("remove", "Remove a source.")
        remove.add_argument("--with-tables", action="store_true", help="unregister its tables too")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it; what is refused is said with what to do about it."""
        doers: dict[str, Callable[[dict[str, Any]], None]] = {
            "types": self._types, "add": self._add, "change": self._change, "test": self._test,
            "discover": self._discover, "register": self._register, "extract": self._extract,
            "remove": self._remove,
        }  # fmt: skip
        try:
            doers[options["what"]](options)
        except AgnesError as error:
            raise CommandError(
                f"{error.message}\nhint: {error.hint}".removesuffix("\nhint: ")
            ) from error

    def _types(self, options: dict[str, Any]) -> None:
        for line in reading.types():
            self.stdout.write(line)

    def _add(self, options: dict[str, Any]) -> None:
        config, secrets = reading.settings_of(options, options["type"], {})
        draft = Source(slug=options["name"], source_type=options["type"], config=config)
        if options["test"]:
            self.stderr.write(probing.try_connection(Upstream.of(draft, secrets)))
        sources.add_source(
            slug=options["name"], source_type=options["type"], config=config, secrets=secrets,
            display_name=options["display_name"], schedule=options["schedule"], by=None,
        )  # fmt: skip
        name = options["name"]
        if labels := reading.missing(options["type"], secrets):
            change = f"manage.py source change {name} --secret-stdin KEY"
            self._done(f"Added {name}; it needs a secret: {', '.join(labels)}. {change}")
        else:
            self._done(f"Added {name}. Next: manage.py source discover {name}")

    def _change(self, options: dict[str, Any]) -> None:
        source = sources.find_source(options["name"])
        config, secrets = reading.settings_of(options, source.source_type, source.config)
        changed = changing.change_source(
            source=source, by=None, force=options["force"], given=secrets, config=config
        )
        self._done(f"Changed {source.slug}." if changed or secrets else "Nothing differs.")

    def _test(self, options: dict[str, Any]) -> None:
        found = probing.try_connection(Upstream.of(sources.find_source(options["name"])))
        self._done(f"The connection works: {found}")

    def _discover(self, options: dict[str, Any]) -> None:
        found = offering.ask_offers(sources.find_source(options["name"]))
        for each in found:
            state = f"registered as {each.registered_as}" if each.registered_as else "free"
            state = each.spec["problem"] or state
            size = human.size(each.spec["bytes"])
            self.stdout.write("\t".join([each.proposed_name, each.upstream_id, size, state]))
        self._done(f"{human.plural(len(found), 'table')} offered.")

    def _register(self, options: dict[str, Any]) -> None:
        if bool(options["tables"]) == options["all"]:
            raise CommandError("Name the tables to register, or give --all.")
        if options["extract"] and options["query_mode"] == QueryMode.REMOTE:
            raise CommandError("The rows of remote tables are not brought: leave out --extract.")
        source = sources.find_source(options["name"])
        names = None if options["all"] else reading.names(options["tables"])
        outcome = offering.register(
            source=source, chosen=offering.choose(offering.ask_offers(source), names), by=None,
            wishes=Wishes(
                fields={
                    "folder": options["folder"], "sync_schedule": options["schedule"],
                    "query_mode": QueryMode(options["query_mode"]),
                },
                group=offering.find_readers(options["group"]), extract=options["extract"],
            ),
        )  # fmt: skip
        for refused in outcome.refused:
            self.stderr.write(f"{refused.name}: {refused.message} {refused.hint}")
        self._done(f"Registered {human.plural(len(outcome.registered), 'table')}.")
        runs = [each.run for each in outcome.registered if each.run]
        following.follow(runs, tell=self.stderr.write)
        if outcome.refused:
            raise CommandError(f"{human.plural(len(outcome.refused), 'table')} not registered.")

    def _extract(self, options: dict[str, Any]) -> None:
        source = sources.find_source(options["name"])
        runs = following.request(source, options["tables"], is_full=options["full"])
        following.follow(runs, tell=self.stderr.write)
        self._done(f"{human.plural(len(runs), 'table')} extracted.")

    def _remove(self, options: dict[str, Any]) -> None:
        source = sources.find_source(options["name"])
        gone = removal.remove_source(source=source, by=None, with_tables=options["with_tables"])
        self._done(f"Removed {source.slug}; {human.plural(len(gone), 'table')} went with it.")

    def _done(self, text: str) -> None:
        self.stderr.write(text, self.style.SUCCESS)
