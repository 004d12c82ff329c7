"""What several commands share: the type of their parsers, and the way to the configuration or to a running proxy."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from proxy.config import Config, load

if TYPE_CHECKING:
    # argparse gives add_subparsers' result no public name.
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001
    from proxy.cli.remote import Remote

HERE = Path("proxy.yaml")
TOKEN_VARIABLE = "MEMORY_PROXY_AUTH__ADMIN_TOKEN"  # noqa: S105, the variable's name


def add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="FILE", help="default: ./proxy.yaml, if there is one")


def add_remote(parser: argparse.ArgumentParser, *, required: bool = False) -> None:
    parser.add_argument("--url", metavar="URL", required=required, help="a running proxy, such as http://127.0.0.1:8080")
    parser.add_argument("--token", metavar="T", help=f"its auth.admin_token; default: the variable {TOKEN_VARIABLE}")


def remote(args: argparse.Namespace) -> Remote:
    """The running proxy that *args* name; raises ``ConfigError``."""
    from proxy.cli.remote import Remote  # httpx takes a while

    return Remote(args.url, args.token or os.environ.get(TOKEN_VARIABLE, "").strip() or None)


def load_config(args: argparse.Namespace, overrides: Mapping[str, str | None] | None = None) -> Config:
    """The configuration that *args* ask for; raises ``ConfigError``."""
    return load(config_path(args), overrides=overrides)


def config_path(args: argparse.Namespace) -> Path | None:
    path: Path | None = args.config
    return path or (HERE if HERE.exists() else None)
