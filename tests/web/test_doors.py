"""Who comes in, to whose memories, and with which key upstream: through the whole proxy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from proxy.core.models import Owner
from proxy.errors import ConfigError
from tests.fakes import ABOUT_TEA, ModelAPI, RunningProxy, memory_proxy, model_api

HANG_S = 60
CHAT = {"model": "m", "messages": [{"role": "user", "content": "I like green tea"}], "user": "ann"}
SHOP = "{name: shop, key_env: SHOP_KEY, upstream_key_env: OPENAI_KEY}"
BARE = "{name: bare, key_env: BARE_KEY, modes: [read, off]}"
CLIENTS = f"[{SHOP}, {BARE}]"
KEY_HEADERS = ("Authorization", "api-key", "x-api-key")

Start = Callable[..., Awaitable[RunningProxy]]


@pytest.fixture
async def resources() -> AsyncIterator[AsyncExitStack]:
    async with asyncio.timeout(HANG_S), AsyncExitStack() as stack:
        yield stack


@pytest.fixture
async def model(resources: AsyncExitStack) -> ModelAPI:
    model = await resources.enter_async_context(model_api())
    model.text = f"Noted.\n{ABOUT_TEA}"
    return model


@pytest.fixture
def start(resources: AsyncExitStack, model: ModelAPI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    for name in ("SHOP", "BARE", "OPENAI"):
        monkeypatch.setenv(f"{name}_KEY", f"{name.lower()}-key")

    async def start(**options: object) -> RunningProxy:
        return await resources.enter_async_context(memory_proxy(model, tmp_path, **options))

    return start


@pytest.fixture
async def client(resources: AsyncExitStack) -> aiohttp.ClientSession:
    return await resources.enter_async_context(aiohttp.ClientSession())


async def asked(client: aiohttp.ClientSession, url: str, body: object = CHAT, **headers: str) -> tuple[int, dict]:
    """Status and body of the answer to a request with *headers*, whose blanks are underscores here."""
    async with client.post(url, json=body, headers={name.replace("_", "-"): value for name, value in headers.items()}) as answer:
        return answer.status, await answer.json()


def keys_seen(model: ModelAPI) -> dict[str, str]:
    return {name: model.last.headers[name] for name in KEY_HEADERS if name in model.last.headers}


async def of_tenant(proxy: RunningProxy, tenant: str, user: str = "ann") -> list[str]:
    await proxy.settled()
    return [each.content for each in await proxy.memory.store.list(Owner(user, tenant), limit=9)]


async def tenants(proxy: RunningProxy, *names: str) -> list[bool]:
    """Of which of these tenants ann has memories."""
    return [bool(await of_tenant(proxy, name)) for name in names]


class TestWithoutAnything:
    async def test_keys_go_upstream_untouched(self, start, model, client):
        proxy = await start()
        await asked(client, f"{proxy.url}/chat/completions", Authorization="Bearer sk-1", api_key="sk-2")
        assert keys_seen(model) == {"Authorization": "Bearer sk-1", "api-key": "sk-2"}
        assert await tenants(proxy, "default") == [True]


class TestClients:
    @pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/embedded", "/openai/deployments/x/chat/completions", "/"])
    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"Authorization": "Bearer sk-1"},
            {"Authorization": "shop-key-"},
            {"Authorization": "Bearer"},
            {"api-key": "openai-key"},
        ],
        ids=["none", "unknown", "longer", "empty", "the upstream's"],
    )
    async def test_without_a_known_key_nobody_gets_in(self, start, model, client, path, headers):
        proxy = await start(auth__clients=CLIENTS)
        async with client.post(f"{proxy.address}{path}", json=CHAT, headers=headers) as answer:
            assert (answer.status, answer.headers["WWW-Authenticate"], answer.headers["x-should-retry"]) == (
                401,
                "Bearer",
                "false",
            )
            assert await answer.json() == {
                "error": {
                    "message": "This proxy needs a key that it knows, as Authorization: Bearer …, api-key or x-api-key.",
                    "type": "invalid_request_error",
                    "param": None,
                    "code": "invalid_api_key",
                }
            }
        assert model.seen == []

    async def test_health_answers_everybody(self, start, client):
        proxy = await start(auth__clients=CLIENTS)
        for path in ("live", "ready"):
            async with client.get(f"{proxy.address}/health/{path}") as answer:
                assert answer.status == 200

    @pytest.mark.parametrize("path", ["chat/completions", "responses"])
    @pytest.mark.parametrize(
        ("shown", "upstream"),
        [
            ({"Authorization": "Bearer shop-key"}, {"Authorization": "Bearer openai-key"}),
            ({"api_key": "shop-key"}, {"api-key": "openai-key"}),
            ({"x_api_key": "shop-key", "Authorization": "Bearer sk-1"}, {"x-api-key": "openai-key"}),
            ({"Authorization": "Bearer bare-key"}, {}),
            ({"api_key": "bare-key", "x_api_key": "sk-1"}, {}),
        ],
    )
    async def test_the_key_is_swapped_in_its_form_or_ends_here(self, start, client, path, shown, upstream):
        proxy = await start(auth__clients=CLIENTS)
        status, _ = await asked(client, f"{proxy.url}/{path}", **shown)
        assert (status, keys_seen(proxy.model)) == (200, upstream)

    async def test_also_where_memory_is_off(self, start, model, client):
        proxy = await start(auth__clients=CLIENTS)
        await asked(client, f"{proxy.url}/chat/completions", Authorization="Bearer shop-key", X_Memory_Mode="off")
        assert keys_seen(model) == {"Authorization": "Bearer openai-key"}

    async def test_users_of_one_name_are_each_of_their_client(self, start, client):
        proxy = await start(auth__clients=CLIENTS)
        await asked(client, f"{proxy.url}/chat/completions", Authorization="Bearer shop-key")
        assert await tenants(proxy, "shop", "bare", "default") == [True, False, False]
        async with client.post(f"{proxy.url}/chat/completions", json=CHAT, headers={"api-key": "bare-key"}) as answer:
            assert answer.headers["X-Memory-Recalled"] == "0"

    async def test_a_new_key_keeps_the_memories_of_its_client(self, start, model, client, tmp_path, monkeypatch):
        async with memory_proxy(model, tmp_path, auth__clients=f"[{SHOP}]") as proxy:
            await asked(client, f"{proxy.url}/chat/completions", Authorization="Bearer shop-key")
        monkeypatch.setenv("SHOP_KEY", "new-key")
        proxy = await start(auth__clients=f"[{SHOP}]")
        assert (await asked(client, f"{proxy.url}/chat/completions", Authorization="Bearer shop-key"))[0] == 401
        assert (await asked(client, f"{proxy.url}/chat/completions", Authorization="Bearer new-key"))[0] == 200
        assert "green tea" in model.last.prompt

    async def test_clients_may_share_a_tenant(self, start, client):
        proxy = await start(auth__clients=f"[{SHOP}, {{name: b, key_env: BARE_KEY, tenant: shop}}]")
        await asked(client, f"{proxy.url}/chat/completions", Authorization="Bearer bare-key")
        assert await tenants(proxy, "shop", "b") == [True, False]

    async def test_they_go_before_tenants_by_key(self, start, client, tmp_path):
        proxy = await start(auth__clients=CLIENTS, identity__tenant="api_key")
        await asked(client, f"{proxy.url}/chat/completions", Authorization="Bearer shop-key")
        assert (await tenants(proxy, "shop"), (tmp_path / "tenant.key").exists()) == ([True], False)

    async def test_a_mode_that_is_not_theirs_is_refused(self, start, model, client):
        proxy = await start(auth__clients=CLIENTS)
        url = f"{proxy.url}/chat/completions"
        assert await asked(client, url, Authorization="Bearer bare-key", X_Memory_Mode="full") == (
            403,
            {
                "error": {
                    "message": "X-Memory-Mode: this key allows read, off, not full.",
                    "type": "invalid_request_error",
                    "param": "X-Memory-Mode",
                    "code": "forbidden",
                }
            },
        )
        assert (await asked(client, url, Authorization="Bearer bare-key", X_Memory_Mode="on"))[0] == 400
        assert model.seen == []

    async def test_without_the_header_the_first_of_their_modes_holds(self, start, client):
        proxy = await start(auth__clients=CLIENTS)
        async with client.post(f"{proxy.url}/chat/completions", json=CHAT, headers={"api-key": "bare-key"}) as answer:
            assert (answer.status, answer.headers["X-Memory-Extract"]) == (200, "skipped; reason=mode")

    async def test_a_websocket_needs_a_key_too(self, start, model, client):
        proxy = await start(auth__clients=CLIENTS)
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.ws_connect(f"{proxy.url}/realtime", protocols=("realtime", "openai-insecure-api-key.sk-1"))
        assert (refused.value.status, model.seen) == (401, [])

    @pytest.mark.parametrize(("key", "upstream"), [("shop-key", {"Authorization": "Bearer openai-key"}), ("bare-key", {})])
    async def test_a_browser_s_websocket_brings_it_as_a_subprotocol(self, start, model, client, key, upstream):
        async def greeting(request: web.Request) -> web.WebSocketResponse:
            socket = web.WebSocketResponse(protocols=("realtime",))
            await socket.prepare(request)
            await socket.send_str("hello")
            await socket.close()
            return socket

        model.handler = greeting
        proxy = await start(auth__clients=CLIENTS)
        protocols = ("realtime", f"openai-insecure-api-key.{key}", "openai-beta.realtime-v1")
        async with client.ws_connect(f"{proxy.url}/realtime", protocols=protocols) as socket:
            assert (socket.protocol, await socket.receive_str()) == ("realtime", "hello")
        assert model.last.headers["Sec-WebSocket-Protocol"] == "realtime, openai-beta.realtime-v1"
        assert keys_seen(model) == upstream

    async def test_a_key_that_is_missing_stops_the_start(self, start, monkeypatch):
        monkeypatch.delenv("OPENAI_KEY")
        with pytest.raises(
            ConfigError, match=r"\Aauth\.clients\[0\]\.upstream_key_env: there is no key in .* OPENAI_KEY; set it\Z"
        ):
            await start(auth__clients=CLIENTS)


class TestTenantsByKey:
    async def test_each_key_has_users_of_its_own_and_goes_upstream(self, start, model, client):
        proxy = await start(identity__tenant="api_key", identity__tenant_secret="s")
        await asked(client, f"{proxy.url}/chat/completions", Authorization="Bearer sk-1")
        assert keys_seen(model) == {"Authorization": "Bearer sk-1"}
        await proxy.settled()
        for header, recalled in ((("api-key", "sk-1"), "1"), (("Authorization", "Bearer sk-2"), "0"), (("X-A", "b"), "0")):
            async with client.post(f"{proxy.url}/chat/completions", json=CHAT, headers=[header]) as answer:
                assert (header, answer.headers["X-Memory-Recalled"]) == (header, recalled)

    async def test_who_has_no_key_shares_one_tenant(self, start, client):
        proxy = await start(identity__tenant="api_key")
        await asked(client, f"{proxy.url}/chat/completions")
        assert await tenants(proxy, "keyless", "default") == [True, False]

    async def test_the_secret_is_made_once_and_for_nobody_else_to_read(self, model, client, tmp_path):
        secrets = []
        for _ in range(2):
            async with memory_proxy(model, tmp_path, identity__tenant="api_key") as proxy:
                secrets.append((tmp_path / "tenant.key").read_bytes())
                async with client.post(f"{proxy.url}/chat/completions", json=CHAT, headers={"api-key": "sk-1"}) as answer:
                    recalled = answer.headers["X-Memory-Recalled"]
        assert (len(secrets[0]), secrets[0] == secrets[1], recalled) == (32, True, "1")
        assert (tmp_path / "tenant.key").stat().st_mode & 0o777 == 0o600

    async def test_the_key_itself_is_stored_nowhere(self, model, client, tmp_path):
        async with memory_proxy(model, tmp_path, identity__tenant="api_key") as proxy:
            await asked(client, f"{proxy.url}/chat/completions", Authorization="Bearer sk-canary-1")
            await proxy.settled()
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert [path for path in files if b"sk-canary-1" in path.read_bytes()] == []
        assert any(b"green tea" in path.read_bytes() for path in files)

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"short", "must hold 32 bytes, not 5; bring it back from a backup"),
            (None, "what keys are hashed with, can't be had: Is a dir"),
        ],
    )
    async def test_a_secret_that_is_broken_stops_the_start(self, start, tmp_path, content, said):
        path = tmp_path / "tenant.key"
        path.mkdir() if content is None else path.write_bytes(content)
        with pytest.raises(ConfigError) as caught:
            await start(identity__tenant="api_key")
        assert str(caught.value).startswith("identity.tenant: ")
        assert said in str(caught.value)


async def test_beyond_loopback_it_does_not_start_for_everybody(start):
    with pytest.raises(
        ConfigError, match=r"\Alisten\.host: 0\.0\.0\.0 can be reached .* set auth\.clients .* identity\.tenant: api_key"
    ):
        await start(listen__host="0.0.0.0")


async def test_beyond_loopback_it_starts_for_callers_that_are_kept_apart(start, client):
    proxy = await start(listen__host="0.0.0.0", identity__tenant="api_key")
    async with client.get(f"{proxy.address}/health/live") as answer:
        assert answer.status == 200
