"""``memory-proxy memories``: what is remembered, to be looked at, corrected, taken along, brought and erased."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.cli import changing, looking, transfer

if TYPE_CHECKING:
    from proxy.cli.arguments import Commands


def add(commands: Commands) -> None:
    group = commands.add_parser("memories", help="look at, search, correct, export, import and erase what is remembered")
    actions = group.add_subparsers(metavar="ACTION", required=True)
    for part in (looking, changing, transfer):
        part.add(actions)
