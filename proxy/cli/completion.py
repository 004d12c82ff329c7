"""``memory-proxy completion``."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING

from proxy.cli.arguments import add_command

if TYPE_CHECKING:
    from proxy.cli.arguments import Commands

SHELLS = ("bash", "zsh", "tcsh", "fish")


def add(commands: Commands) -> None:
    parser = add_command(commands, "completion", _run, help_="print a script that lets a shell complete commands", example="bash")
    parser.add_argument("shell", choices=SHELLS)


def _run(args: argparse.Namespace) -> int:
    import shtab

    from proxy.cli import make_parser

    parser = make_parser()
    for action in _actions(parser):
        if action.metavar in ("FILE", "DIR"):
            action.complete = shtab.FILE if action.metavar == "FILE" else shtab.DIRECTORY  # type: ignore[attr-defined]
    print(shtab.complete(parser, args.shell))
    return 0


def leaves(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """The parsers of commands that do something."""
    groups = [each for each in parser._actions if isinstance(each, argparse._SubParsersAction)]  # noqa: SLF001
    if not groups:
        yield parser
    for group in groups:
        for each in group.choices.values():
            yield from leaves(each)


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for leaf in leaves(parser):
        yield from leaf._actions  # noqa: SLF001
