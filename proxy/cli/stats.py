"""``memory-proxy stats``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from proxy.cli.arguments import add_api_command, add_named_user
from proxy.cli.records import show_record
from proxy.cli.values import whose

if TYPE_CHECKING:
    from proxy.cli.arguments import Commands
    from proxy.cli.remote import Remote


def add(commands: Commands) -> None:
    parser = add_api_command(
        commands, "stats", _run, help_="figures of the proxy, or of a user", example="--url http://127.0.0.1:8080"
    )
    add_named_user(parser, help_="of this user; default: of the whole proxy")


def _run(proxy: Remote, args: argparse.Namespace) -> int:
    show_record(args, proxy.get("/stats", **whose(args)))
    return 0
