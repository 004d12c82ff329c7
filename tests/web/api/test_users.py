"""Who is to be forgotten, and figures."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from proxy import __version__
from tests.fakes import RunningProxy
from tests.web.api.conftest import API, add, error, listed, say

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_a_user_is_forgotten_whatever_the_name_and_nobody_else(api: API, ada: str) -> None:
    user = f"{ada}/../ü%20 ?a=b#c"
    for owner in (user, ada):
        await add(api, owner, "Likes tea")
    await add(api, user, "Likes coffee", tenant="shop")
    await add(api, user, "Is nobody's", scope="global", tenant=f"t-{ada}")
    response = await api.delete(f"/users/{quote(user, safe='')}")
    expected = {"user": user, "tenant": "default", "object": "user.deleted", "deleted": 1}
    assert response.json() == expected
    assert [await listed(api, user), await listed(api, ada)] == [[], ["Likes tea"]]
    assert await listed(api, user, tenant="shop") == ["Likes coffee"]
    assert await listed(api, user, tenant=f"t-{ada}", scope="global") == ["Is nobody's"]


async def test_who_is_not_there_is_forgotten_too(api: API, ada: str) -> None:
    assert (await api.delete(f"/users/{ada}", params={"tenant": "shop"})).json()["deleted"] == 0
    assert error(await api.delete("/users/%00")) == (400, "bad_request", "user")
    assert (await api.delete("/users/")).status_code == 404


async def test_figures_of_a_user(api: API, proxy: RunningProxy, ada: str) -> None:
    memory = await add(api, ada, "Lives in Oslo")
    await api.patch(f"/memories/{memory['id']}", json={"content": "Lives in Bergen"})
    await say(proxy, ada, "I have a garden")
    assert (await api.get("/stats", params={"user": ada})).json() == {
        "object": "stats",
        "version": __version__,
        "embedding_model": "words",
        "user": ada,
        "tenant": "default",
        "memories": 1,
        "past": 1,
        "turns": 1,
    }


async def test_figures_of_the_proxy(api: API, ada: str) -> None:
    before = (await api.get("/stats")).json()
    await add(api, ada)
    after = (await api.get("/stats")).json()
    assert (after["points"] - before["points"], after["journal"]) == (1, {"waiting": 0, "dead": 0})
    assert error(await api.get("/stats?user=")) == (400, "bad_request", "user")
