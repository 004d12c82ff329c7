"""Search through HTTP; ``tests/memory/test_searching.py`` has it on both stores."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.errors import EmbedError
from tests.fakes import RunningProxy
from tests.web.api.conftest import API, add, error, message, say

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def search(api: API, user: str, query: str | None = None, **fields: Any) -> list[dict[str, Any]]:
    body = {"user": user, **fields} | ({"query": query} if query else {})
    response = await api.post("/search", json=body)
    assert response.status_code == 200, response.text
    data: list[dict[str, Any]] = response.json()["data"]
    return data


async def found(api: API, user: str, query: str | None = None, **fields: Any) -> list[str]:
    return [each["content"] for each in await search(api, user, query, **fields)]


async def test_what_fits_is_found_best_first_and_says_why(api: API, ada: str) -> None:
    for content in ("Likes green tea", "Drinks green tea in the morning", "Has a cat"):
        await add(api, ada, content)
    best, second, cat = await search(api, ada, "green tea")
    assert [best["content"], second["content"], cat["content"]] == [
        "Likes green tea",
        "Drinks green tea in the morning",
        "Has a cat",
    ]
    assert 1 >= best["score"] > second["score"] > 0
    assert 0 < best["scores"]["dense"] <= 1
    assert best["scores"]["sparse"] > 0
    assert best["scores"]["importance"] == pytest.approx(0.02 * best["importance"])
    assert {"session": 0.0, "neighbour": 0.0}.items() <= best["scores"].items()
    assert {name: best[name] for name in best if name not in ("score", "scores")} == (
        await api.get(f"/memories/{best['id']}")
    ).json()


async def test_the_nearest_are_found_however_far_unless_a_least_score_is_asked_for(api: API, ada: str) -> None:
    await add(api, ada, "Likes green tea")
    await add(api, ada, "Has a cat")
    assert sorted(await found(api, ada, "What about my bicycle?")) == ["Has a cat", "Likes green tea"]
    everything = await search(api, ada, "green tea")
    assert [each["content"] for each in everything] == ["Likes green tea", "Has a cat"]
    between = (everything[0]["score"] + everything[1]["score"]) / 2
    assert await found(api, ada, "green tea", min_score=between) == ["Likes green tea"]
    assert await found(api, ada, "green tea", min_score=1) == []


async def test_every_filter(api: API, proxy: RunningProxy, ada: str) -> None:
    await add(api, ada, "Old tea", importance=0.3)
    new = await add(api, ada, "New tea", category="preference", importance=0.8, valid_from="2020-01-01")
    await add(api, ada, "Tea of 2010", category="context", valid_from="2010-01-01", valid_until="2011-01-01")
    await add(api, ada, "Tea in this chat", session="s1", scope="session")
    await say(proxy, ada, "I grow tea in my garden", session="s1")
    q: dict[str, Any] = {"query": "tea", "min_score": 0}
    assert {
        "all": sorted(await found(api, ada, **q)),
        "limit": len(await found(api, ada, limit=1, **q)),
        "categories": sorted(await found(api, ada, categories=["preference", "context"], **q)),
        "turns": sorted(await found(api, ada, turns=True, **q)),
        "turns alone": await found(api, ada, categories=["turn"], **q),
        "since": sorted(await found(api, ada, since=new["created_at"], **q)),
        "until": sorted(await found(api, ada, until=new["created_at"], **q)),
        "important": sorted(await found(api, ada, min_importance=0.7, **q)),
        "in 2010": await found(api, ada, as_of="2010-06-01", **q),
        "in 2021": await found(api, ada, as_of="2021-06-01", **q),
        "session": sorted(await found(api, ada, session="s1", **q)),
        "another": sorted(await found(api, ada, session="s2", **q)),
        "tenant": await found(api, ada, tenant="shop", **q),
    } == {
        "all": ["New tea", "Old tea"],
        "limit": 1,
        "categories": ["New tea"],
        "turns": ["I grow tea in my garden", "New tea", "Old tea"],
        "turns alone": ["I grow tea in my garden"],
        "since": ["New tea"],
        "until": ["New tea", "Old tea"],
        "important": ["New tea"],
        "in 2010": ["Tea of 2010"],
        "in 2021": ["New tea"],
        "session": ["New tea", "Old tea", "Tea in this chat"],
        "another": ["New tea", "Old tea"],
        "tenant": [],
    }


async def test_several_queries_in_one(api: API, ada: str) -> None:
    for content in ("Likes green tea", "Drives an old car", "Washes the car with tea"):
        await add(api, ada, content)

    async def scores(queries: list[Any], aggregate: str) -> dict[str, float]:
        data = await search(api, ada, queries=queries, aggregate=aggregate, min_score=0)
        assert data == sorted(data, key=lambda each: -each["score"])
        return {each["content"]: each["score"] for each in data}

    tea, car = [await scores([query], "max") for query in ("tea", "car")]
    asked = ["tea", {"query": "car", "weight": 3}]
    both = {aggregate: await scores(asked, aggregate) for aggregate in ("max", "mean", "weighted")}
    for content in tea.keys() | car.keys():
        one, other = tea.get(content, 0), car.get(content, 0)
        assert {aggregate: pytest.approx(found[content], abs=1e-4) for aggregate, found in both.items()} == {
            "max": max(one, other),
            "mean": (one + other) / 2,
            "weighted": (one + 3 * other) / 4,
        }
    # A query that is asked twice counts twice.
    twice = await scores(["tea", "tea", "car"], "mean")
    assert twice["Likes green tea"] == pytest.approx((2 * tea["Likes green tea"] + car.get("Likes green tea", 0)) / 3, abs=1e-4)


async def test_without_the_embedder_words_decide(
    api: API, proxy: RunningProxy, ada: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add(api, ada, "Likes green tea")

    async def failing(*_: object) -> None:
        raise EmbedError("gone")

    monkeypatch.setattr(type(proxy.memory.embedder), "embed_query", failing)
    [only] = await search(api, ada, "tea")
    assert (only["content"], only["scores"]["dense"]) == ("Likes green tea", None)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "query"),
        ({"query": "tea", "queries": ["tea"]}, "query"),
        ({"query": None}, "query"),
        ({"queries": None}, "queries"),
        ({"query": ""}, "query"),
        ({"query": " "}, "query"),
        ({"query": "x" * 4001}, "query"),
        ({"queries": []}, "queries"),
        ({"queries": ["x"] * 11}, "queries"),
        ({"queries": ["x", ""]}, "queries[1].query"),
        ({"queries": ["x", 5]}, "queries[1]"),
        ({"queries": [{"weight": 1}]}, "queries[0].query"),
        ({"queries": [{"query": "x", "weight": 0}]}, "queries[0].weight"),
        ({"query": "x", "limit": 0}, "limit"),
        ({"query": "x", "limit": 101}, "limit"),
        ({"query": "x", "limit": 1.5}, "limit"),
        ({"query": "x", "min_score": -1}, "min_score"),
        ({"query": "x", "aggregate": "sum"}, "aggregate"),
        ({"query": "x", "categories": "fact"}, "categories"),
        ({"query": "x", "categories": []}, "categories"),
        ({"query": "x", "categories": ["fiction"]}, "categories[0]"),
        ({"query": "x", "since": "soon"}, "since"),
        ({"query": "x", "as_of": 5}, "as_of"),
        ({"query": "x", "session": ""}, "session"),
        ({"query": "x", "turns": "yes"}, "turns"),
        ({"query": "x", "offset": 5}, "offset"),
    ],
    ids=lambda value: repr(value)[:40],
)
async def test_each_fault_is_named(api: API, ada: str, body: dict[str, Any], param: str) -> None:
    response = await api.post("/search", json={"user": ada, **body})
    assert error(response) == (400, "bad_request", param), message(response)
