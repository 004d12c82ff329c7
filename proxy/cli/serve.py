"""``memory-proxy serve``."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from proxy.cli.arguments import add_command, add_config, load_config
from proxy.cli.models import fetch
from proxy.errors import ModelError

if TYPE_CHECKING:
    from proxy.cli.arguments import Commands


def add(commands: Commands) -> None:
    parser = add_command(
        commands, "serve", _run, help_="start the proxy", example="--upstream https://api.openai.com/v1 --port 8080"
    )
    add_config(parser)
    parser.add_argument("--host", metavar="H", help="address to listen on")
    parser.add_argument("--port", metavar="P", help="port to listen on")
    parser.add_argument("--upstream", metavar="URL", help="the model API, such as https://api.openai.com/v1")
    parser.add_argument("--data", metavar="DIR", help="folder of the embedded store")


def _run(args: argparse.Namespace) -> int:
    flags = {
        "listen.host": args.host,
        "listen.port": args.port,
        "upstream.base_url": args.upstream,
        "store.path": args.data,
    }
    config = load_config(args, flags)
    try:
        fetch(config.embedding)
    except ModelError as exc:
        print(f"memory-proxy: going on without memory: {exc}", file=sys.stderr)
    from proxy.app import serve

    serve(config)
    return 0
