"""``memories``: list, search, add, show, edit, history, delete, erase; on a running proxy and on a store on the disk."""

from __future__ import annotations

import json

import pytest

somewhere = pytest.mark.usefixtures("somewhere")
on_a_proxy = pytest.mark.usefixtures("proxy")

NOBODY = "7b0c5f0e-52a1-4a0f-8d25-3f6a8f1c2d3e"


def added(run, content, *options, user="ada"):
    """The id of a new memory."""
    return run("memories", "add", content, "--user", user, "--json", *options).json["id"]


def contents(result):
    return [cells[-1] for cells in result.cells]


@somewhere
def test_what_is_added_is_listed_shown_and_found(run):
    add = run(
        "memories",
        "add",
        "Prefers Python for backend work",
        "--user",
        "ada",
        "--category",
        "preference",
        "--metadata",
        '{"a": 1}',
    )
    [[id_, made, category, importance, ended, content]] = add.cells
    assert (add.status, add.err, category, importance, ended) == (0, "", "preference", "0.70", "")
    assert content == "Prefers Python for backend work"
    assert run("memories", "list", "--user", "ada") == add
    assert run("memories", "list", "--user", "ben").cells == []
    shown = dict(run("memories", "show", id_).cells)
    assert (shown["id"], shown["user"], shown["content"], shown["metadata"]) == (id_, "ada", content, '{"a": 1}')
    [found] = run("memories", "search", "Python work", "--user", "ada").cells
    assert (found[0], found[2:4], found[4].split()[0], found[-1]) == (id_, ["preference", made], "dense", content)


@on_a_proxy
def test_an_object_and_a_list_are_given_to_programs_as_the_api_has_them(run):
    id_ = added(run, "Likes tea")
    memory = run("memories", "show", id_, "--json").json
    assert (memory["object"], memory["content"]) == ("memory", "Likes tea")
    assert run("memories", "list", "--user", "ada", "--json").json == {
        "object": "list",
        "data": [memory],
        "has_more": False,
        "next_cursor": None,
    }
    [found] = run("memories", "search", "tea", "--user", "ada", "--json").json["data"]
    assert {name: value for name, value in found.items() if not name.startswith("score")} == memory


@on_a_proxy
def test_a_list_is_narrowed(run):
    added(run, "Likes tea", "--category", "preference", "--importance", "0.9")
    added(run, "Works at ACME", "--session", "s1", "--importance", "0.1")

    def listed(*options):
        return contents(run("memories", "list", "--user", "ada", *options))

    assert listed() == ["Works at ACME", "Likes tea"]
    assert listed("--category", "preference") == ["Likes tea"]
    assert listed("--min-importance", "0.5") == ["Likes tea"]
    assert listed("--session", "s1") == ["Works at ACME"]
    assert listed("--until", "2020-01-01") == []
    assert listed("--since", "2020-01-01", "--turns", "--past") == ["Works at ACME", "Likes tea"]
    assert contents(run("memories", "search", "tea", "--user", "ada", "--category", "fact", "--min-score", "0")) == [
        "Works at ACME"
    ]


@on_a_proxy
def test_a_long_list_comes_in_pages_or_whole(run):
    for content in ("one", "two", "three"):
        added(run, content)
    first = run("memories", "list", "--user", "ada", "--limit", "2")
    assert contents(first) == ["three", "two"]
    cursor = first.err.removeprefix("There are more: --all, or --cursor ").strip()
    assert contents(run("memories", "list", "--user", "ada", "--limit", "2", "--cursor", cursor)) == ["one"]
    whole = run("memories", "list", "--user", "ada", "--limit", "2", "--all")
    assert (contents(whole), whole.err) == (["three", "two", "one"], "")
    assert len(run("memories", "list", "--user", "ada", "--limit", "1", "--all", "--json").json["data"]) == 3


@on_a_proxy
def test_a_text_may_come_on_standard_input(run):
    assert contents(run("memories", "add", "-", "--user", "ada", stdin="Likes\ttea\n")) == ["Likes tea"]


@somewhere
def test_an_edit_changes_what_it_names_and_leaves_a_version(run):
    id_ = added(run, "Likes tea", "--metadata", '{"a": 1}')
    edited = run("memories", "edit", id_, "--content", "Likes green tea", "--importance", "0.8", "--valid-until", "2999-01-01")
    assert (edited.status, edited.cells[0][0], edited.cells[0][3:]) == (
        0,
        id_,
        ["0.80", "until 2999-01-01 00:00", "Likes green tea"],
    )
    run("memories", "edit", id_, "--valid-until", "never", "--category", "preference")
    memory = run("memories", "show", id_, "--json").json
    assert (memory["valid_until"], memory["category"], memory["metadata"]) == (None, "preference", {"a": 1})
    assert contents(run("memories", "history", id_))[-1] == "Likes tea"


@on_a_proxy
def test_what_destroys_needs_yes_where_nobody_can_be_asked(run):
    id_ = added(run, "Likes tea")
    for command in (["delete", id_], ["erase", "--user", "ada"]):
        refused = run("memories", *command)
        assert (refused.status, refused.out) == (2, "")
        assert refused.err == "memory-proxy: --yes is needed where there is no terminal to ask on\n"
    assert contents(run("memories", "list", "--user", "ada")) == ["Likes tea"]


@on_a_proxy
def test_a_memory_is_deleted_and_a_user_erased(run):
    first = added(run, "Likes tea")
    added(run, "Works at ACME")
    assert run("memories", "delete", first, "--yes").err == f"Deleted {first}.\n"
    assert contents(run("memories", "list", "--user", "ada")) == ["Works at ACME"]
    assert run("memories", "erase", "--user", "ada", "--yes", "--json").json["deleted"] == 1
    assert contents(run("memories", "list", "--user", "ada", "--past")) == []


@on_a_proxy
@pytest.mark.parametrize("user", ["..", "a/b", "%2e", "ü ?#"])
def test_any_name_is_one_name(run, user):
    run("facts", "set", "a/%2e ü?#", "x", "--user", user)
    assert run("facts", "get", "a/%2e ü?#", "--user", user).out == "x\n"
    assert run("memories", "erase", "--user", f"{user}.", "--yes").err == (
        f"Erased {user}., with memories, messages and earlier versions: 0.\n"
    )


@on_a_proxy
def test_what_is_not_there_is_one_line_and_exit_1(run):
    for command in (["show"], ["history"], ["delete", "--yes"], ["edit", "--content", "x"]):
        missing = run("memories", command[0], NOBODY, *command[1:])
        assert (missing.status, missing.out, missing.err) == (1, "", f"memory-proxy: There is no memory '{NOBODY}'.\n")
    id_ = added(run, "Likes tea")
    assert run("memories", "delete", id_, "--yes", "--user", "ben").status == 1


@on_a_proxy
def test_an_edit_needs_something_to_change(run):
    nothing = run("memories", "edit", NOBODY)
    assert (nothing.status, nothing.err.count("\n")) == (2, 1)


@on_a_proxy
def test_the_environment_may_name_the_user_but_not_whom_to_erase(run, monkeypatch):
    monkeypatch.setenv("MEMORY_PROXY_USER", "ada")
    id_ = run("memories", "add", "Likes tea", "--json").json["id"]
    assert contents(run("memories", "list")) == ["Likes tea"]
    assert run("memories", "erase", "--yes").status == 2
    monkeypatch.setenv("MEMORY_PROXY_USER", "ben")
    assert run("memories", "show", id_).status == 1


@on_a_proxy
def test_what_was_told_steers_no_terminal(run):
    added(run, "red \x1b[31m, left \u202e, tab\there")
    assert contents(run("memories", "list", "--user", "ada")) == ["red \ufffd[31m, left \ufffd, tab here"]
    written = run("memories", "list", "--user", "ada", "--json").out
    assert not {"\x1b", "\u202e"} & set(written)
    assert json.loads(written)["data"][0]["content"] == "red \x1b[31m, left \u202e, tab\there"
