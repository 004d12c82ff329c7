"""Memories, one by one: what is taken, what is given, what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.fakes import RunningProxy
from tests.web.api.conftest import API, add, block, error, history, listed, message, say

pytestmark = pytest.mark.asyncio(loop_scope="package")

LONG_AGO, LATER = "2001-02-03T04:05:06.000007Z", "2999-01-01T00:00:00Z"


def now() -> datetime:
    return datetime.now(UTC)


def time(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def test_a_content_is_all_that_it_takes(api: API, ada: str) -> None:
    before = now()
    response = await api.post("/memories", json={"user": ada, "content": "  Prefers Python\n"})
    memory = response.json()
    assert before <= time(memory["created_at"]) <= now()
    assert memory == {
        "id": str(UUID(memory["id"])),
        "object": "memory",
        "user": ada,
        "tenant": "default",
        "content": "Prefers Python",
        "category": "fact",
        "type": "semantic",
        "importance": memory["importance"],
        "session": None,
        "scope": "user",
        "metadata": {},
        "created_at": memory["created_at"],
        "updated_at": memory["created_at"],
        "valid_from": memory["created_at"],
        "valid_until": None,
        "replaces": None,
        "conflicts": [],
        "access_count": 0,
        "last_accessed_at": None,
        "source": "api",
        "key": None,
        "flagged": False,
        "trace": None,
        "last_trace": None,
        "model": None,
        "turns": [],
        "speaker": None,
        "reply": None,
    }
    assert response.headers["location"] == f"/memory/v1/memories/{memory['id']}"
    again = await api.get(f"/memories/{memory['id']}")
    assert (again.json(), again.headers["etag"]) == (memory, response.headers["etag"])


async def test_every_field_is_kept(api: API, ada: str) -> None:
    given = {
        "user": ada,
        "tenant": "shop",
        "content": 'Läuft um 6 Uhr früh 🏃‍♀️, "immer";\n\t東京 \\ <memory>',
        "category": "fact",
        "type": "procedural",
        "importance": 0.875,
        "session": "sitzung-ü",
        "scope": "session",
        "metadata": {
            "a": [1, 2.5, 0.1 + 0.2, 1 / 3, None, True, {"b": {"": []}}],
            "big": 2**63 - 1,
            "low": -(2**63),
            "e": "\u0301",
        },
        "valid_from": LONG_AGO,
        "valid_until": LATER,
    }
    response = await api.post("/memories", json=given)
    again = await api.get(f"/memories/{response.json()['id']}")
    assert (again.json(), again.headers["etag"]) == (response.json(), response.headers["etag"])
    assert {name: again.json()[name] for name in given} == given
    # To Python, 1, 1.0 and True are one.
    assert repr(again.json()["metadata"]) == repr(given["metadata"])


@pytest.mark.parametrize(
    ("given", "category", "type_"),
    [
        ({}, "fact", "semantic"),
        ({"category": "preference"}, "preference", "preference"),
        ({"category": "context"}, "context", "contextual"),
        ({"type": "episodic"}, "context", "episodic"),
        ({"category": "fact", "type": "emotional"}, "preference", "emotional"),
        ({"category": None, "type": None, "importance": None, "session": None, "valid_from": None}, "fact", "semantic"),
    ],
)
async def test_a_category_stands_for_a_type(api: API, ada: str, given: dict[str, Any], category: str, type_: str) -> None:
    memory = await add(api, ada, **given)
    assert (memory["category"], memory["type"]) == (category, type_)


async def test_a_context_ends_by_itself(api: API, ada: str) -> None:
    memory = await add(api, ada, category="context")
    days = (time(memory["valid_until"]) - time(memory["created_at"])) / timedelta(days=1)
    assert round(days, 3) == 90
    assert (await add(api, ada, "Is in Rome", category="context", valid_until=LATER))["valid_until"] == LATER


@pytest.mark.parametrize(
    ("given", "is_time"),
    [
        ("2026-03-01T12:00:00+02:00", "2026-03-01T10:00:00Z"),
        ("2026-03-01T12:00:00.5", "2026-03-01T12:00:00.500000Z"),
        ("2026-03-01", "2026-03-01T00:00:00Z"),
        ("20260301T120000Z", "2026-03-01T12:00:00Z"),
    ],
)
async def test_times_are_iso_8601_and_utc_without_an_offset(api: API, ada: str, given: str, is_time: str) -> None:
    assert (await add(api, ada, valid_from=given))["valid_from"] == is_time


@pytest.mark.parametrize(
    ("fields", "param", "text"),
    [
        ({"content": None}, "content", "should be a valid string"),
        ({"content": ""}, "content", "should have at least 1 character"),
        ({"content": " \n"}, "content", "must hold more than blank space"),
        ({"content": "a\x00b"}, "content", "must not hold the character U+0000"),
        ({"content": "x" * 4001}, "content", "should have at most 4000 characters"),
        ({"content": 7}, "content", "should be a valid string"),
        ({"user": ""}, "user", "is empty; leave it out or name somebody"),
        ({"user": "a\x1fb"}, "user", "must not hold control characters"),
        ({"user": "ü" * 513}, "user", "is 1026 bytes long; at most 1024 are allowed"),
        ({"user": 5}, "user", "should be a valid string"),
        ({"tenant": "\t"}, "tenant", "is empty; leave it out or name somebody"),
        ({"session": "\x7f"}, "session", "must not hold control characters"),
        ({"category": "turn"}, "category", "should be 'preference', 'fact' or 'context'"),
        ({"type": "keyed"}, "type", "should be 'semantic', 'preference', 'contextual', 'episodic', 'procedural' or 'emotional'"),
        ({"importance": 1.1}, "importance", "should be less than or equal to 1"),
        ({"importance": -0.1}, "importance", "should be greater than or equal to 0"),
        ({"importance": "0.5"}, "importance", "should be a valid number"),
        ({"importance": True}, "importance", "should be a valid number"),
        ({"scope": "planet"}, "scope", "should be 'user', 'session' or 'global'"),
        ({"scope": "session"}, "session", "is missing: a memory of the scope session is for one"),
        ({"metadata": []}, "metadata", "should be an object"),
        ({"metadata": {"a": 2**63}}, "metadata", "must hold whole numbers of 64 bits at most"),
        ({"metadata": {"a": "x" * 16384}}, "metadata", "must take at most 16384 bytes, not 16392"),
        ({"valid_from": "yesterday"}, "valid_from", "must be a time in ISO 8601, such as 2026-03-01T12:00:00Z"),
        ({"valid_from": 1772366400}, "valid_from", "must be a time in ISO 8601, such as 2026-03-01T12:00:00Z"),
        ({"valid_from": "0001-01-01T00:00:00+14:00"}, "valid_from", "must be a time in ISO 8601, such as 2026-03-01T12:00:00Z"),
        ({"valid_until": "9999-12-31T23:59:59Z"}, "valid_until", "must be between the years 1000 and 9998"),
        ({"valid_from": LATER, "valid_until": LONG_AGO}, "valid_until", "must not come before valid_from"),
        ({"colour": "red"}, "colour", "is unknown here"),
        ({"id": "7b0c5f0e-52a1-4a0f-8d25-3f6a8f1c2d3e"}, "id", "is unknown here"),
        ({"x" * 5000: 1}, "x" * 100, "is unknown here"),
    ],
    ids=lambda value: repr(value)[:40],
)
async def test_each_fault_is_named(api: API, ada: str, fields: dict[str, Any], param: str, text: str) -> None:
    response = await api.post("/memories", json={"user": ada, "content": "Likes tea", **fields})
    assert (error(response), message(response)) == ((400, "bad_request", param), f"{param}: {text}")
    assert await listed(api, ada) == []


async def test_metadata_that_is_too_deep_is_refused(api: API, ada: str) -> None:
    deep: Any = "x"
    for _ in range(17):
        deep = [deep]
    response = await api.post("/memories", json={"user": ada, "content": "Likes tea", "metadata": {"a": deep}})
    assert (error(response), message(response)) == (
        (400, "bad_request", "metadata"),
        "metadata: must be at most 16 levels deep",
    )


@pytest.mark.parametrize(
    ("body", "param", "text"),
    [
        (b"", None, "The body is not JSON: "),
        (b'{"user": "ada",}', None, "The body is not JSON: trailing comma is not allowed at line 1, column 15"),
        (b'{"user": NaN}', None, "The body is not JSON: "),
        (b'{"user": "\xff"}', None, "The body is not JSON: "),
        (b'{"user": "\\ud800"}', None, "The body is not JSON: "),
        (b"[" * 5000, None, "The body is not JSON: "),
        (b"null", None, "the body: should be an object"),
        (b"[]", None, "the body: should be an object"),
        (b"{}", "user", "user: is missing (1 more)"),
        (b'{"content": "Likes tea"}', "user", "user: is missing"),
    ],
)
async def test_so_is_a_body_that_is_none(api: API, body: bytes, param: str | None, text: str) -> None:
    response = await api.post("/memories", content=body, headers={"Content-Type": "application/json"})
    assert error(response) == (400, "bad_request", param)
    assert message(response).startswith(text)


async def test_so_is_a_body_that_is_too_large(api: API, ada: str) -> None:
    body = b'{"user": "%b", "content": "%b"}' % (ada.encode(), b"x" * 16 * 1024 * 1024)
    response = await api.post("/memories", content=body, headers={"Content-Type": "application/json"})
    assert error(response) == (413, "request_too_large", None)
    assert message(response) == "The body has more than 16777216 bytes: send less at a time."


async def test_an_error_never_repeats_what_was_said(api: API, ada: str) -> None:
    for fields in ({"importance": "canary"}, {"metadata": "canary"}, {"scope": "canary"}, {"valid_from": "canary"}):
        response = await api.post("/memories", json={"user": ada, "content": "Likes tea", **fields})
        assert (response.status_code, "canary" in response.text) == (400, False)


async def test_what_is_known_gains_weight(api: API, ada: str, ben: str) -> None:
    first = await add(api, ada, "Likes green tea", category="preference", metadata={"a": {"x": 1, "y": 2}})
    await add(api, ben, "Likes green tea", category="preference", metadata={"a": {"x": 1, "y": 2}})
    again = await add(api, ada, "likes  green tea.", category="preference", metadata={"a": {"y": 2, "x": 1}}, importance=0.99)
    assert again == {
        **first,
        "importance": 0.99,
        "access_count": 1,
        "last_accessed_at": again["last_accessed_at"],
    }
    # What differs in anything else is another.
    for other in (
        {},
        {"category": "preference"},
        {"category": "preference", "session": "s", "metadata": {"a": {"x": 1, "y": 2}}},
    ):
        assert (await add(api, ada, "Likes green tea", **other))["id"] != first["id"]
    assert len(await listed(api, ada)) == 4


async def test_numbers_that_python_takes_for_equal_are_not(api: API, ada: str) -> None:
    ids = {(await add(api, ada, metadata={"a": value}))["id"] for value in (1, 1.0, True, "1", None)}
    assert len(ids) == 5


class TestBatches:
    async def test_all_are_added_in_their_order(self, api: API, ada: str, ben: str) -> None:
        body = {
            "user": ada,
            "tenant": "shop",
            "memories": [
                {"content": "One"},
                {"content": "Two", "user": ben},
                {"content": "one"},
                {"content": "Three", "tenant": "default", "category": "preference"},
            ],
        }
        data = (await api.post("/memories/batch", json=body)).json()["data"]
        assert [(each["content"], each["user"], each["tenant"]) for each in data] == [
            ("One", ada, "shop"),
            ("Two", ben, "shop"),
            ("One", ada, "shop"),
            ("Three", ada, "default"),
        ]
        assert data[0]["id"] == data[2]["id"]
        assert await listed(api, ada, tenant="shop") == ["One"]

    async def test_a_bare_list_is_one_too(self, api: API, ada: str) -> None:
        response = await api.post("/memories/batch", json=[{"user": ada, "content": f"Number {n}"} for n in range(3)])
        assert (response.status_code, await listed(api, ada)) == (201, ["Number 2", "Number 1", "Number 0"])

    async def test_a_thousand_fit_in_one(self, api: API, ada: str) -> None:
        body = {"user": ada, "memories": [{"content": f"Number {n}"} for n in range(1000)]}
        data = (await api.post("/memories/batch", json=body)).json()["data"]
        assert [each["content"] for each in data] == [f"Number {n}" for n in range(1000)]
        assert await listed(api, ada, limit=1000) == [f"Number {n}" for n in reversed(range(1000))]

    @pytest.mark.parametrize(
        ("body", "param"),
        [
            ({"memories": []}, "memories"),
            ({"memories": [{"content": "x"}] * 1001}, "memories"),
            ({"memories": [{"content": "x"}, {"content": ""}]}, "memories[1].content"),
            ({"memories": [{"content": "x"}, {"content": "x", "metadata": {"a": 2**70}}]}, "memories[1].metadata"),
            ({"memories": [{"content": "x"}, 7]}, "memories[1]"),
            ({"memories": [{"content": "x", "scope": "session"}]}, "memories[0].session"),
            ({"memories": {"content": "x"}}, "memories"),
            ({"memories": [{"content": "x"}], "session": "s"}, "session"),
            ({}, "memories"),
        ],
        ids=lambda value: repr(value)[:40],
    )
    async def test_one_fault_and_none_is_added(self, api: API, ada: str, body: dict[str, Any], param: str) -> None:
        response = await api.post("/memories/batch", json={"user": ada, **body})
        assert error(response) == (400, "bad_request", param)
        assert await listed(api, ada) == []


class TestEdits:
    async def test_what_it_was_goes_to_the_history(self, api: API, ada: str) -> None:
        first = await add(api, ada, "Lives in Oslo", metadata={"a": 1})
        second = (await api.patch(f"/memories/{first['id']}", json={"content": "Lives in Bergen"})).json()
        third = (await api.patch(f"/memories/{first['id']}", json={"importance": 0.9, "metadata": {}})).json()
        versions = await history(api, first["id"])
        assert third == {
            **first,
            "content": "Lives in Bergen",
            "importance": 0.9,
            "metadata": {},
            "updated_at": third["updated_at"],
            "valid_from": second["updated_at"],
            "replaces": versions[0]["id"],
        }
        assert [(each["content"], each["importance"], each["metadata"]) for each in versions] == [
            ("Lives in Bergen", first["importance"], {"a": 1}),
            ("Lives in Oslo", first["importance"], {"a": 1}),
        ]
        assert await listed(api, ada) == ["Lives in Bergen"]
        assert sorted(await listed(api, ada, past=True)) == ["Lives in Bergen", "Lives in Bergen", "Lives in Oslo"]
        # A new content begins now; anything else corrects the record, and the wrong one never held.
        assert (versions[1]["valid_from"], versions[1]["valid_until"]) == (first["valid_from"], second["updated_at"])
        assert versions[0]["valid_from"] == versions[0]["valid_until"] == second["valid_from"]

    async def test_at_no_time_do_two_versions_hold(self, api: API, ada: str) -> None:
        memory = await add(api, ada, "Lives in Oslo", valid_from="2020-01-01")
        await api.patch(f"/memories/{memory['id']}", json={"importance": 0.9})
        await api.patch(f"/memories/{memory['id']}", json={"content": "Lives in Bergen", "valid_from": "2022-06-01"})
        await api.patch(f"/memories/{memory['id']}", json={"content": "Lives in Rome"})
        held = {year: await listed(api, ada, as_of=f"{year}-01-01") for year in (2019, 2020, 2022, 2023, 2100)}
        assert held == {
            2019: [],
            2020: ["Lives in Oslo"],
            2022: ["Lives in Oslo"],
            2023: ["Lives in Bergen"],
            2100: ["Lives in Rome"],
        }

    async def test_it_is_found_by_what_it_says_now(self, api: API, ada: str) -> None:
        memory = await add(api, ada, "Plays the violin")
        await api.patch(f"/memories/{memory['id']}", json={"content": "Rides a bicycle"})
        for query, shares_words in (("violin", False), ("bicycle", True)):
            [found] = (await api.post("/search", json={"user": ada, "query": query})).json()["data"]
            assert found["content"] == "Rides a bicycle"
            assert (found["scores"]["dense"] > 0.1, found["scores"]["sparse"] is not None) == (shares_words, shares_words)

    async def test_the_same_again_changes_nothing(self, api: API, ada: str) -> None:
        memory = await add(api, ada, metadata={"a": 1})
        for change in ({"content": " Likes tea "}, {"metadata": {"a": 1}}, {"category": "fact"}, {"session": None}):
            assert (await api.patch(f"/memories/{memory['id']}", json=change)).json() == memory
        assert await history(api, memory["id"]) == []
        assert (await api.patch(f"/memories/{memory['id']}", json={"metadata": {"a": True}})).json()["metadata"] == {"a": True}

    async def test_null_takes_away_what_may_be_missing(self, api: API, ada: str) -> None:
        memory = await add(api, ada, session="s", category="context")
        edited = (await api.patch(f"/memories/{memory['id']}", json={"session": None, "valid_until": None})).json()
        assert (edited["session"], edited["valid_until"]) == (None, None)

    async def test_an_end_in_the_past_is_the_end(self, api: API, ada: str) -> None:
        memory = await add(api, ada, "Lives in Oslo", valid_from="2020-01-01")
        edited = (await api.patch(f"/memories/{memory['id']}", json={"valid_until": "2021-01-01"})).json()
        assert (edited["valid_from"], edited["valid_until"]) == ("2020-01-01T00:00:00Z", "2021-01-01T00:00:00Z")
        assert [await listed(api, ada, as_of=f"{year}-06-01") for year in (2020, 2021, 2025)] == [["Lives in Oslo"], [], []]
        response = await api.patch(f"/memories/{memory['id']}", json={"importance": 0.1})
        assert error(response) == (409, "conflict", "id")
        assert (await api.patch(f"/memories/{memory['id']}", json={"valid_until": None})).status_code == 200
        assert await listed(api, ada) == ["Lives in Oslo"]

    @pytest.mark.parametrize(
        ("change", "param"),
        [
            ({}, None),
            ({"content": None}, "content"),
            ({"content": " "}, "content"),
            ({"importance": None}, "importance"),
            ({"importance": 2}, "importance"),
            ({"metadata": None}, "metadata"),
            ({"category": None}, "category"),
            ({"valid_from": None}, "valid_from"),
            ({"valid_from": LATER, "valid_until": LONG_AGO}, "valid_until"),
            ({"user": "eve"}, "user"),
            ({"scope": "global"}, "scope"),
            ({"created_at": LATER}, "created_at"),
        ],
    )
    async def test_each_fault_is_named(self, api: API, ada: str, change: dict[str, Any], param: str | None) -> None:
        memory = await add(api, ada)
        response = await api.patch(f"/memories/{memory['id']}", json=change)
        assert error(response) == (400, "bad_request", param)
        assert (await api.get(f"/memories/{memory['id']}")).json() == memory

    async def test_what_only_the_memory_shows_to_be_wrong_is_named_too(self, api: API, ada: str) -> None:
        memory = await add(api, ada, session="s", scope="session", valid_until=LATER)
        assert error(await api.patch(f"/memories/{memory['id']}", json={"session": None})) == (400, "bad_request", "session")
        assert error(await api.patch(f"/memories/{memory['id']}", json={"valid_from": "3000-01-01"})) == (
            400,
            "bad_request",
            "valid_from",
        )

    async def test_turns_that_said_the_old_content_end(self, api: API, proxy: RunningProxy, ada: str) -> None:
        await say(proxy, ada, "I live in Oslo", f"Fine.\n{block({'content': 'Lives in Oslo'})}")
        await say(proxy, ada, "I like my garden", session="s2")
        [memory] = (await api.get("/memories", params={"user": ada})).json()["data"]
        await api.patch(f"/memories/{memory['id']}", json={"content": "Lives in Bergen"})
        assert await listed(api, ada, category="turn") == ["I like my garden"]
        assert await listed(api, ada, category="turn", past=True) == ["I like my garden", "I live in Oslo"]

    async def test_a_message_stays_as_it_was_said(self, api: API, proxy: RunningProxy, ada: str) -> None:
        await say(proxy, ada, "I live in Oslo", name="Ada")
        [turn] = (await api.get("/memories", params={"user": ada, "category": "turn"})).json()["data"]
        assert (turn["type"], turn["speaker"], turn["reply"]) == ("turn", "Ada", "Noted.")
        assert error(await api.patch(f"/memories/{turn['id']}", json={"content": "x"})) == (409, "conflict", "id")
        assert (await api.delete(f"/memories/{turn['id']}")).status_code == 200
        assert await listed(api, ada, category="turn", past=True) == []

    async def test_a_model_s_correction_is_a_version_too(self, api: API, proxy: RunningProxy, ada: str) -> None:
        first = await add(api, ada, "Lives in Oslo")
        edited = (await api.patch(f"/memories/{first['id']}", json={"content": "Lives in Bergen"})).json()
        correction = block({"content": "Lives in Rome since May", "replaces": "m1"})
        await say(proxy, ada, "Lives in Bergen? No, lives in Rome since May.", f"Rome.\n{correction}")
        [memory] = (await api.get("/memories", params={"user": ada})).json()["data"]
        assert (memory["content"], memory["replaces"]) == ("Lives in Rome since May", edited["id"])
        assert [each["content"] for each in await history(api, memory["id"])] == ["Lives in Bergen", "Lives in Oslo"]
        assert (await api.delete(f"/memories/{memory['id']}")).status_code == 200
        assert await listed(api, ada, past=True) == []


async def test_edits_settle_conflicts(api: API, proxy: RunningProxy, ada: str) -> None:
    for city in ("Oslo", "Bergen"):
        await say(proxy, ada, f"My town is {city}", f"Ok.\n{block({'content': f'Lives in {city}'})}", session=city)
    rivals = (await api.get("/memories", params={"user": ada})).json()["data"]
    assert [each["conflicts"] for each in rivals] == [[rivals[1]["id"]], [rivals[0]["id"]]]
    await api.patch(f"/memories/{rivals[0]['id']}", json={"content": "Has a cat"})
    assert [each["conflicts"] for each in (await api.get("/memories", params={"user": ada})).json()["data"]] == [[], []]


class TestDeletes:
    async def test_it_is_gone_with_its_history_and_what_said_it(self, api: API, proxy: RunningProxy, ada: str) -> None:
        await say(proxy, ada, "I live in Oslo", f"Fine.\n{block({'content': 'Lives in Oslo'})}")
        await say(proxy, ada, "I live in Oslo", session="s2")
        [memory] = (await api.get("/memories", params={"user": ada})).json()["data"]
        await api.patch(f"/memories/{memory['id']}", json={"content": "Lives in Bergen"})
        await say(proxy, ada, "Right: lives in Bergen. And the sea is cold.", session="s3")
        response = await api.delete(f"/memories/{memory['id']}")
        assert response.json() == {"id": memory["id"], "object": "memory.deleted", "deleted": True}
        assert await listed(api, ada, past=True, turns=True) == []
        assert error(await api.get(f"/memories/{memory['id']}")) == (404, "not_found", "id")
        assert error(await api.delete(f"/memories/{memory['id']}")) == (404, "not_found", "id")

    async def test_others_contradict_it_no_more(self, api: API, proxy: RunningProxy, ada: str) -> None:
        for city in ("Oslo", "Bergen"):
            await say(proxy, ada, f"My town is {city}", f"Ok.\n{block({'content': f'Lives in {city}'})}", session=city)
        rivals = (await api.get("/memories", params={"user": ada})).json()["data"]
        await api.delete(f"/memories/{rivals[0]['id']}")
        assert [each["conflicts"] for each in (await api.get("/memories", params={"user": ada})).json()["data"]] == [[]]

    async def test_an_earlier_version_alone_can_go(self, api: API, ada: str) -> None:
        memory = await add(api, ada, "Lives in Oslo")
        for city in ("Bergen", "Rome"):
            await api.patch(f"/memories/{memory['id']}", json={"content": f"Lives in {city}"})
        await api.delete(f"/memories/{(await history(api, memory['id']))[0]['id']}")
        assert (await history(api, memory["id"]), await listed(api, ada)) == ([], ["Lives in Rome"])
        assert await listed(api, ada, past=True) == ["Lives in Rome"]


class TestOwners:
    LOOK_ALIKES = ("u1", "u10", "U1", "ú1", "u\u03011", "ｕ1", "*", "u1/", "../u1", "u1%20", "null")

    async def test_who_looks_alike_is_another(self, api: API, ada: str) -> None:
        users = [f"{ada}{name}" for name in self.LOOK_ALIKES]
        for user in users:
            await add(api, user, f"Is {user}")
            await add(api, user, f"Is {user} of shop", tenant="shop")
        assert [await listed(api, user) for user in users] == [[f"Is {user}"] for user in users]
        assert [await listed(api, user, tenant="shop") for user in users] == [[f"Is {user} of shop"] for user in users]
        for user in users:
            found = (await api.post("/search", json={"user": user, "query": f"Is {ada}", "min_score": 0, "limit": 100})).json()
            assert {each["content"] for each in found["data"]} == {f"Is {user}"}

    @pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
    async def test_an_id_of_another_s_is_not_there(self, api: API, ada: str, ben: str, method: str) -> None:
        memory = await add(api, ada)
        for params in ({"user": ben}, {"tenant": "shop"}, {"user": ada, "tenant": "shop"}):
            body = {"json": {"content": "x"}} if method == "PATCH" else {}
            response = await api.request(method, f"/memories/{memory['id']}", params=params, **body)
            assert error(response) == (404, "not_found", "id")
            assert error(await api.get(f"/memories/{memory['id']}/history", params=params)) == (404, "not_found", "id")
        mine = await api.get(f"/memories/{memory['id']}", params={"user": ada, "tenant": "default"})
        assert mine.json() == memory

    @pytest.mark.parametrize("id_", ["x", "%20", "..%2Fx", "7B0C5F0E-52A1-4A0F-8D25-3F6A8F1C2D3E", "0" * 36, "%00", "💥"])
    async def test_what_is_no_id_is_not_there_either(self, api: API, id_: str) -> None:
        assert error(await api.get(f"/memories/{id_}")) == (404, "not_found", "id")

    async def test_what_all_share_is_nobody_s_to_change(self, api: API, ada: str, ben: str) -> None:
        tenant = f"t-{ada}"
        shared = await add(api, ada, "The office is shut on Mondays", tenant=tenant, scope="global")
        assert (shared["user"], await listed(api, ada, tenant=tenant)) == ("", [])
        assert await listed(api, ben, tenant=tenant, scope="global") == ["The office is shut on Mondays"]
        found = (await api.post("/search", json={"user": ben, "tenant": tenant, "query": "office"})).json()["data"]
        assert [(each["content"], each["user"]) for each in found] == [("The office is shut on Mondays", "")]
        assert (await api.get(f"/memories/{shared['id']}", params={"user": ben})).json() == shared
        assert (await api.delete(f"/memories/{shared['id']}", params={"user": ben})).status_code == 404
        assert (await api.delete(f"/memories/{shared['id']}")).status_code == 200


async def test_a_parameter_that_is_given_twice_is_refused(api: API, ada: str) -> None:
    response = await api.get(f"/memories?user={ada}&user=eve")
    assert (error(response), message(response)) == ((400, "bad_request", "user"), "user: is given twice")


async def test_a_method_that_is_not_taken_says_which_are(api: API) -> None:
    asked = {
        ("PUT", "/memories"): "POST, GET, HEAD",
        ("POST", "/memories/x"): "GET, PATCH, DELETE, HEAD",
        ("GET", "/search"): "POST",
    }
    for (method, path), allowed in asked.items():
        response = await api.request(method, path)
        assert (error(response), response.headers["allow"]) == ((405, "method_not_allowed", None), allowed)


async def test_head_is_get_without_a_body(api: API, ada: str) -> None:
    memory = await add(api, ada)
    for path in (f"/memories/{memory['id']}", f"/memories?user={ada}", "/stats", "/openapi.json", "/docs"):
        got, head = await api.get(path), await api.head(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers.get("etag") == got.headers.get("etag")
        assert head.headers["content-type"] == got.headers["content-type"]
    assert (await api.head("/memories/x")).status_code == 404
    # What is written behind a head alone would be taken for the next answer.
    assert (await api.head(f"/export?user={ada}")).content == b""
    assert (await api.get(f"/memories/{memory['id']}")).json() == memory


async def test_what_was_known_before_keeps_its_time(api: API, ada: str) -> None:
    old = await add(api, ada, "Lived in Oslo", created_at="2020-02-03T04:05:06+01:00")
    assert (old["created_at"], old["valid_from"]) == ("2020-02-03T03:05:06Z",) * 2
    await add(api, ada, "Lives in Rome")
    assert await listed(api, ada) == ["Lives in Rome", "Lived in Oslo"]
    assert await listed(api, ada, until="2021-01-01") == ["Lived in Oslo"]
