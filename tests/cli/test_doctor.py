"""``doctor``: one line for each check, exit 1 if one fails."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys

from proxy.cli import main
from proxy.config import Store
from proxy.memory.sqlite_journal import open_journal
from proxy.memory.stores import open_store


def closed_address():
    """Where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def examine(capsys):
    """The exit status and the lines of ``doctor``."""
    status = main(["doctor"])
    out, err = capsys.readouterr()
    assert err == ""
    return status, out.splitlines()


def test_a_working_set_up_passes(configured, api, capsys):
    assert examine(capsys) == (
        0,
        [
            "ok   configuration: proxy.yaml",
            "ok   store: edge in data, memories: 0",
            "ok   journal: data/journal.sqlite3, waiting: 0, given up: 0",
            "ok   embedder: tiny, vectors of 2",
            f"ok   upstream: {api.url} answers (status 401 without a key)",
        ],
    )
    assert api.paths == ["/v1/models"]


def test_what_a_running_proxy_was_told_to_keep_is_told(configured, capsys, monkeypatch):
    kept = configured / "data" / "settings.yaml"
    kept.parent.mkdir()
    kept.write_text("recall: {limit: 8}\nlog: {level: debug}\n", encoding="utf-8")
    monkeypatch.setenv("MEMORY_PROXY_LOG__LEVEL", "error")
    status, lines = examine(capsys)
    options = "recall.limit, log.level (MEMORY_PROXY_LOG__LEVEL overrides it)"
    assert (status, lines[1]) == (0, f"ok   settings: data/settings.yaml, kept from a running proxy: {options}")
    kept.unlink()
    kept.mkdir()
    status, lines = examine(capsys)
    said = "FAIL settings: data/settings.yaml can't be read: Is a directory; correct its owner, or remove it"
    assert (status, lines[1]) == (1, said)


def test_several_upstreams_are_asked_each(configured, api, capsys, monkeypatch):
    dead = closed_address()
    upstreams = f"[{{name: a, base_url: {api.url}, prefix: /a}}, {{name: b, base_url: {dead}, prefix: /b}}]"
    monkeypatch.setenv("MEMORY_PROXY_UPSTREAMS", upstreams)
    status, lines = examine(capsys)
    assert (status, lines[5:]) == (
        1,
        [
            f"ok   upstream a: {api.url} answers (status 401 without a key)",
            f"FAIL upstream b: {dead}: Connection refused; correct base_url, or the way there",
        ],
    )


def test_what_serve_would_refuse_is_refused_here_too(configured, capsys, monkeypatch):
    monkeypatch.setenv("MEMORY_PROXY_LISTEN__HOST", "0.0.0.0")
    status, [line] = examine(capsys)
    assert (status, line.startswith("FAIL configuration: listen.host: 0.0.0.0 can be reached from other machines")) == (1, True)
    monkeypatch.setenv("MEMORY_PROXY_AUTH__CLIENTS", "[{name: shop, key_env: NO_SUCH_KEY}]")
    said = "FAIL configuration: auth.clients[0].key_env: there is no key in the environment variable NO_SUCH_KEY; set it"
    assert examine(capsys) == (1, [said])


def test_a_bad_configuration_ends_it(folder, capsys, monkeypatch):
    monkeypatch.setenv("MEMORY_PROXY_STORE__KIND", "lance")
    assert examine(capsys) == (
        1,
        ["FAIL configuration: MEMORY_PROXY_STORE__KIND: store.kind: 'lance' is not allowed; use one of edge, qdrant"],
    )


def test_a_model_that_is_not_there_is_not_fetched(configured, capsys, monkeypatch):
    monkeypatch.setenv("MEMORY_PROXY_EMBEDDING__PROVIDER", "fastembed")
    monkeypatch.setenv("MEMORY_PROXY_EMBEDDING__MODEL", "sentence-transformers/all-MiniLM-L6-v2")
    monkeypatch.setenv("MEMORY_PROXY_EMBEDDING__MODELS_DIR", str(configured / "models"))
    missing = "sentence-transformers/all-MiniLM-L6-v2 is not in {}; run: memory-proxy models pull".format(
        configured / "models" / "sentence-transformers--all-MiniLM-L6-v2"
    )
    status, lines = examine(capsys)
    assert (status, lines[1], lines[3]) == (1, f"FAIL store: {missing}", f"FAIL embedder: {missing}")
    assert not (configured / "models").exists()


def test_a_server_that_is_down_is_told_with_what_to_do(configured, capsys, monkeypatch):
    monkeypatch.setenv("MEMORY_PROXY_STORE__KIND", "qdrant")
    monkeypatch.setenv("MEMORY_PROXY_STORE__URL", closed_address())
    status, lines = examine(capsys)
    assert (status, lines[1].startswith("FAIL store: ")) == (1, True)
    assert lines[1].endswith("; start the server, or correct store.url")


def test_a_store_in_use_is_well(configured, capsys):
    async def examine_beside_it():
        async with open_store(Store(path="data"), 2):
            return await asyncio.to_thread(examine, capsys)

    status, lines = asyncio.run(examine_beside_it())
    assert (status, lines[1]) == (0, "ok   store: edge in data, in use by another process, such as a running proxy")


def journalled(capsys, monkeypatch, **options: str) -> tuple[int, str]:
    for name, value in options.items():
        monkeypatch.setenv(f"MEMORY_PROXY_JOURNAL__{name.upper()}", value)
    status, lines = examine(capsys)
    return status, lines[2]


def test_what_waits_in_the_journal_and_what_was_given_up_is_counted(configured, capsys, monkeypatch):
    async def fill():
        async with open_journal(configured / "data" / "journal.sqlite3", max_bytes=1 << 20) as journal:
            for trace in ("t1", "t2", "t3"):
                await journal.append(trace, "ann", str, ready=True)
            await journal.bury("t3", "no room")
            return await asyncio.to_thread(examine, capsys)

    in_use = asyncio.run(fill())
    assert (in_use[0], in_use[1][2]) == (
        0,
        "ok   journal: data/journal.sqlite3, in use by another process, such as a running proxy",
    )
    assert journalled(capsys, monkeypatch) == (0, "ok   journal: data/journal.sqlite3, waiting: 2, given up: 1")
    assert journalled(capsys, monkeypatch, enabled="false") == (0, "ok   journal: switched off")


def test_a_journal_that_is_broken_is_told(configured, capsys, monkeypatch):
    (configured / "broken").write_text("no database " * 99)
    status, line = journalled(capsys, monkeypatch, path="broken")
    assert (status, line) == (1, "FAIL journal: broken: file is not a database; the next start moves a broken file aside")


def test_an_interrupt_is_quiet(configured):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        environ = os.environ | {"MEMORY_PROXY_UPSTREAM__BASE_URL": f"http://127.0.0.1:{silent.getsockname()[1]}"}
        command = [sys.executable, "-m", "proxy", "doctor"]
        with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as doctor:
            silent.settimeout(60)
            connection, _ = silent.accept()
            with connection:
                doctor.send_signal(signal.SIGINT)
                _, err = doctor.communicate(timeout=60)
    assert (doctor.returncode, err) == (130, b"")
