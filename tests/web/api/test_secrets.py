"""What must not be kept is not: secrets, whatever they are sent in, and what was deleted or erased."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from structlog.typing import EventDict

from tests.fakes import RunningProxy, memory_proxy, model_api
from tests.files import written
from tests.web.api.conftest import API, add, block, client_of, listed, say
from tests.web.api.test_transfer import LINES, lines, record

TOKEN = "ghp_abcdefghijklmnopqrstuvwxyz0123456789"
FIELDS: list[dict[str, Any]] = [
    {"content": f"My token is {TOKEN}"},
    {"content": "Likes tea", "metadata": {"a": [{"b": f"see {TOKEN}"}]}},
    {"content": "Likes cake", "metadata": {TOKEN: 1}},
]


async def test_no_secret_reaches_the_disk(tmp_path: Path, log: list[EventDict]) -> None:
    folder = tmp_path / "data"
    async with model_api() as model, memory_proxy(model, folder) as proxy, client_of(proxy) as api:
        for fields in FIELDS:
            memory = await add(api, "ada", **fields)
            assert TOKEN not in json.dumps(memory)
            edited = await api.patch(f"/memories/{memory['id']}", json={**fields, "importance": 0.1})
            assert (edited.status_code, TOKEN in edited.text) == (200, False)
        await api.post("/memories/batch", json=[{"user": "ben", **fields} for fields in FIELDS])
        for value, metadata in ((TOKEN, {}), ("x", {"a": TOKEN}), (f"y {TOKEN}", {})):
            response = await api.put("/facts/token", params={"user": "ada"}, json={"value": value, "metadata": metadata})
            assert TOKEN not in response.text
        brought = [record(user="eve", **fields) for fields in FIELDS]
        turn = record(user="eve", type="turn", category="turn", content="Hello", reply=TOKEN, speaker=f"I am {TOKEN}")
        assert (await api.post("/import", content=lines(*brought, turn), headers=LINES)).status_code == 200
        assert (await api.post("/search", json={"user": "ada", "query": TOKEN})).status_code == 200
        assert TOKEN.encode() not in written(folder)
        assert TOKEN not in (await api.get("/export", params={"all": True, "turns": True})).text
    assert TOKEN.encode() not in written(folder)
    assert TOKEN not in repr(log)


async def test_no_content_is_in_the_log(tmp_path: Path, log: list[EventDict]) -> None:
    async with model_api() as model, memory_proxy(model, tmp_path) as proxy, client_of(proxy) as api:
        memory = await add(api, "ada", "canary")
        await api.patch(f"/memories/{memory['id']}", json={"content": "canary two", "metadata": {"canary": "canary"}})
        await api.put("/facts/x", params={"user": "ada"}, json={"value": "canary"})
        await api.post("/search", json={"user": "ada", "query": "canary"})
        await api.post("/import", content=lines(record(content="canary"), {"canary": "canary"}), headers=LINES)
        await api.get("/memories", params={"user": "ada", "session": "canary"})
        await api.post("/memories", json={"user": "ada", "content": "canary", "canary": 1})
    assert "canary" not in repr(log)


class TestWhatIsGone:
    """In no file, as soon as the store says so."""

    @staticmethod
    async def lived(api: API, proxy: RunningProxy, user: str) -> None:
        """Every way in which a canary of *user*'s gets into files."""
        own = f"canary{user}"
        await say(
            proxy, user, f"I keep {own}turn in a box", f"Fine, {own}reply.\n{block({'content': f'Keeps {own}chat in a box'})}"
        )
        memory = await add(api, user, f"Has {own}first at home", metadata={"note": f"{own}metadata"}, session=f"{own}session")
        await api.patch(f"/memories/{memory['id']}", json={"content": f"Has {own}second at home", "metadata": {}})
        for value in ("one", "two"):
            await api.put(f"/facts/{own}key", params={"user": user}, json={"value": f"{own}{value}"})
        await api.post(
            "/import", content=lines(record(user=user, content=f"Had {own}import", trace=f"{own}trace")), headers=LINES
        )

    @staticmethod
    def left(folder: Path, user: str) -> list[str]:
        data, kinds = (
            written(folder),
            ["turn", "reply", "chat", "first", "second", "metadata", "session", "key", "one", "two", "import", "trace"],
        )
        return [kind for kind in kinds if f"canary{user}{kind}".encode() in data]

    async def test_of_an_erased_user_nothing_is_left(self, tmp_path: Path) -> None:
        folder = tmp_path / "data"
        async with model_api() as model, memory_proxy(model, folder) as proxy, client_of(proxy) as api:
            for user in ("ada", "ben"):
                await self.lived(api, proxy, user)
            everything = self.left(folder, "ben")
            assert (len(everything), self.left(folder, "ada")) == (12, everything)
            assert (await api.delete("/users/ada")).json()["deleted"] == 7
            assert (self.left(folder, "ada"), self.left(folder, "ben")) == ([], everything)
        assert (self.left(folder, "ada"), self.left(folder, "ben")) == ([], everything)

    async def test_of_what_was_deleted_one_by_one_too(self, tmp_path: Path) -> None:
        folder = tmp_path / "data"
        async with model_api() as model, memory_proxy(model, folder) as proxy, client_of(proxy) as api:
            for user in ("ada", "ben"):
                await self.lived(api, proxy, user)
            await api.delete("/facts/canaryadakey", params={"user": "ada"})
            for each in (await api.get("/memories", params={"user": "ada"})).json()["data"]:
                await api.delete(f"/memories/{each['id']}")
            assert await listed(api, "ada", past=True, turns=True) == []
            await proxy.memory.store.purge()
            assert (self.left(folder, "ada"), len(self.left(folder, "ben"))) == ([], 12)
