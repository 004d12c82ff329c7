"""``memory-proxy move``: everything in the embedded store to a Qdrant server."""

from __future__ import annotations

import argparse
import asyncio
import os
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.console import Console

from proxy.cli.arguments import add_config, load_config
from proxy.cli.models import Report, progress
from proxy.config import Config, Store
from proxy.errors import ConfigError, StoreError, StoreLocked
from proxy.options import address

if TYPE_CHECKING:
    from proxy.cli.arguments import Commands
    from proxy.memory.moving import Comparison


def add(commands: Commands) -> None:
    parser = commands.add_parser(
        "move",
        help="move the memories from the embedded store to a Qdrant server",
        description="Copy everything in the embedded store to a Qdrant server, and read both to see that it is there. "
        "Stop the proxy first. Interrupted at any time, the next call goes on where it was. The embedded store stays as it is.",
        epilog="example: memory-proxy move --to http://127.0.0.1:6333",
    )
    add_config(parser)
    parser.add_argument("--to", metavar="URL", required=True, help="the server, such as http://127.0.0.1:6333")
    parser.add_argument("--api-key-env", metavar="NAME", help="the environment variable with its key; default: store.api_key")
    parser.add_argument("--collection", metavar="C", help="default: store.collection")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    config = load_config(args)
    target = _target(config.store, args)
    try:
        with progress(Console(stderr=True)) as report:
            written, found = asyncio.run(_move(config, target, report))
    except StoreLocked as exc:
        raise StoreLocked(f"{str(exc).partition(': go through')[0]}: stop that proxy first") from exc
    if not found.agrees:
        raise StoreError(_disagreement(found))
    _tell(written, found, target)
    return 0


def _target(store: Store, args: argparse.Namespace) -> Store:
    try:
        url = address(args.to)
    except ValueError as exc:
        raise ConfigError(f"--to: use {exc}") from exc
    key = store.api_key
    if args.api_key_env is not None:
        key = os.environ.get(args.api_key_env)
        if not key:
            raise ConfigError(f"--api-key-env: there is no key in the environment variable {args.api_key_env}; set it")
    return replace(store, kind="qdrant", url=url, api_key=key, collection=args.collection or store.collection)


async def _move(config: Config, target: Store, report: Report) -> tuple[int, Comparison]:
    from proxy.memory.moving import compare, copy
    from proxy.memory.spaces import embedding_of
    from proxy.memory.stores import open_store

    async with open_store(replace(config.store, kind="edge"), None) as source:
        space = source.spaces.current
        async with open_store(target, space.dimensions, embedding_of(space, config.embedding)) as server:
            await server.touch()
            return await copy(source, server, report), await compare(source, server, report)


def _disagreement(found: Comparison) -> str:
    return (
        f"not verified: {len(found.missing)} are missing on the server and {len(found.different)} differ there, checksums "
        f"{found.source.checksum[:12]} here and {found.target.checksum[:12]} there; leave the configuration as it is, and run it again"
    )


def _tell(written: int, found: Comparison, target: Store) -> None:
    counts = ", ".join(f"{kind} {count}" for kind, count in found.target.counts.items()) or "nothing"
    print(f"Verified in collection {target.collection!r} of {target.url}: {counts}; written in this call: {written}")
    print(f"sha256 of both: {found.target.checksum}")
    if found.extra:
        print(f"The server has {found.extra} more that the embedded store does not have; they stay.")
    print("\nSet this in the configuration before the next start, and leave store.path (the journal, tenant.key) as it is:\n")
    print(f"store:\n  kind: qdrant\n  url: {target.url}\n  collection: {target.collection}")
    if target.api_key:
        print("\nand its key in the environment: MEMORY_PROXY_STORE__API_KEY")
