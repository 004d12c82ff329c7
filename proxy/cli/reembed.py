"""``memory-proxy reembed``: the store to another embedding model, here or in a running proxy."""

from __future__ import annotations

import argparse
import asyncio
import time
from typing import TYPE_CHECKING, Any

from rich.console import Console

from proxy.cli.arguments import add_config, add_remote, load_config, remote
from proxy.cli.models import Report, progress
from proxy.config import Config, Embedding, other_model
from proxy.errors import MemoryProxyError

if TYPE_CHECKING:
    from proxy.cli.arguments import Commands
    from proxy.cli.remote import Remote

POLL_S = 0.5
PATH = "/reembed"
STEP = "re-embedding"


def add(commands: Commands) -> None:
    parser = commands.add_parser(
        "reembed",
        help="move the memories to another embedding model",
        description="Move the memories to another embedding model, here or with --url in a running proxy. "
        "Stopped at any time, the next call goes on where it was.",
        epilog="example: memory-proxy reembed --model BAAI/bge-small-en-v1.5 --url http://127.0.0.1:8080",
    )
    add_config(parser)
    parser.add_argument("--model", metavar="NAME", help="the new model; default: the configuration's")
    parser.add_argument("--provider", metavar="P", help="fastembed or openai; default: the configuration's")
    parser.add_argument("--embeddings-url", metavar="URL", help="of provider openai; default: the configuration's")
    parser.add_argument("--api-key-env", metavar="NAME", help="the environment variable with the key for --embeddings-url")
    add_remote(parser)
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    config = load_config(args)
    return _there(config, args) if args.url else _here(config, args)


def _changes(args: argparse.Namespace, config: Config) -> dict[str, str]:
    wanted = {
        "model": args.model or config.embedding.model,
        "provider": args.provider,
        "url": args.embeddings_url,
        "api_key_env": args.api_key_env,
    }
    return {name: value for name, value in wanted.items() if value is not None}


# Here, on the store itself.


def _here(config: Config, args: argparse.Namespace) -> int:
    embedding = other_model(config.embedding, _changes(args, config))
    with progress(Console(stderr=True)) as report:
        moved = asyncio.run(_move(config, embedding, report))
    if not moved:
        print(f"The memories are of {embedding.model} already.")
    _say_what_to_set(embedding.model, embedding.provider)
    return 0


async def _move(config: Config, embedding: Embedding, report: Report) -> bool:
    from proxy.memory.embedding import open_embedder
    from proxy.memory.reembedding import reembed
    from proxy.memory.stores import open_store

    async with open_store(config.store, None) as store, open_embedder(embedding, progress=report) as embedder:
        return await reembed(store, embedder, embedding, lambda done, total: report(STEP, done, total))


def _say_what_to_set(model: str, provider: str) -> None:
    print(f"Set this in the configuration before the next start:\n\nembedding:\n  provider: {provider}\n  model: {model}")


# There, in a running proxy.


def _there(config: Config, args: argparse.Namespace) -> int:
    with remote(args) as proxy:
        _begin(proxy, _changes(args, config))
        try:
            found = _follow(proxy)
        except KeyboardInterrupt:
            print(f"It goes on in the proxy at {proxy.url}; the same command shows its progress again.")
            return 130
    if found["state"] != "done":
        raise MemoryProxyError(
            f"re-embedding has {found['state']}: {found['why'] or 'somebody stopped it'}; call it again to go on"
        )
    _say_what_to_set(found["model"], found["provider"])
    return 0


def _begin(proxy: Remote, changes: dict[str, str]) -> None:
    """Unless it is under way: then this call only watches."""
    now = proxy.get(PATH)
    if (now["state"], now["model"]) != ("running", changes["model"]):
        proxy.post(PATH, changes)


def _follow(proxy: Remote) -> dict[str, Any]:
    with progress(Console(stderr=True)) as report:
        while True:
            found: dict[str, Any] = proxy.get(PATH)
            report(STEP, found["done"], found["total"] or None)
            if found["state"] != "running":
                return found
            time.sleep(POLL_S)
