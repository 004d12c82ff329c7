"""The ``memory-proxy`` command: arguments in, an exit status out; one file for each group of commands.

0 is done, 1 failed, 2 bad usage or configuration. Every error is one line on stderr.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from proxy import __version__
from proxy.cli import completion, config, demo, doctor, facts, memories, models, move, reembed, serve, stats
from proxy.errors import ConfigError, MemoryProxyError


def main(argv: Sequence[str] | None = None) -> int:
    args = make_parser().parse_args(argv)
    try:
        status: int = args.run(args)
        sys.stdout.flush()
    except ConfigError as exc:
        return _fail(exc, status=2)
    except MemoryProxyError as exc:
        return _fail(exc, status=1)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return _unread()
    return status


def make_parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="memory-proxy", description="Gives OpenAI-compatible apps a memory, with no code change.")
    parser.add_argument("--version", action="version", version=f"memory-proxy {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for group in (serve, demo, doctor, models, config, memories, facts, stats, reembed, move, completion):
        group.add(commands)
    return parser


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, where argparse would print its usage first, and leaves examples on theirs."""

    def __init__(self, **options: Any) -> None:
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, **options)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"memory-proxy: {message}; see {self.prog} --help\n")


def _fail(exc: MemoryProxyError, *, status: int) -> int:
    print("memory-proxy:", " ".join(str(exc).split()), file=sys.stderr)
    return status


def _unread() -> int:
    """Whoever read our output, such as ``head``, has had enough; at the exit Python would complain once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 141
