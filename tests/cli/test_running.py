"""``doctor --url``: what a running proxy says of itself, for a person."""

from __future__ import annotations

import asyncio
import re
import socket

import aiohttp
import pytest
from aiohttp import web

from proxy.cli import main
from tests.fakes import memory_proxy, model_api

DEAD = "http://127.0.0.1:9/v1"
TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"


@pytest.fixture
async def model():
    async with model_api() as model:
        yield model


@pytest.fixture
def doctor(folder, capsys):
    """The exit status, the lines without their times, and what is on stderr."""

    async def examine(*arguments):
        status = await asyncio.to_thread(main, ["doctor", *arguments])
        out, err = capsys.readouterr()
        return status, re.sub(TIME, "TIME", out).splitlines(), err

    return examine


async def ask(proxy):
    async with aiohttp.ClientSession() as client:
        chat = {"model": "m", "messages": [{"role": "user", "content": "tea"}]}
        async with client.post(f"{proxy.url}/chat/completions", json=chat) as answer:
            await answer.read()


async def test_a_proxy_that_is_well(doctor, model, tmp_path):
    upstreams = f"[{{name: other, base_url: {DEAD}, prefix: /other}}]"
    async with memory_proxy(model, tmp_path, upstreams=upstreams) as proxy:
        await ask(proxy)
        assert await doctor("--url", proxy.address) == (
            0,
            [
                f"ok   proxy: {proxy.address} answers",
                "ok   store: in order since TIME",
                "ok   embedder: in order since TIME",
                "ok   journal: in order since TIME",
                "ok   upstream default: last answered TIME",
                "ok   upstream other: nobody has asked it yet",
            ],
            "",
        )


async def test_a_proxy_of_which_parts_are_out_of_order(doctor, model, tmp_path):
    options = {"embedding__url": DEAD, "upstream__base_url": DEAD, "journal__enabled": "false"}
    async with memory_proxy(model, tmp_path, **options) as proxy:
        await ask(proxy)
        status, lines, _ = await doctor("--url", proxy.address)
    assert (status, [line[:4] for line in lines]) == (1, ["ok  ", "FAIL", "FAIL", "ok  ", "FAIL"])
    assert lines[1].startswith("FAIL store: out of order since TIME: the embedder is missing: ")
    assert lines[2].endswith("start the embeddings server, or run: memory-proxy models pull; it comes back by itself")
    assert lines[3] == "ok   journal: switched off"
    assert lines[4].startswith("FAIL upstream default: failing since TIME: The upstream can't be reached: ")
    assert lines[4].endswith("; correct base_url, or the way there")


async def test_nobody_there(doctor):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{probe.getsockname()[1]}"
    assert await doctor("--url", address) == (
        1,
        [f"FAIL proxy: {address}: can't be asked: [Errno 111] Connection refused; is the proxy running there?"],
        "",
    )


async def test_something_else_there(doctor, model):
    address = model.url.removesuffix("/v1")
    expected = [f"FAIL proxy: {address}: what answers is no memory-proxy of this version; correct --url"]
    assert await doctor("--url", f"{address}/") == (1, expected, "")


@pytest.mark.parametrize(("arguments", "environ"), [(("--token", "t0ken"), None), ((), "t0ken")], ids=["flag", "environment"])
async def test_the_token_is_shown(doctor, model, monkeypatch, arguments, environ):
    if environ is not None:
        monkeypatch.setenv("MEMORY_PROXY_AUTH__ADMIN_TOKEN", environ)

    async def answer(_):
        return web.json_response({"status": "ok", "checks": {}, "upstreams": {}})

    model.handler = answer
    status, _, _ = await doctor("--url", model.url.removesuffix("/v1"), *arguments)
    assert (status, model.last.path, model.last.headers["Authorization"]) == (0, "/health/ready", "Bearer t0ken")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("--url", "localhost:8080"),
            "--url: 'localhost:8080' is not allowed; use an http:// or https:// address without user, query or fragment",
        ),
        (("--url", DEAD, "--token", "ü"), "--token: must be one word of ASCII characters"),
    ],
)
async def test_bad_usage_is_one_line(doctor, arguments, said):
    assert await doctor(*arguments) == (2, [], f"memory-proxy: {said}\n")
