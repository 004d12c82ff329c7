"""``memory-proxy memories add``, ``edit``, ``delete`` and ``erase``."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from proxy.cli.arguments import add_api_command, add_id, add_named_user, add_user
from proxy.cli.asking import add_yes, confirm, edited, expect_person
from proxy.cli.output import note
from proxy.cli.records import Record, show_done, show_memories, show_memory
from proxy.cli.values import given, json_object, segment, share, text_of, time, time_or_never, whose

if TYPE_CHECKING:
    from proxy.cli.arguments import Commands
    from proxy.cli.remote import Remote

_PROPERTIES = ("content", "category", "importance", "metadata", "valid_until")
_EXAMPLE_ID = "7b0c5f0e-52a1-4a0f-8d25-3f6a8f1c2d3e"


def add(actions: Commands) -> None:
    for add_action in (_add_add, _add_edit, _add_delete, _add_erase):
        add_action(actions)


def _add_add(actions: Commands) -> None:
    parser = add_api_command(
        actions, "add", _add, help_="add a memory", example='"Prefers Python for backend work" --user ada --category preference'
    )
    parser.add_argument("content", metavar="TEXT", help="what is remembered; -: read it from standard input")
    add_user(parser, required=True)
    _add_properties(parser)
    parser.add_argument("--valid-until", type=time, metavar="TIME", help="when it ends; default: as its category does")
    parser.add_argument("--valid-from", type=time, metavar="TIME", help="since when it holds; default: now")
    parser.add_argument("--session", metavar="S", help="the conversation that it comes from")
    scopes = ("user", "session", "global")
    parser.add_argument("--scope", choices=scopes, help="where it is recalled; default: in all of the user's conversations")


def _add(proxy: Remote, args: argparse.Namespace) -> int:
    args.content = text_of(args.content)
    memory = proxy.post("/memories", given(args, "user", "tenant", *_PROPERTIES, "valid_from", "session", "scope"))
    show_memories(args, memory, [memory])
    return 0


def _add_edit(actions: Commands) -> None:
    parser = add_api_command(
        actions,
        "edit",
        _edit,
        help_="change a memory; without an option, its content in your $EDITOR",
        example=f'{_EXAMPLE_ID} --content "Prefers Rust for backend work"',
    )
    add_id(parser)
    parser.add_argument("--content", metavar="TEXT", help="what is remembered; -: read it from standard input")
    _add_properties(parser)
    parser.add_argument("--valid-until", type=time_or_never, metavar="TIME", help="when it ends; never: it doesn't")


def _edit(proxy: Remote, args: argparse.Namespace) -> int:
    change = given(args, *_PROPERTIES)
    if not change:
        expect_person("Something to change, such as --content,")
    memory, version = proxy.read(_path(args), **whose(args))
    if not change:
        return _edit_content(proxy, args, memory, version)
    if args.content is not None:
        change["content"] = text_of(args.content)
    if args.valid_until == "never":
        change["valid_until"] = None
    changed = proxy.patch(_path(args), change, if_match=version, **whose(args))
    show_memories(args, changed, [changed])
    return 0


def _edit_content(proxy: Remote, args: argparse.Namespace, memory: Record, version: str | None) -> int:
    with edited(memory["content"]) as content:
        if content == memory["content"].strip():
            note("Nothing is changed.")
            return 0
        changed = proxy.patch(_path(args), {"content": content}, if_match=version, **whose(args))
    show_memories(args, changed, [changed])
    return 0


def _add_delete(actions: Commands) -> None:
    parser = add_api_command(
        actions,
        "delete",
        _delete,
        help_="delete a memory, its history, and the messages that said it",
        example=f"{_EXAMPLE_ID} --yes",
    )
    add_id(parser)
    add_yes(parser)


def _delete(proxy: Remote, args: argparse.Namespace) -> int:
    version = None if args.yes else _confirmed(proxy, args)
    show_done(args, proxy.delete(_path(args), if_match=version, **whose(args)), f"Deleted {args.id}.")
    return 0


def _confirmed(proxy: Remote, args: argparse.Namespace) -> str | None:
    """The version that was shown, and no other, may be deleted."""
    memory, version = proxy.read(_path(args), **whose(args))
    show_memory(memory, sys.stderr)
    confirm("Delete this memory, its history, and the messages that said it?")
    return version


def _add_erase(actions: Commands) -> None:
    parser = add_api_command(
        actions,
        "erase",
        _erase,
        help_="erase a user everywhere: memories, messages, history, journal, traces",
        example="--user ada --yes",
    )
    add_named_user(parser, required=True, help_="who is erased")
    add_yes(parser)


def _erase(proxy: Remote, args: argparse.Namespace) -> int:
    if not args.yes:
        stats = proxy.get("/stats", **whose(args))
        memories = stats["memories"] + stats["past"]
        confirm(f"Erase {args.user} for good, with memories: {memories}, messages: {stats['turns']}?")
    erased = proxy.delete(f"/users/{segment(args.user)}", tenant=args.tenant)
    show_done(args, erased, f"Erased {args.user}, with memories, messages and earlier versions: {erased['deleted']}.")
    return 0


def _add_properties(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--category", choices=("preference", "fact", "context"), help="what it is")
    parser.add_argument("--importance", type=share, metavar="X", help="from 0 to 1")
    parser.add_argument("--metadata", type=json_object, metavar="JSON", help="what you keep beside it")


def _path(args: argparse.Namespace) -> str:
    return f"/memories/{segment(args.id)}"
