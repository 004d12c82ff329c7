"""The door of the proxy's own paths: who is let through gets 404, as there is nothing behind it yet."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from proxy.config import Auth, Client
from proxy.errors import Forbidden, TokenNeeded, WrongMediaType
from proxy.web.admin import AdminDoor
from tests.fakes import RunningProxy, memory_proxy, model_api

HOST = "127.0.0.1:8080"
HERE = {"Host": HOST}
BEARER = {"Authorization": "Bearer right"}
NOTHING = Auth()
CLIENTS = (Client("shop", "SHOP_KEY"),)


class Peer:
    """A transport, as far as it says who is at its other end."""

    def __init__(self, address: str | None) -> None:
        self.peer = None if address is None else (address, 1234)

    def get_extra_info(self, name: str, default: object = None) -> object:
        return self.peer if name == "peername" else default


def basic(password: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'me:{password}'.encode()).decode()}"}


async def answer(request: web.Request) -> web.StreamResponse:
    return web.Response(text="in")


async def outcome(
    headers: dict[str, str], *, auth: Auth = NOTHING, method: str = "GET", peer: str | None = "127.0.0.1", figures: bool = False
) -> object:
    """``"in"``, or the class of what is raised."""
    door = AdminDoor(auth)
    handler = door.before_figures(answer) if figures else door.before(answer)
    try:
        await handler(make_mocked_request(method, "/memory/v1/memories", headers, transport=Peer(peer)))
    except (Forbidden, TokenNeeded, WrongMediaType) as exc:
        return type(exc)
    return "in"


class TestWithoutAToken:
    @pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8080", "127.0.0.1", HOST, "[::1]", "[::1]:8080"])
    @pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
    async def test_this_machine_is_let_in_under_its_own_names(self, host: str, peer: str):
        assert await outcome({"Host": host}, peer=peer) == "in"

    @pytest.mark.parametrize("peer", ["192.168.1.5", "10.0.0.1", "::ffff:10.0.0.1", "fe80::1", "", None])
    async def test_others_are_not(self, peer: str | None):
        assert await outcome(HERE, peer=peer) is Forbidden

    @pytest.mark.parametrize(
        "host",
        [
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "localhost@evil.example:8080",
            "",
            "[::1",
            "[::2]",
            "0.0.0.0",
            "127.0.0.2",
            "2130706433",
        ],
    )
    async def test_a_name_that_was_led_here_is_refused(self, host: str):
        """DNS rebinding: the page's own name now stands for 127.0.0.1, and its requests are of one origin."""
        assert await outcome({"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}) is Forbidden

    async def test_without_any_name_nobody_is_let_in(self):
        assert await outcome({}) is Forbidden

    @pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Forwarded", "Via"])
    async def test_what_came_through_another_proxy_is_not_from_here(self, header: str):
        assert await outcome({**HERE, header: "127.0.0.1"}) is Forbidden

    @pytest.mark.parametrize(
        "origin",
        ["http://evil.example", "http://localhost:3000", "https://127.0.0.1", f"ftp://{HOST}", "null", "", f"http://{HOST}.evil"],
    )
    async def test_a_page_of_another_origin_is_refused(self, origin: str):
        assert await outcome({**HERE, "Origin": origin}) is Forbidden

    @pytest.mark.parametrize("site", ["cross-site", "same-site", "else"])
    async def test_so_is_a_page_that_sends_no_origin_but_its_site(self, site: str):
        assert await outcome({**HERE, "Sec-Fetch-Site": site}) is Forbidden

    @pytest.mark.parametrize(
        "headers",
        [
            {"Origin": f"http://{HOST}"},
            {"Origin": f"HTTPS://{HOST}"},
            {"Sec-Fetch-Site": "same-origin"},
            {"Sec-Fetch-Site": "none"},
        ],
    )
    async def test_our_own_page_is_not(self, headers: dict[str, str]):
        assert await outcome(HERE | headers) == "in"

    async def test_a_websocket_from_a_web_page_is_refused(self):
        upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "x"}
        assert await outcome({**HERE, **upgrade, "Origin": "https://evil.example"}) is Forbidden
        assert await outcome({**HERE, **upgrade, "Origin": f"http://{HOST}"}) == "in"

    async def test_where_clients_have_keys_nobody_is_let_in(self):
        assert await outcome(HERE, auth=Auth(clients=CLIENTS)) is TokenNeeded


class TestJSON:
    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "PURGE"])
    @pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
    async def test_a_form_changes_nothing(self, method: str, kind: str | None):
        headers = HERE if kind is None else {**HERE, "Content-Type": kind}
        assert await outcome(headers, method=method) is WrongMediaType
        assert await outcome(headers | BEARER, method=method, auth=Auth(admin_token="right")) is WrongMediaType

    @pytest.mark.parametrize("kind", ["application/json", "Application/JSON; charset=utf-8", "application/x-ndjson"])
    async def test_json_does(self, kind: str):
        assert await outcome({**HERE, "Content-Type": kind}, method="POST") == "in"

    @pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE"])
    async def test_what_has_no_body_needs_no_type(self, method: str):
        assert await outcome(HERE, method=method) == "in"


class TestWithAToken:
    AUTH = Auth(admin_token="right", clients=CLIENTS)
    FAR = {"Host": "memory.example", "X-Forwarded-For": "10.0.0.1"}  # noqa: RUF012

    @pytest.mark.parametrize("shown", [BEARER, {"Authorization": "bearer  right "}, basic("right")])
    async def test_who_shows_it_is_let_in_from_anywhere(self, shown: dict[str, str]):
        assert await outcome(self.FAR | shown, auth=self.AUTH, peer="10.0.0.1") == "in"

    @pytest.mark.parametrize(
        "shown",
        [
            {},
            {"Authorization": "Bearer wrong"},
            {"Authorization": "Bearer "},
            {"Authorization": "Bearer right right"},
            {"Authorization": "right"},
            {"Authorization": "Basic right"},
            {"Authorization": "Basic /w=="},
            {"api-key": "right"},
            basic("wrong"),
            basic(""),
        ],
    )
    async def test_nobody_else_is_not_even_from_here(self, shown: dict[str, str]):
        assert await outcome(HERE | shown, auth=self.AUTH) is TokenNeeded

    async def test_a_browser_s_password_is_no_password_of_another_page(self):
        for foreign in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            assert await outcome(HERE | basic("right") | foreign, auth=self.AUTH) is Forbidden

    async def test_who_writes_the_token_into_a_request_may_be_any_page(self):
        assert await outcome({**HERE, **BEARER, "Origin": "https://console.example"}, auth=self.AUTH) == "in"


class TestFigures:
    AUTH = Auth(admin_token="right")

    async def test_they_are_open_to_this_machine_with_and_without_a_token(self):
        assert [await outcome(HERE, auth=auth, figures=True) for auth in (Auth(), self.AUTH)] == ["in", "in"]

    async def test_from_elsewhere_they_need_the_token(self):
        assert await outcome(HERE, peer="10.0.0.1", figures=True) is Forbidden
        assert await outcome(HERE, peer="10.0.0.1", auth=self.AUTH, figures=True) is TokenNeeded
        assert await outcome(HERE | BEARER, peer="10.0.0.1", auth=self.AUTH, figures=True) == "in"


@pytest.fixture
async def proxy(tmp_path) -> AsyncIterator[RunningProxy]:
    async with model_api() as model, memory_proxy(model, tmp_path, auth__admin_token="right") as proxy:
        yield proxy


@pytest.mark.parametrize(
    ("path", "status"),
    [("/memory/v1", 404), ("/memory/v1/memories", 400), ("/memory/v1/stats", 200), ("/ui", 404), ("/ui/app.js", 404)],
)
async def test_the_door_stands_before_each_of_our_paths(proxy, path, status):
    async with aiohttp.ClientSession(proxy.address) as client:
        async with client.get(path) as refused:
            assert (refused.status, refused.headers["WWW-Authenticate"]) == (401, 'Basic realm="memory-proxy", charset="UTF-8"')
            assert (await refused.json())["error"] == {
                "message": "This needs the proxy's auth.admin_token, as Authorization: Bearer … or as a password.",
                "type": "invalid_request_error",
                "param": None,
                "code": "invalid_admin_token",
            }
        async with client.get(path, headers=BEARER) as found:
            assert found.status == status
    assert proxy.model.seen == []
