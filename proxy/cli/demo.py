"""``memory-proxy demo``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from proxy.cli.arguments import add_command

if TYPE_CHECKING:
    from proxy.cli.arguments import Commands


def add(commands: Commands) -> None:
    add_command(commands, "demo", _run, help_="a guided conversation through the proxy, on this machine alone", example="")


def _run(_: argparse.Namespace) -> int:
    from proxy.demo.run import main

    return main()
