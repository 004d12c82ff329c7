"""``memory-proxy config show``, ``config set`` and ``config default``."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from proxy.cli.arguments import add_config, add_remote, load_config, remote
from proxy.config import Config, as_yaml, kept_options, render, settings_path
from proxy.errors import ConfigError, RemoteError
from proxy.resources import default_config

if TYPE_CHECKING:
    from proxy.cli.arguments import Commands


def add(commands: Commands) -> None:
    group = commands.add_parser("config", help="show the configuration, or change that of a running proxy")
    actions = group.add_subparsers(metavar="ACTION", required=True)
    show = actions.add_parser(
        "show",
        help="the effective values as YAML, secrets masked",
        epilog="example: memory-proxy config show --url http://127.0.0.1:8080",
    )
    add_config(show)
    add_remote(show)
    show.set_defaults(run=_show)
    change = actions.add_parser(
        "set",
        help="change settings of a running proxy",
        epilog="example: memory-proxy config set recall.limit=8 log.level=debug --url http://127.0.0.1:8080",
    )
    change.add_argument("settings", nargs="+", metavar="OPTION=VALUE")
    change.add_argument("--persist", action="store_true", help="keep them for its next start")
    add_remote(change, required=True)
    change.set_defaults(run=_set)
    default = actions.add_parser(
        "default",
        help="a proxy.yaml to start from: every option with its default and a comment",
        epilog="example: memory-proxy config default",
    )
    default.set_defaults(run=_default)


def _show(args: argparse.Namespace) -> int:
    if args.url is not None and args.config is not None:
        raise ConfigError("--config and --url: give one of them")
    print("".join(_here(load_config(args)) if args.url is None else _there(args)), end="")
    return 0


def _here(config: Config) -> Iterator[str]:
    path = settings_path(config)
    for option, value, variable in kept_options(path):
        yield f"# from {path}: {option}: {value}{_but(variable)}\n"
    yield render(config)


def _there(args: argparse.Namespace) -> Iterator[str]:
    with remote(args) as proxy:
        answer = _checked(proxy.get("/config"))
    for option, each in answer["changed"].items():
        yield f"# changed since the start: {option}, from {each['old']} to {each['new']}\n"
    for option, each in answer["persisted"].items():
        yield f"# kept for the next start: {option}: {each['value']}{_but(each['overridden_by'])}\n"
    yield as_yaml(answer["config"])


def _set(args: argparse.Namespace) -> int:
    settings = dict(_settings(args.settings))
    with remote(args) as proxy:
        try:
            answer = _checked(proxy.patch("/config", _tree(settings), persist="true" if args.persist else None))
        except RemoteError as exc:
            raise (ConfigError(str(exc)) if exc.status == 400 else exc) from exc
    for option in settings:
        print(_outcome(option, answer, persist=args.persist))
    return 0


def _default(_: argparse.Namespace) -> int:
    print(default_config(), end="")
    return 0


def _checked(answer: Any) -> dict[str, Any]:
    if isinstance(answer, dict) and answer.get("object") == "config":
        return answer
    raise RemoteError("what answers there is no memory-proxy")


def _settings(texts: list[str]) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for text in texts:
        option, equals, value = text.partition("=")
        if not equals or "." not in option.strip("."):
            raise ConfigError(f"{text!r} sets no option; write it as recall.limit=8")
        if option in seen:
            raise ConfigError(f"{option}: is given twice")
        seen.add(option)
        yield option, value


def _tree(settings: Mapping[str, str]) -> dict[str, dict[str, str]]:
    tree: dict[str, dict[str, str]] = {}
    for option, value in settings.items():
        section, _, key = option.partition(".")
        tree.setdefault(section, {})[key] = value
    return tree


def _outcome(option: str, answer: Mapping[str, Any], *, persist: bool) -> str:
    section, _, key = option.partition(".")
    change = answer["changed"].get(option)
    since = "as at the start" if change is None else f"at the start: {change['old']}"
    kept = f"; kept for the next start{_but(answer['persisted'][option]['overridden_by'])}" if persist else ""
    return f"{option}: {answer['config'][section][key]} ({since}{kept})"


def _but(variable: str | None) -> str:
    return f", which {variable} overrides" if variable else ""
