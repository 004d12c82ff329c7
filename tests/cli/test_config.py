"""``config show`` and ``config set`` of a running proxy; what they share with the other commands is in ``test_main.py``."""

from __future__ import annotations

import asyncio

import pytest
import yaml

from proxy.cli import main
from tests.fakes import memory_proxy, model_api


@pytest.fixture
async def proxy(folder):
    async with model_api() as model, memory_proxy(model, folder / "data", auth__admin_token="right") as proxy:
        yield proxy


@pytest.fixture
def run(capsys, monkeypatch):
    """A command, with the token in the environment: its exit status, its output, and what it says on standard error."""
    monkeypatch.setenv("MEMORY_PROXY_AUTH__ADMIN_TOKEN", "right")

    async def run(*arguments):
        status = await asyncio.to_thread(main, arguments)
        return status, *capsys.readouterr()

    return run


async def test_what_is_set_is_shown(proxy, run):
    assert await run("config", "set", "recall.limit=8", "log.level=DEBUG", "--url", proxy.address) == (
        0,
        "recall.limit: 8 (at the start: 5)\nlog.level: debug (at the start: info)\n",
        "",
    )
    status, out, _ = await run("config", "show", "--url", proxy.url)
    shown = yaml.safe_load(out)
    assert (status, shown["recall"]["limit"], shown["auth"]["admin_token"]) == (0, 8, "********")
    assert [line for line in out.splitlines() if line.startswith("#")] == [
        "# changed since the start: recall.limit, from 5 to 8",
        "# changed since the start: log.level, from info to debug",
    ]


async def test_what_is_kept_is_in_the_configuration_of_the_next_start(proxy, run, folder, monkeypatch):
    said = "recall.limit: 8 (at the start: 5; kept for the next start)\n"
    assert await run("config", "set", "recall.limit=8", "--persist", "--url", proxy.address) == (0, said, "")
    _, out, _ = await run("config", "show", "--url", proxy.address)
    assert out.splitlines()[1] == "# kept for the next start: recall.limit: 8"
    _, out, _ = await run("config", "show")
    assert (out.splitlines()[0], yaml.safe_load(out)["recall"]["limit"]) == ("# from data/settings.yaml: recall.limit: 8", 8)
    monkeypatch.setenv("MEMORY_PROXY_RECALL__LIMIT", "2")
    _, out, _ = await run("config", "show")
    noted = "# from data/settings.yaml: recall.limit: 8, which MEMORY_PROXY_RECALL__LIMIT overrides"
    assert (out.splitlines()[0], yaml.safe_load(out)["recall"]["limit"]) == (noted, 2)
    said = "recall.limit: 5 (as at the start; kept for the next start, which MEMORY_PROXY_RECALL__LIMIT overrides)\n"
    assert await run("config", "set", "recall.limit=5", "--persist", "--url", proxy.address) == (0, said, "")


async def test_what_the_proxy_refuses_is_one_line(proxy, run):
    refused = {
        "recall.limit=99": "recall.limit: '99' is not allowed; use 1 to 50",
        "store.path=x": "store.path: can't be changed while the proxy runs, only before it starts",
        "log.levle=info": "log.levle: unknown option; allowed here: level, format",
    }
    for setting, said in refused.items():
        found = await run("config", "set", "recall.turn_limit=1", setting, "--url", proxy.address)
        assert found == (2, "", f"memory-proxy: {said}\n")
    status, out, err = await run("config", "show", "--url", proxy.address, "--token", "wrong")
    assert (status, out, err.count("\n"), "Use --token" in err, "wrong" in err) == (1, "", 1, True, False)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["recall.limit"], "'recall.limit' sets no option; write it as recall.limit=8"),
        (["limit=8"], "'limit=8' sets no option; write it as recall.limit=8"),
        (["recall.limit=8", "recall.limit=9"], "recall.limit: is given twice"),
    ],
)
async def test_bad_usage_is_one_line_and_exit_2(run, folder, settings, said):
    assert await run("config", "set", *settings, "--url", "http://127.0.0.1:9") == (2, "", f"memory-proxy: {said}\n")


async def test_what_is_no_memory_proxy_is_told(run, folder):
    async def other(_):
        from aiohttp import web

        return web.json_response({"object": "chat.completion"})

    async with model_api() as model:
        model.handler = other
        url = model.url.removesuffix("/v1")
        assert await run("config", "show", "--url", url) == (1, "", "memory-proxy: what answers there is no memory-proxy\n")


async def test_a_file_and_a_running_proxy_are_two_questions(run, folder):
    arguments = ("config", "show", "--url", "http://127.0.0.1:9", "--config", "proxy.yaml")
    assert await run(*arguments) == (2, "", "memory-proxy: --config and --url: give one of them\n")
