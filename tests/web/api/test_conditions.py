"""Requests that may come twice, and edits by two at a time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from proxy.core.models import Owner
from proxy.errors import StoreError
from proxy.memory.store import Entry
from tests.fakes import RunningProxy
from tests.web.api.conftest import API, add, error, history, listed

pytestmark = pytest.mark.asyncio(loop_scope="package")


class TestETags:
    async def test_of_two_editors_the_second_is_told(self, api: API, ada: str) -> None:
        path = f"/memories/{(await add(api, ada))['id']}"
        tags = [(await api.get(path)).headers["etag"] for _ in range(2)]
        first = await api.patch(path, json={"content": "Likes green tea"}, headers={"If-Match": tags[0]})
        second = await api.patch(path, json={"content": "Likes black tea"}, headers={"If-Match": tags[1]})
        assert (first.status_code, error(second)) == (200, (412, "has_changed", "If-Match"))
        assert await listed(api, ada) == ["Likes green tea"]
        again = await api.patch(path, json={"content": "Likes black tea"}, headers={"If-Match": first.headers["etag"]})
        assert (again.status_code, await listed(api, ada)) == (200, ["Likes black tea"])

    async def test_one_of_many_at_a_time_wins(self, api: API, ada: str) -> None:
        memory = await add(api, ada)
        path, tag = f"/memories/{memory['id']}", (await api.get(f"/memories/{memory['id']}")).headers["etag"]
        edits = [api.patch(path, json={"content": f"Likes tea {n}"}, headers={"If-Match": tag}) for n in range(8)]
        statuses = sorted(each.status_code for each in await asyncio.gather(*edits))
        assert (statuses, len(await history(api, memory["id"]))) == ([200] + 7 * [412], 1)

    @pytest.mark.parametrize(
        ("given", "status"),
        [
            ("{tag}", 200),
            ("*", 200),
            ('"x", {tag}', 200),
            ('{tag} ,"x"', 200),
            ("W/{tag}", 412),
            ('"x", W/{tag}', 412),
            ('"x"', 412),
            ("{bare}", 412),
            ('"*"', 412),
            ("", 412),
        ],
    )
    @pytest.mark.parametrize("method", ["PATCH", "DELETE"])
    async def test_lists_and_stars_fit_and_weak_tags_never_do(
        self, api: API, ada: str, method: str, given: str, status: int
    ) -> None:
        path = f"/memories/{(await add(api, ada))['id']}"
        tag = (await api.get(path)).headers["etag"]
        headers = {"If-Match": given.format(tag=tag, bare=tag.strip('"'))}
        body = {"json": {"importance": 0.25}} if method == "PATCH" else {}
        assert (await api.request(method, path, headers=headers, **body)).status_code == status

    async def test_headers_that_come_twice_are_one_list(self, api: API, ada: str) -> None:
        path = f"/memories/{(await add(api, ada))['id']}"
        tag = (await api.get(path)).headers["etag"]
        headers = [("If-Match", '"x"'), ("If-Match", tag), ("Content-Type", "application/json")]
        assert (await api.patch(path, content=b'{"importance": 0.25}', headers=headers)).status_code == 200

    async def test_a_tag_changes_with_anything(self, api: API, ada: str) -> None:
        path = f"/memories/{(await add(api, ada, metadata={'a': 1}))['id']}"
        tags = [(await api.get(path)).headers["etag"]]
        changes: list[dict[str, Any]] = [
            {"importance": 0.1},
            {"metadata": {"a": 1.0}},
            {"metadata": {"a": True}},
            {"session": "s"},
        ]
        for change in changes:
            edited = await api.patch(path, json=change)
            tags.append((await api.get(path)).headers["etag"])
            assert edited.headers["etag"] == tags[-1]
        await add(api, ada, metadata={"a": True}, session="s")  # said again: it gains weight
        tags.append((await api.get(path)).headers["etag"])
        assert len({*tags}) == len(changes) + 2

    async def test_who_has_it_gets_it_not_again(self, api: API, ada: str) -> None:
        path = f"/memories/{(await add(api, ada))['id']}"
        tag = (await api.get(path)).headers["etag"]
        for known in (tag, f"W/{tag}", f'"x", {tag}', "*"):
            response = await api.get(path, headers={"If-None-Match": known})
            assert (response.status_code, response.content, response.headers["etag"]) == (304, b"", tag)
        assert (await api.get(path, headers={"If-None-Match": '"x"'})).status_code == 200
        await api.patch(path, json={"importance": 0.25})
        assert (await api.get(path, headers={"If-None-Match": tag})).status_code == 200


class TestIdempotencyKeys:
    async def test_the_same_again_changes_nothing_and_gets_the_same(self, api: API, ada: str) -> None:
        body, headers = {"user": ada, "content": "Likes tea"}, {"Idempotency-Key": "order-17"}
        first, again = [await api.post("/memories", json=body, headers=headers) for _ in range(2)]
        assert (first.status_code, again.status_code, again.json()) == (201, 201, first.json())
        assert again.headers["etag"] == first.headers["etag"]
        assert await listed(api, ada) == ["Likes tea"]

    async def test_at_the_same_time_too(self, api: API, ada: str) -> None:
        body, headers = {"user": ada, "content": "Likes tea"}, {"Idempotency-Key": "order-17"}
        answers = await asyncio.gather(*(api.post("/memories", json=body, headers=headers) for _ in range(8)))
        assert {each.json()["id"] for each in answers} == {answers[0].json()["id"]}
        assert {each.json()["access_count"] for each in answers} == {0}

    async def test_another_body_is_refused(self, api: API, ada: str) -> None:
        headers = {"Idempotency-Key": "order-17"}
        await api.post("/memories", json={"user": ada, "content": "Likes tea"}, headers=headers)
        response = await api.post("/memories", json={"user": ada, "content": "Likes coffee"}, headers=headers)
        assert (error(response), await listed(api, ada)) == ((409, "conflict", "Idempotency-Key"), ["Likes tea"])

    async def test_a_key_is_one_of_its_user_s(self, api: API, ada: str, ben: str) -> None:
        ids = set()
        for user in (ada, ben):
            response = await api.post(
                "/memories", json={"user": user, "content": "Likes tea"}, headers={"Idempotency-Key": "order-17"}
            )
            ids.add(response.json()["id"])
        assert len(ids) == 2

    async def test_what_was_known_gains_weight_once(self, api: API, ada: str) -> None:
        first = await add(api, ada)
        body, headers = {"user": ada, "content": "Likes tea"}, {"Idempotency-Key": "order-17"}
        answers = [(await api.post("/memories", json=body, headers=headers)).json() for _ in range(3)]
        assert [(each["id"], each["access_count"]) for each in answers] == 3 * [(first["id"], 1)]

    async def test_a_batch_is_one_request(self, api: API, ada: str) -> None:
        body = {"user": ada, "memories": [{"content": f"Number {n % 3}", "session": str(n)} for n in range(10)]}
        first, again = [(await api.post("/memories/batch", json=body, headers={"Idempotency-Key": "b"})).json() for _ in range(2)]
        assert (again, len(await listed(api, ada))) == (first, 10)
        response = await api.post("/memories/batch", json={**body, "tenant": "default"}, headers={"Idempotency-Key": "b"})
        assert error(response) == (409, "conflict", "Idempotency-Key")

    async def test_a_batch_that_broke_off_is_completed(
        self, api: API, proxy: RunningProxy, ada: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A crash between two slices leaves the first ones in the store."""
        body = {"user": ada, "memories": [{"content": f"Number {n}"} for n in range(600)]}
        upsert, slices = type(proxy.memory.store).upsert, 0

        async def breaking(self: Any, owner: Owner, entries: list[Entry]) -> None:
            nonlocal slices
            slices += 1
            if slices == 2:
                raise StoreError("broken off")
            await upsert(self, owner, entries)

        monkeypatch.setattr(type(proxy.memory.store), "upsert", breaking)
        broken = await api.post("/memories/batch", json=body, headers={"Idempotency-Key": "b"})
        assert (error(broken), broken.headers["retry-after"]) == ((503, "out_of_order", None), "1")
        assert 0 < len(await listed(api, ada, limit=1000)) < 600
        whole = await api.post("/memories/batch", json=body, headers={"Idempotency-Key": "b"})
        data = whole.json()["data"]
        assert [each["content"] for each in data] == [f"Number {n}" for n in range(600)]
        assert {each["access_count"] for each in data} == {0}
        assert len(await listed(api, ada, limit=1000)) == 600

    async def test_it_gets_what_has_become_of_it(self, api: API, ada: str) -> None:
        body, headers = {"user": ada, "content": "Likes tea"}, {"Idempotency-Key": "order-17"}
        first = (await api.post("/memories", json=body, headers=headers)).json()
        await api.patch(f"/memories/{first['id']}", json={"content": "Likes green tea"})
        assert (await api.post("/memories", json=body, headers=headers)).json()["content"] == "Likes green tea"

    @pytest.mark.parametrize("key", ["", "x" * 256])
    async def test_a_key_has_a_length(self, api: API, ada: str, key: str) -> None:
        response = await api.post("/memories", json={"user": ada, "content": "x"}, headers={"Idempotency-Key": key})
        assert error(response) == (400, "bad_request", "Idempotency-Key")
