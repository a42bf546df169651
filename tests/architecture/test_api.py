"""Every operation of the HTTP API: who may call it, what it is called, what it says of itself."""

from __future__ import annotations

import re
from collections import defaultdict
from uuid import UUID

import pytest

from agnes_site.web.reference import api as reference
from tests.factories import TableFactory, publish

# Operations that anybody may call, each with its reason.
PUBLIC = {
    "get_health": "load balancers ask it, and it tells no more than that the server answers",
    "get_ready": "orchestrators ask it before anybody can have signed in",
    "get_sync_status": "older clients ask it without a token, and it tells numbers, no names",
    "get_latest_client": "an old client asks it before it can sign in",
}

ANY_ID = str(UUID(int=0))


@pytest.fixture(scope="session")
def operations(schema):
    return list(reference.operations(schema))


def address(path: str) -> str:
    return re.sub(r"\{[^}]*_id\}", ANY_ID, path).replace("{name}", "orders")


class TestEachOperation:
    def test_knows_its_caller_or_is_public_for_a_reason(self, operations):
        public = {found["operationId"] for _, _, found in operations if not found.get("security")}

        assert public == set(PUBLIC)

    def test_refuses_a_stranger_unless_it_is_public(self, operations, client, db):
        answers = {
            found["operationId"]: client.generic(method, address(path)).status_code
            for method, path, found in operations
            if found["operationId"] not in PUBLIC
        }

        assert {name: status for name, status in answers.items() if status != 401} == {}

    def test_refuses_an_analyst_where_it_is_for_administrators(self, operations, api):
        answers = {
            found["operationId"]: api.generic(method, address(path)).json()["code"]
            for method, path, found in operations
            if reference.caller(found) == "AdminUser"
        }

        assert set(answers.values()) == {"admin_required"}

    def test_below_admin_is_for_administrators(self, operations):
        open_to_all = [
            path
            for _, path, found in operations
            if path.startswith("/api/admin/") and reference.caller(found) != "AdminUser"
        ]

        assert open_to_all == []

    def test_has_an_id_of_its_own(self, operations):
        paths = defaultdict(set)
        for _, path, found in operations:
            paths[found["operationId"]].add(path)

        assert {name: found for name, found in paths.items() if len(found) > 1} == {}
        assert [name for name in paths if not re.fullmatch(r"[a-z]+(_[a-z0-9]+)+", name)] == []

    def test_says_what_it_does(self, operations):
        silent = [
            found["operationId"]
            for _, _, found in operations
            if not re.match(r"[A-Z].*\.", found.get("description", ""), re.DOTALL)
        ]

        assert silent == []

    def test_has_a_subject(self, operations):
        assert [found["operationId"] for _, _, found in operations if not found.get("tags")] == []

    def test_explains_the_parameters_of_its_query(self, operations):
        silent = [
            (found["operationId"], given["name"])
            for _, _, found in operations
            for given in found.get("parameters", [])
            if given["in"] == "query" and not given["schema"].get("description")
        ]

        assert silent == []

    def test_says_what_it_answers_with(self, operations):
        silent = [
            found["operationId"]
            for _, _, found in operations
            if not any("content" in answer for answer in found["responses"].values())
            and "204" not in found["responses"]
        ]

        assert silent == []

    def test_shows_a_manifest_as_it_is(self, schema, api, analyst, grant):
        table = TableFactory(name="orders")
        publish(table)
        grant(analyst, table)
        grant(analyst, TableFactory(name="refunds"))
        headers = {"X-Agnes-Client": "agnes/1.0.0; parts"}

        real = api.get("/api/sync/manifest", headers=headers).json()

        answers = schema["paths"]["/api/sync/manifest"]["get"]["responses"]
        shown = answers["200"]["content"]["application/json"]["example"]
        assert shape(shown) == shape(real)


def shape(value):
    """Names and kinds of what is in a JSON value; a hash or a time is a text like another."""
    if isinstance(value, dict):
        return {name: shape(each) for name, each in value.items()}
    return [shape(each) for each in value] if isinstance(value, list) else type(value)


class TestEachObject:
    def test_says_what_it_is(self, schema):
        silent = [
            name
            for name, found in schema["components"]["schemas"].items()
            if not found.get("description")
        ]

        assert silent == []

    def test_shows_an_example_or_explains_its_fields(self, schema):
        silent = {}
        for name, found in schema["components"]["schemas"].items():
            fields = {
                field
                for field, shape in found.get("properties", {}).items()
                if not shape.get("description") and not _holds_objects(shape)
            }
            if fields and "example" not in found:
                silent[name] = sorted(fields)

        assert silent == {}

    def test_shows_no_field_in_its_example_that_it_has_not(self, schema):
        odd = {
            name: sorted(set(found["example"]) - set(found["properties"]))
            for name, found in schema["components"]["schemas"].items()
            if "example" in found
        }

        assert {name: fields for name, fields in odd.items() if fields} == {}


def _holds_objects(shape) -> bool:
    return "$ref" in shape or "$ref" in shape.get("items", {})
