"""What several commands share: how they are made, and the way to the configuration, to a running proxy or to the memory API."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from proxy.cli.asking import expect_person
from proxy.config import Config, load

if TYPE_CHECKING:
    # argparse gives add_subparsers' result no public name.
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001
    from proxy.cli.remote import Remote

HERE = Path("proxy.yaml")
TOKEN_VARIABLE = "MEMORY_PROXY_AUTH__ADMIN_TOKEN"  # noqa: S105, the variable's name
URL_VARIABLE = "MEMORY_PROXY_URL"
USER_VARIABLE = "MEMORY_PROXY_USER"
PATIENCE_S = 600.0
"""For an answer: an import may have much to embed."""


def add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="FILE", help="default: ./proxy.yaml, if there is one")


def add_remote(parser: argparse.ArgumentParser, *, required: bool = False) -> None:
    url = os.environ.get(URL_VARIABLE, "").strip() or None
    parser.add_argument(
        "--url",
        metavar="URL",
        required=required and url is None,
        default=url,
        help=f"a running proxy, such as http://127.0.0.1:8080; default: the variable {URL_VARIABLE}",
    )
    parser.add_argument("--token", metavar="T", help=f"its auth.admin_token; default: the variable {TOKEN_VARIABLE}")


def add_user(parser: argparse.ArgumentParser, *, required: bool = False) -> None:
    """Whose memories; the environment may say it."""
    user = os.environ.get(USER_VARIABLE) or None
    text = f"whose memories; default: the variable {USER_VARIABLE}"
    parser.add_argument("--user", metavar="U", required=required and user is None, default=user, help=text)
    add_tenant(parser)


def add_named_user(parser: argparse.ArgumentParser, *, required: bool = False, help_: str) -> None:
    """For what nobody should do to a user whom only the environment names."""
    parser.add_argument("--user", metavar="U", required=required, help=help_)
    add_tenant(parser)


def add_tenant(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tenant", metavar="T", help="the user's tenant; default: the one that there is without auth.clients")


def add_id(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", help="the memory's id, as list shows it")
    add_user(parser)


def remote(args: argparse.Namespace, **options: float) -> Remote:
    """The running proxy that *args* name; raises ``ConfigError``."""
    from proxy.cli.remote import Remote  # httpx takes a while

    return Remote(args.url, args.token or os.environ.get(TOKEN_VARIABLE, "").strip() or None, **options)


@contextmanager
def memory_api(args: argparse.Namespace) -> Iterator[Remote]:
    """The memory API of the running proxy that *args* name, or one of our own on the store that the configuration names."""
    if args.url is not None:
        with remote(args, timeout_s=PATIENCE_S) as proxy:
            yield proxy
        return
    config = load_config(args)
    from proxy.cli.local import local_api

    with local_api(config) as proxy:
        yield proxy


def add_command(
    actions: Commands, name: str, run: Callable[[argparse.Namespace], int], *, help_: str, example: str
) -> argparse.ArgumentParser:
    """A command without arguments so far. *example* is what may stand behind its name."""
    parser = actions.add_parser(name, help=help_, description=f"{help_[0].upper()}{help_[1:]}.")
    parser.epilog = f"example: {parser.prog} {example}".rstrip()
    parser.set_defaults(run=run)
    return parser


def add_api_command(
    actions: Commands, name: str, run: Callable[[Remote, argparse.Namespace], int], *, help_: str, example: str
) -> argparse.ArgumentParser:
    """A command that works through the memory API, and gives JSON to those who ask for it."""

    def run_on_api(args: argparse.Namespace) -> int:
        if not getattr(args, "yes", True):
            expect_person("--yes")
        with memory_api(args) as proxy:
            return run(proxy, args)

    parser = add_command(actions, name, run_on_api, help_=help_, example=example)
    add_config(parser)
    add_remote(parser)
    parser.add_argument("--json", action="store_true", help="print the memory API's JSON")
    return parser


def load_config(args: argparse.Namespace, overrides: Mapping[str, str | None] | None = None) -> Config:
    """The configuration that *args* ask for; raises ``ConfigError``."""
    return load(config_path(args), overrides=overrides)


def config_path(args: argparse.Namespace) -> Path | None:
    path: Path | None = args.config
    return path or (HERE if HERE.exists() else None)
