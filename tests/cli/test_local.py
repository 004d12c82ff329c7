"""Commands on a store that no proxy runs on."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

from proxy.app import listening
from proxy.cli import main
from proxy.cli.arguments import HERE
from proxy.config import load
from proxy.memory.models import model_folders
from proxy.memory.sqlite_journal import open_journal
from tests.cli.conftest import in_thread


def test_a_store_in_use_says_who_has_it_and_points_to_the_proxy(run, words):
    with in_thread(lambda: listening(load(HERE, overrides={"listen.port": 0}))):
        refused = run("memories", "list", "--user", "ada")
    assert (refused.status, refused.out) == (1, "")
    assert refused.err == (
        f"memory-proxy: data/edge is open in process {os.getpid()}: go through that proxy with --url, or use another --data\n"
    )


def test_a_journal_in_use_is_a_proxys_too(run, folder, words, monkeypatch):
    monkeypatch.setenv("MEMORY_PROXY_STORE__KIND", "qdrant")
    with in_thread(lambda: open_journal(folder / "data" / "journal.sqlite3", max_bytes=1 << 20)):
        refused = run("memories", "list", "--user", "ada")
    assert (refused.status, refused.err) == (
        1,
        "memory-proxy: data/journal.sqlite3 is open in another process: go through that proxy with --url\n",
    )


def test_a_model_that_is_not_there_is_not_fetched(run, folder, monkeypatch):
    monkeypatch.setenv("MEMORY_PROXY_EMBEDDING__MODELS_DIR", str(folder / "models"))
    missing = run("memories", "list", "--user", "ada")
    place = model_folders(load(None).embedding)[-1]
    assert (missing.status, missing.err) == (
        1,
        f"memory-proxy: sentence-transformers/all-MiniLM-L6-v2 is not in {place}; run: memory-proxy models pull\n",
    )
    assert list(folder.iterdir()) == []


def test_an_embedder_that_is_down_is_one_line(run, words):
    words.embeds = False
    failed = run("memories", "list", "--user", "ada")
    assert (failed.status, failed.out, failed.err.count("\n")) == (1, "", 1)
    assert failed.err.startswith("memory-proxy: out of order: the store: the embedder is missing: ")


def test_keys_of_clients_and_certificates_are_not_needed(run, words, monkeypatch):
    monkeypatch.setenv("MEMORY_PROXY_AUTH__CLIENTS", "[{name: shop, key_env: NO_SUCH_KEY}]")
    monkeypatch.setenv("MEMORY_PROXY_LISTEN__HOST", "0.0.0.0")
    monkeypatch.setenv("MEMORY_PROXY_LISTEN__TLS_CERTIFICATE", "none.pem")
    monkeypatch.setenv("MEMORY_PROXY_AUTH__ADMIN_TOKEN", "t")
    assert run("memories", "list", "--user", "ada", "--tenant", "shop") == run("memories", "list", "--user", "ben")


def test_a_user_is_erased_from_it(run, words):
    run("facts", "set", "editor", "Neovim", "--user", "ada")
    assert run("memories", "erase", "--user", "ada", "--yes").err == (
        "Erased ada, with memories, messages and earlier versions: 1.\n"
    )
    assert run("stats", "--json").json["points"] == 0


def test_a_wrong_configuration_is_exit_2(run, folder):
    (folder / "proxy.yaml").write_text("listen: {prot: 1}", encoding="utf-8")
    assert run("memories", "list", "--user", "ada").status == 2


def test_an_interrupt_while_it_opens_is_quiet_and_waits_for_nothing(folder):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        environ = os.environ | {
            "MEMORY_PROXY_EMBEDDING__PROVIDER": "openai",
            "MEMORY_PROXY_EMBEDDING__TIMEOUT_S": "600",
            "MEMORY_PROXY_EMBEDDING__URL": f"http://127.0.0.1:{silent.getsockname()[1]}/v1",
        }
        command = [sys.executable, "-m", "proxy", "memories", "list", "--user", "ada"]
        with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            connection, _ = silent.accept()
            with connection:
                process.send_signal(signal.SIGINT)
                out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, b"", b"")


def test_who_reads_no_further_gets_no_traceback(folder, proxy):
    for content in ("one", "two"):
        assert main(["memories", "add", content * 500, "--user", "ada"]) == 0
    command = [sys.executable, "-m", "proxy", "memories", "list", "--user", "ada"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        err = process.stderr.read()
        process.wait(60)
    assert (process.returncode, err) == (141, b"")
