"""``memory-proxy memories list``, ``search``, ``show`` and ``history``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from proxy.cli.arguments import add_api_command, add_id, add_user
from proxy.cli.output import note
from proxy.cli.records import found_row, show_memories, show_record
from proxy.cli.values import given, number, segment, share, time, whose

if TYPE_CHECKING:
    from proxy.cli.arguments import Commands
    from proxy.cli.remote import Remote

_CATEGORIES = ("preference", "fact", "context", "turn")
_FILTERS = ("user", "tenant", "since", "until", "min_importance", "as_of")
_EXAMPLE_ID = "7b0c5f0e-52a1-4a0f-8d25-3f6a8f1c2d3e"
_PAGE = 1000


def add(actions: Commands) -> None:
    for add_action in (_add_list, _add_search, _add_show, _add_history):
        add_action(actions)


def _add_filters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--since", type=time, metavar="TIME", help="made then or later, such as 2026-03-01 or 2026-03-01T12:00:00Z"
    )
    parser.add_argument("--until", type=time, metavar="TIME", help="made then or earlier")
    parser.add_argument("--min-importance", type=share, metavar="X", help="at least so important, from 0 to 1")
    parser.add_argument("--as-of", type=time, metavar="TIME", help="as it was at that time")
    parser.add_argument("--turns", action="store_true", default=None, help="also the user's own messages")


def _add_list(actions: Commands) -> None:
    parser = add_api_command(
        actions, "list", _list, help_="list a user's memories, newest first", example="--user ada --category preference"
    )
    add_user(parser, required=True)
    _add_filters(parser)
    parser.add_argument("--category", choices=_CATEGORIES, help="only these")
    parser.add_argument("--session", metavar="S", help="only of this conversation")
    parser.add_argument("--scope", choices=("user", "global"), help="global: what all users of the tenant share")
    parser.add_argument("--past", action="store_true", default=None, help="also what no longer holds")
    parser.add_argument("--limit", type=number(1, _PAGE), metavar="N", help="how many at most; default: 50")
    more = parser.add_mutually_exclusive_group()
    more.add_argument("--all", action="store_true", help="however many there are, read N at a time")
    more.add_argument("--cursor", metavar="C", help="go on where an earlier list ended")


def _list(proxy: Remote, args: argparse.Namespace) -> int:
    query = given(args, *_FILTERS, "category", "session", "scope", "past", "turns", "limit", "cursor")
    if args.all:
        query.setdefault("limit", _PAGE)
    answer = proxy.get("/memories", **query)
    while args.all and answer["has_more"]:
        page = proxy.get("/memories", **query, cursor=answer["next_cursor"])
        answer = page | {"data": answer["data"] + page["data"]}
    show_memories(args, answer, answer["data"])
    if answer["has_more"] and not args.json:
        note(f"There are more: --all, or --cursor {answer['next_cursor']}")
    return 0


def _add_search(actions: Commands) -> None:
    parser = add_api_command(
        actions,
        "search",
        _search,
        help_="search a user's memories as a chat does, and say how each score came about",
        example='"Which language should I use?" --user ada',
    )
    parser.add_argument("query", metavar="TEXT", help="what is looked for")
    add_user(parser, required=True)
    _add_filters(parser)
    parser.add_argument("--category", dest="categories", action="append", choices=_CATEGORIES, help="only these; may be repeated")
    parser.add_argument("--session", metavar="S", help="also what is remembered for this conversation only")
    parser.add_argument("--min-score", type=share, metavar="X", help="least score, from 0 to 1; default: 0")
    parser.add_argument("--limit", type=number(1, 100), metavar="N", help="how many at most; default: 10")


def _search(proxy: Remote, args: argparse.Namespace) -> int:
    answer = proxy.post("/search", given(args, *_FILTERS, "query", "categories", "session", "turns", "min_score", "limit"))
    show_memories(args, answer, answer["data"], found_row)
    return 0


def _add_show(actions: Commands) -> None:
    add_id(add_api_command(actions, "show", _show, help_="show everything about a memory", example=_EXAMPLE_ID))


def _show(proxy: Remote, args: argparse.Namespace) -> int:
    show_record(args, proxy.get(f"/memories/{segment(args.id)}", **whose(args)))
    return 0


def _add_history(actions: Commands) -> None:
    help_ = "list a memory's earlier versions, the latest first"
    add_id(add_api_command(actions, "history", _history, help_=help_, example=_EXAMPLE_ID))


def _history(proxy: Remote, args: argparse.Namespace) -> int:
    answer = proxy.get(f"/memories/{segment(args.id)}/history", **whose(args))
    show_memories(args, answer, answer["data"])
    return 0
