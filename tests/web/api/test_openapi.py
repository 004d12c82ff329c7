"""The document: valid, whole, and about what is there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema_rs
import pytest

from proxy.web.api.operation import BASE, route
from proxy.web.api.table import OPERATIONS
from tests.web.api.conftest import API, DOCUMENT, validator_of

OPERATION_IDS = {
    "add_memory",
    "add_memories",
    "list_memories",
    "get_memory",
    "edit_memory",
    "delete_memory",
    "list_versions",
    "search_memories",
    "list_facts",
    "set_fact",
    "get_fact",
    "delete_fact",
    "list_fact_versions",
    "export_memories",
    "import_memories",
    "erase_user",
    "get_stats",
    "get_openapi",
    "get_docs",
}
"""Clients that are made of the document call their methods so: these names stay."""

NEEDS_NO_EXAMPLE = {"Document"}


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def refs(tree: Any) -> Iterator[str]:
    if isinstance(tree, Mapping):
        yield from ([tree["$ref"]] if isinstance(tree.get("$ref"), str) else [])
        tree = list(tree.values())
    if isinstance(tree, list):
        for each in tree:
            yield from refs(each)


def resolved(tree: Any) -> Any:
    while "$ref" in tree:
        found: Any = DOCUMENT
        for name in tree["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        tree = found
    return tree


def fields() -> list[tuple[str, str, dict[str, Any]]]:
    schemas = DOCUMENT["components"]["schemas"]
    return [(name, field, each) for name, schema in schemas.items() for field, each in schema.get("properties", {}).items()]


def parts(field: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The field itself, and what it may be."""
    yield field
    for each in field.get("anyOf", []):
        yield from parts(each)


@pytest.mark.asyncio(loop_scope="package")
async def test_it_is_served_as_it_is_made(api: API) -> None:
    response = await api.get("/openapi.json")
    assert (response.status_code, response.json()) == (200, DOCUMENT)


class TestStructure:
    def test_its_version_and_who_it_is_of(self) -> None:
        assert (DOCUMENT["openapi"], DOCUMENT["info"]["title"]) == ("3.1.0", "memory-proxy")
        assert DOCUMENT.keys() <= {"openapi", "info", "servers", "security", "tags", "paths", "components"}

    def test_every_schema_is_one_of_json_schema_2020_12(self) -> None:
        for name, schema in DOCUMENT["components"]["schemas"].items():
            assert jsonschema_rs.meta.is_valid({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}), name
            validator_of({"$ref": f"#/components/schemas/{name}"})

    def test_every_reference_leads_somewhere_and_nothing_lies_about(self) -> None:
        for ref in refs(DOCUMENT):
            assert resolved({"$ref": ref})
        used = set(refs(DOCUMENT))
        for kind in ("schemas", "headers"):
            unused = {name for name in DOCUMENT["components"][kind] if f"#/components/{kind}/{name}" not in used}
            assert unused == set()

    def test_parameters_of_a_path_are_those_in_it(self) -> None:
        for path, _, operation in operations():
            in_path = [each["name"] for each in operation["parameters"] if each["in"] == "path"]
            assert in_path == re.findall(r"\{(\w+)\}", path)
            names = [(each["in"], each["name"]) for each in operation["parameters"]]
            assert len(names) == len(set(names))
            assert all(each["required"] for each in operation["parameters"] if each["in"] == "path")
            assert {each["in"] for each in operation["parameters"]} <= {"path", "query", "header"}

    def test_every_operation_has_an_id_of_its_own_that_stays(self) -> None:
        ids = [operation["operationId"] for _, _, operation in operations()]
        assert len(ids) == len(set(ids))
        assert set(ids) >= OPERATION_IDS

    def test_every_operation_has_answers_in_its_own_form(self) -> None:
        for path, method, operation in operations():
            statuses = operation["responses"]
            assert {"400", "401", "403", "413", "503"} <= statuses.keys(), path
            assert any(status.startswith(("2", "101")) for status in statuses)
            assert ("415" in statuses) == (method not in ("get", "delete"))
            for status, each in statuses.items():
                response = resolved(each)
                assert response["description"]
                assert ("content" in response) == (status not in ("101", "304"))
                if status >= "400":
                    assert response["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Error"}

    def test_headers_that_mean_something_are_described(self) -> None:
        assert set(DOCUMENT["components"]["headers"]) >= {"ETag", "Location", "Retry-After", "Allow", "WWW-Authenticate"}
        by_id = {operation["operationId"]: operation for _, _, operation in operations()}

        def headers(id_: str, status: str) -> set[str]:
            return set(resolved(by_id[id_]["responses"][status]).get("headers", {}))

        assert headers("add_memory", "201") == {"ETag", "Location"}
        assert headers("edit_memory", "200") == headers("get_fact", "200") == headers("get_fact", "304") == {"ETag"}
        assert headers("add_memory", "503") == {"Retry-After"}
        assert headers("add_memory", "401") == {"WWW-Authenticate"}
        assert {each["name"] for each in by_id["set_fact"]["parameters"] if each["in"] == "header"} == {
            "If-Match",
            "If-None-Match",
        }


class TestWords:
    def test_every_tag_and_operation_says_what_it_is(self) -> None:
        used = {tag for _, _, operation in operations() for tag in operation["tags"]}
        assert {each["name"] for each in DOCUMENT["tags"]} == used
        assert [operation["operationId"] for _, _, operation in operations() if not operation["summary"]] == []
        assert [name for name, each in DOCUMENT["components"]["schemas"].items() if not each.get("description")] == []

    def test_every_parameter_is_described_with_an_example(self) -> None:
        bare = [
            (operation["operationId"], each["name"])
            for _, _, operation in operations()
            for each in operation["parameters"]
            if not (each.get("description") and ("example" in each or each["schema"].get("examples")))
        ]
        assert bare == []

    @pytest.mark.parametrize(("schema", "name", "field"), fields(), ids=lambda value: value if isinstance(value, str) else "")
    def test_every_field_is_described_with_an_example(self, schema: str, name: str, field: dict[str, Any]) -> None:
        assert any(each.get("description") for each in parts(field))
        is_another = any("$ref" in each or "$ref" in each.get("items", {}) for each in parts(field))
        examples = [example for each in parts(field) for example in each.get("examples", [])]
        assert examples or is_another
        validator = validator_of(field)
        assert [example for example in examples if not validator.is_valid(example)] == []

    def test_examples_of_errors_are_such(self) -> None:
        validator = validator_of({"$ref": "#/components/schemas/Error"})
        for each in DOCUMENT["components"]["responses"].values():
            validator.validate(each["content"]["application/json"]["example"])


def test_every_route_is_in_it_and_nothing_else() -> None:
    routed = {(path, method) for path, calls in route(OPERATIONS).items() for method in calls.methods - {"HEAD"}}
    assert routed == {(path, method.upper()) for path, method, _ in operations()}
    assert all(path.startswith(f"{BASE}/") for path in DOCUMENT["paths"])
