"""``memory-proxy facts``: facts that have a name, which every conversation of the user is told."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from proxy.cli.arguments import add_api_command, add_user
from proxy.cli.asking import add_yes, confirm
from proxy.cli.output import note, show_json, show_text
from proxy.cli.records import show_done, show_facts
from proxy.cli.values import given, json_object, segment, share, text_of, whose

if TYPE_CHECKING:
    from proxy.cli.arguments import Commands
    from proxy.cli.remote import Remote


def add(commands: Commands) -> None:
    group = commands.add_parser("facts", help="set and look at facts that have a name")
    actions = group.add_subparsers(metavar="ACTION", required=True)
    for add_action in (_add_list, _add_get, _add_set, _add_delete, _add_history):
        add_action(actions)


def _add_list(actions: Commands) -> None:
    parser = add_api_command(actions, "list", _list, help_="list a user's facts", example="--user ada")
    add_user(parser, required=True)


def _list(proxy: Remote, args: argparse.Namespace) -> int:
    answer = proxy.get("/facts", **whose(args))
    show_facts(args, answer, answer["data"])
    return 0


def _add_get(actions: Commands) -> None:
    _add_key(add_api_command(actions, "get", _get, help_="print what a fact says", example="favourite_editor --user ada"))


def _get(proxy: Remote, args: argparse.Namespace) -> int:
    fact = proxy.get(_path(args), **whose(args))
    if args.json:
        show_json(fact)
    else:
        show_text(fact["value"])
    return 0


def _add_set(actions: Commands) -> None:
    help_ = "set a fact; what it said before stays in its history"
    parser = add_api_command(actions, "set", _set, help_=help_, example="favourite_editor Neovim --user ada")
    _add_key(parser)
    parser.add_argument("value", metavar="VALUE", help="what it says; -: read it from standard input")
    parser.add_argument("--importance", type=share, metavar="X", help="from 0 to 1")
    parser.add_argument("--metadata", type=json_object, metavar="JSON", help="what you keep beside it")


def _set(proxy: Remote, args: argparse.Namespace) -> int:
    args.value = text_of(args.value)
    fact = proxy.put(_path(args), given(args, "value", "importance", "metadata"), **whose(args))
    show_facts(args, fact, [fact])
    return 0


def _add_delete(actions: Commands) -> None:
    parser = add_api_command(
        actions, "delete", _delete, help_="delete a fact and its history", example="favourite_editor --user ada --yes"
    )
    _add_key(parser)
    add_yes(parser)


def _delete(proxy: Remote, args: argparse.Namespace) -> int:
    version = None
    if not args.yes:
        fact, version = proxy.read(_path(args), **whose(args))
        note(f"{args.key}: {fact['value']}")
        confirm("Delete this fact and its history?")
    show_done(args, proxy.delete(_path(args), if_match=version, **whose(args)), f"Deleted {args.key}.")
    return 0


def _add_history(actions: Commands) -> None:
    help_ = "list what a fact said before, the latest first"
    _add_key(add_api_command(actions, "history", _history, help_=help_, example="favourite_editor --user ada"))


def _history(proxy: Remote, args: argparse.Namespace) -> int:
    answer = proxy.get(f"{_path(args)}/history", **whose(args))
    show_facts(args, answer, answer["data"])
    return 0


def _add_key(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("key", metavar="KEY", help="the fact's name")
    add_user(parser, required=True)


def _path(args: argparse.Namespace) -> str:
    return f"/facts/{segment(args.key)}"
