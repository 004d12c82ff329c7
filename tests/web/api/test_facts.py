"""Facts that have a name."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.web.api.conftest import API, add, error, listed

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def put(
    api: API, user: str, key: str, value: str, *, headers: dict[str, str] | None = None, **fields: Any
) -> httpx.Response:
    return await api.put(f"/facts/{key}", params={"user": user}, json={"value": value, **fields}, headers=headers)


async def get(api: API, user: str, key: str) -> httpx.Response:
    return await api.get(f"/facts/{key}", params={"user": user})


async def said_before(api: API, user: str, key: str) -> list[str]:
    return [each["value"] for each in (await api.get(f"/facts/{key}/history", params={"user": user})).json()["data"]]


async def facts(api: API, user: str, **params: Any) -> dict[str, str]:
    data = (await api.get("/facts", params={"user": user, **params})).json()["data"]
    return {each["key"]: each["value"] for each in data}


async def test_a_fact_is_set_changed_looked_at_and_taken_out(api: API, ada: str) -> None:
    new = await put(api, ada, "favourite_editor", " vi ", importance=0.5, metadata={"a": 1})
    fact = new.json()
    assert (new.status_code, fact) == (
        201,
        {
            "key": "favourite_editor",
            "object": "fact",
            "value": "vi",
            "user": ada,
            "tenant": "default",
            "id": fact["id"],
            "importance": 0.5,
            "metadata": {"a": 1},
            "created_at": fact["created_at"],
            "updated_at": fact["created_at"],
            "valid_from": fact["created_at"],
            "valid_until": None,
        },
    )
    changed = await put(api, ada, "favourite_editor", "Neovim")
    assert (changed.status_code, changed.json()) == (
        200,
        {**fact, "value": "Neovim", "updated_at": changed.json()["updated_at"], "valid_from": changed.json()["valid_from"]},
    )
    read = await get(api, ada, "favourite_editor")
    assert (read.json(), read.headers["etag"]) == (changed.json(), changed.headers["etag"])
    await put(api, ada, "favourite_editor", "Helix")
    await put(api, ada, "favourite_editor", "Helix")
    assert await said_before(api, ada, "favourite_editor") == ["Neovim", "vi"]
    assert await listed(api, ada) == ["favourite_editor: Helix"]
    gone = await api.delete("/facts/favourite_editor", params={"user": ada})
    assert gone.json() == {"id": fact["id"], "object": "fact.deleted", "deleted": True}
    for path in ("/facts/favourite_editor", "/facts/favourite_editor/history"):
        assert error(await api.get(path, params={"user": ada})) == (404, "not_found", "key")
    assert error(await api.delete("/facts/favourite_editor", params={"user": ada})) == (404, "not_found", "key")
    assert await listed(api, ada, past=True) == []


async def test_they_are_listed_by_their_keys_in_pages(api: API, ada: str, ben: str) -> None:
    for key in ("b", "ä", "a", "B", "c.d", "Lieblingstee 🍵", "a/b"):
        assert (await put(api, ada, key.replace("/", "%2F"), f"is {key}")).status_code == 201
    await put(api, ben, "b", "is another's")
    assert await facts(api, ada) == {key: f"is {key}" for key in sorted(["b", "ä", "a", "B", "c.d", "Lieblingstee 🍵", "a/b"])}
    seen, cursor = [], None
    while True:
        page = (await api.get("/facts", params={"user": ada, "limit": 3} | ({"cursor": cursor} if cursor else {}))).json()
        seen.append([each["key"] for each in page["data"]])
        cursor = page["next_cursor"]
        if not page["has_more"]:
            break
    assert seen == [["B", "Lieblingstee 🍵", "a"], ["a/b", "b", "c.d"], ["ä"]]
    assert error(await api.get("/facts", params={"user": ada, "cursor": "%"})) == (400, "bad_request", "cursor")


async def test_a_fact_is_a_memory_too(api: API, ada: str) -> None:
    id_ = (await put(api, ada, "name", "Ada")).json()["id"]
    memory = (await api.get(f"/memories/{id_}")).json()
    assert (memory["type"], memory["key"], memory["content"], memory["category"]) == ("keyed", "name", "name: Ada", "fact")
    await api.patch(f"/memories/{id_}", json={"content": "Is called Ada Lovelace"})
    assert (await get(api, ada, "name")).json()["value"] == "Is called Ada Lovelace"
    assert error(await api.patch(f"/memories/{id_}", json={"category": "preference"})) == (409, "conflict", "type")
    await api.patch(f"/memories/{id_}", json={"valid_until": "2026-01-01"})
    assert error(await get(api, ada, "name")) == (404, "not_found", "key")
    assert await said_before(api, ada, "name") == ["Is called Ada Lovelace", "Is called Ada Lovelace", "Ada"]
    new = await put(api, ada, "name", "Ada King")
    assert (new.status_code, new.json()["id"] == id_) == (201, False)
    # With the fact goes all that was ever said under its name.
    await api.delete("/facts/name", params={"user": ada})
    assert await listed(api, ada, past=True) == []


async def test_it_is_found_by_a_search(api: API, ada: str) -> None:
    await put(api, ada, "birthday", "10 December")
    await add(api, ada, "Likes tea")
    found = (await api.post("/search", json={"user": ada, "query": "When is my birthday?"})).json()["data"]
    assert [(each["content"], each["key"]) for each in found] == [("birthday: 10 December", "birthday"), ("Likes tea", None)]


class TestConditions:
    async def test_of_two_editors_the_second_is_told(self, api: API, ada: str) -> None:
        tag = (await put(api, ada, "city", "Oslo")).headers["etag"]
        assert (await put(api, ada, "city", "Bergen", headers={"If-Match": tag})).status_code == 200
        assert error(await put(api, ada, "city", "Rome", headers={"If-Match": tag})) == (412, "has_changed", "If-Match")
        response = await api.delete("/facts/city", params={"user": ada}, headers={"If-Match": tag})
        assert error(response) == (412, "has_changed", "If-Match")
        assert await facts(api, ada) == {"city": "Bergen"}

    async def test_a_star_asks_for_one_that_is_there(self, api: API, ada: str) -> None:
        assert error(await put(api, ada, "city", "Oslo", headers={"If-Match": "*"})) == (412, "has_changed", "If-Match")
        assert (await put(api, ada, "city", "Oslo")).status_code == 201
        assert (await put(api, ada, "city", "Bergen", headers={"If-Match": "*"})).status_code == 200

    async def test_or_for_none(self, api: API, ada: str) -> None:
        assert (await put(api, ada, "city", "Oslo", headers={"If-None-Match": "*"})).status_code == 201
        again = await put(api, ada, "city", "Bergen", headers={"If-None-Match": "*"})
        assert (error(again), await facts(api, ada)) == ((412, "has_changed", "If-None-Match"), {"city": "Oslo"})

    async def test_who_has_it_gets_it_not_again(self, api: API, ada: str) -> None:
        tag = (await put(api, ada, "city", "Oslo")).headers["etag"]
        response = await api.get("/facts/city", params={"user": ada}, headers={"If-None-Match": tag})
        assert (response.status_code, response.headers["etag"]) == (304, tag)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "value"),
        ({"value": ""}, "value"),
        ({"value": " "}, "value"),
        ({"value": "x" * 1001}, "value"),
        ({"value": "x", "importance": 7}, "importance"),
        ({"value": "x", "metadata": "y"}, "metadata"),
        ({"value": "x", "key": "y"}, "key"),
        ({"value": 5}, "value"),
    ],
    ids=lambda value: repr(value)[:40],
)
async def test_each_fault_is_named(api: API, ada: str, body: dict[str, Any], param: str) -> None:
    response = await api.put("/facts/k", params={"user": ada}, json=body)
    assert (error(response), await facts(api, ada)) == ((400, "bad_request", param), {})


@pytest.mark.parametrize("key", ["a:b", "x" * 101, "%00", "%20", "%1F"])
async def test_not_everything_is_a_key(api: API, ada: str, key: str) -> None:
    assert error(await put(api, ada, key, "x")) == (400, "bad_request", "key")
    assert error(await api.get(f"/facts/{key}", params={"user": ada})) == (400, "bad_request", "key")


async def test_whose_must_be_said(api: API) -> None:
    assert error(await api.put("/facts/k", json={"value": "x"})) == (400, "bad_request", "user")
    assert error(await api.get("/facts")) == (400, "bad_request", "user")
