"""``memory-proxy config show`` and ``config default``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from proxy.cli.arguments import add_config, load_config
from proxy.config import render
from proxy.resources import default_config

if TYPE_CHECKING:
    from proxy.cli.arguments import Commands


def add(commands: Commands) -> None:
    group = commands.add_parser("config", help="show the configuration")
    actions = group.add_subparsers(metavar="ACTION", required=True)
    show = actions.add_parser(
        "show", help="the effective values as YAML, secrets masked", epilog="example: memory-proxy config show"
    )
    add_config(show)
    show.set_defaults(run=_show)
    default = actions.add_parser(
        "default",
        help="a proxy.yaml to start from: every option with its default and a comment",
        epilog="example: memory-proxy config default",
    )
    default.set_defaults(run=_default)


def _show(args: argparse.Namespace) -> int:
    print(render(load_config(args)), end="")
    return 0


def _default(_: argparse.Namespace) -> int:
    print(default_config(), end="")
    return 0
