"""``facts`` and ``stats``."""

from __future__ import annotations

import pytest

from proxy.app import listening
from proxy.cli.arguments import HERE
from proxy.config import load
from tests.cli.conftest import in_thread

pytestmark = pytest.mark.usefixtures("proxy")


def test_a_fact_is_set_read_listed_and_deleted(run):
    run("facts", "set", "editor", "Vim", "--user", "ada")
    later = run("facts", "set", "editor", "-", "--user", "ada", stdin="Neovim\n")
    assert (later.status, later.cells[0][0], later.cells[0][2:]) == (0, "editor", ["", "Neovim"])
    assert run("facts", "get", "editor", "--user", "ada").out == "Neovim\n"
    assert run("facts", "get", "editor", "--user", "ada", "--json").json["value"] == "Neovim"
    assert run("facts", "list", "--user", "ada").out == later.out
    [[_, _, ended, value]] = run("facts", "history", "editor", "--user", "ada").cells
    assert (ended.startswith("until "), value) == (True, "Vim")
    assert run("facts", "delete", "editor", "--user", "ada").status == 2
    assert run("facts", "delete", "editor", "--user", "ada", "--yes").err == "Deleted editor.\n"
    assert run("facts", "get", "editor", "--user", "ada").status == 1


def test_figures_of_a_user_and_of_all(run):
    run("facts", "set", "editor", "Vim", "--user", "ada")
    run("facts", "set", "editor", "Neovim", "--user", "ada")
    of_ada = dict(run("stats", "--user", "ada").cells)
    assert (of_ada["user"], of_ada["memories"], of_ada["past"], of_ada["turns"]) == ("ada", "1", "1", "0")
    assert dict(run("stats").cells)["journal.waiting"] == "0"
    assert run("stats", "--json").json["points"] == 2


def test_a_proxy_that_wants_a_token_is_given_it(run, folder, words, monkeypatch):
    options = {"listen.port": 0, "auth.admin_token": "t0ken", "store.path": "another"}
    with in_thread(lambda: listening(load(HERE, overrides=options))) as proxy:
        refused = run("stats", "--url", proxy.address)
        assert (refused.status, refused.err.count("\n"), "--token" in refused.err) == (1, 1, True)
        assert run("stats", "--url", f"{proxy.address}/v1", "--token", "t0ken").status == 0
        monkeypatch.setenv("MEMORY_PROXY_AUTH__ADMIN_TOKEN", "t0ken")
        assert run("stats", "--url", proxy.address).status == 0
