"""Lists: filters, pages, and what moves meanwhile. ``tests/memory/test_listing.py`` has the pages on both stores."""

from __future__ import annotations

import base64
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.fakes import RunningProxy
from tests.web.api.conftest import API, add, error, listed, say

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def pages(api: API, user: str, **params: Any) -> list[list[str]]:
    found, cursor = [], None
    while True:
        query = {"user": user, **params} | ({"cursor": cursor} if cursor else {})
        page = (await api.get("/memories", params=query)).json()
        found.append([each["content"] for each in page["data"]])
        cursor = page["next_cursor"]
        assert page["has_more"] == (cursor is not None)
        if cursor is None:
            return found


async def test_pages_end_where_there_is_no_more(api: API, ada: str) -> None:
    for n in range(6):
        await add(api, ada, f"Number {n}")
    assert await pages(api, ada, limit=4) == [["Number 5", "Number 4", "Number 3", "Number 2"], ["Number 1", "Number 0"]]
    assert await pages(api, ada, limit=3) == [["Number 5", "Number 4", "Number 3"], ["Number 2", "Number 1", "Number 0"]]
    assert await pages(api, ada, limit=6) == [[f"Number {n}" for n in reversed(range(6))]]
    assert await pages(api, "nobody") == [[]]


async def test_pages_stay_right_while_memories_come_go_and_change(api: API, ada: str) -> None:
    ids = [(await add(api, ada, f"Number {n}"))["id"] for n in range(9)]
    first = (await api.get("/memories", params={"user": ada, "limit": 3})).json()
    await add(api, ada, "New")
    await api.delete(f"/memories/{ids[6]}")  # the last of the page that was read
    await api.delete(f"/memories/{ids[4]}")
    await api.patch(f"/memories/{ids[3]}", json={"content": "Edited"})
    second = (await api.get("/memories", params={"user": ada, "limit": 3, "cursor": first["next_cursor"]})).json()
    third = (await api.get("/memories", params={"user": ada, "limit": 9, "cursor": second["next_cursor"]})).json()
    seen = [[each["content"] for each in page["data"]] for page in (first, second, third)]
    assert seen == [["Number 8", "Number 7", "Number 6"], ["Number 5", "Edited", "Number 2"], ["Number 1", "Number 0"]]
    assert third["has_more"] is False


async def test_every_filter(api: API, proxy: RunningProxy, ada: str) -> None:
    old = await add(api, ada, "Old", session="s1", importance=0.3)
    new = await add(api, ada, "New", category="preference", session="s2", importance=0.8, valid_from="2020-01-01")
    await add(api, ada, "Over", category="context", valid_from="2010-01-01", valid_until="2011-01-01", importance=0.5)
    await say(proxy, ada, "I have a garden", session="s1")
    assert {
        "all": await listed(api, ada),
        "past": await listed(api, ada, past=True),
        "category": await listed(api, ada, category="preference"),
        "categories": await listed(api, ada, categories="preference, context", past=True),
        "both": await listed(api, ada, category="fact", categories="preference"),
        "turn": await listed(api, ada, category="turn"),
        "turns": await listed(api, ada, turns=True),
        "session": await listed(api, ada, session="s1"),
        "turns of a session": await listed(api, ada, session="s1", turns=True),
        "since": await listed(api, ada, since=new["created_at"]),
        "until": await listed(api, ada, until=old["created_at"]),
        "between": await listed(api, ada, since=old["created_at"], until=new["created_at"]),
        "never": await listed(api, ada, since=new["created_at"], until=old["created_at"]),
        "important": await listed(api, ada, min_importance=0.4),
        "in 2010": await listed(api, ada, as_of="2010-06-01"),
        "in 2021": await listed(api, ada, as_of="2021-06-01T00:00:00+02:00"),
        "tenant": await listed(api, ada, tenant="shop"),
    } == {
        "all": ["New", "Old"],
        "past": ["Over", "New", "Old"],
        "category": ["New"],
        "categories": ["Over", "New"],
        "both": ["New", "Old"],
        "turn": ["I have a garden"],
        "turns": ["I have a garden", "New", "Old"],
        "session": ["Old"],
        "turns of a session": ["I have a garden", "Old"],
        "since": ["New"],
        "until": ["Old"],
        "between": ["New", "Old"],
        "never": [],
        "important": ["New"],
        "in 2010": ["Over"],
        "in 2021": ["New"],
        "tenant": [],
    }


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 1001}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"limit": "1.5"}, "limit"),
        ({"category": "fiction"}, "category"),
        ({"categories": "fact,fiction"}, "categories[1]"),
        ({"categories": ""}, "categories[0]"),
        ({"since": "yesterday"}, "since"),
        ({"until": "1"}, "until"),
        ({"as_of": ""}, "as_of"),
        ({"min_importance": 2}, "min_importance"),
        ({"min_importance": "nan"}, "min_importance"),
        ({"scope": "session"}, "scope"),
        ({"past": "maybe"}, "past"),
        ({"session": ""}, "session"),
        ({"page": 2}, "page"),
        ({"cursor": ""}, "cursor"),
        ({"cursor": "x"}, "cursor"),
        ({"cursor": "ü"}, "cursor"),
        ({"cursor": "MjAyNg"}, "cursor"),
        (
            {"cursor": base64.urlsafe_b64encode(b"0001-01-01T00:00:00+00:00 7b0c5f0e-52a1-4a0f-8d25-3f6a8f1c2d3e").decode()},
            "cursor",
        ),
        (
            {"cursor": base64.urlsafe_b64encode(b"2026-01-01T00:00:00+00:00 7B0C5F0E-52A1-4A0F-8D25-3F6A8F1C2D3E").decode()},
            "cursor",
        ),
    ],
    ids=str,
)
async def test_each_fault_is_named(api: API, ada: str, params: dict[str, Any], param: str) -> None:
    assert error(await api.get("/memories", params={"user": ada, **params})) == (400, "bad_request", param)


async def test_whose_must_be_said(api: API) -> None:
    assert error(await api.get("/memories")) == (400, "bad_request", "user")


async def test_a_cursor_may_be_used_with_other_filters(api: API, ada: str) -> None:
    memories = [await add(api, ada, f"Number {n}") for n in range(5)]
    page = (await api.get("/memories", params={"user": ada, "limit": 2})).json()
    before = datetime.fromisoformat(memories[1]["created_at"]) - timedelta(0)
    assert await listed(api, ada, cursor=page["next_cursor"], until=before.isoformat()) == ["Number 1", "Number 0"]
