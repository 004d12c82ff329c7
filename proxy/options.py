"""Options: fields of a dataclass that are read from text, each by its type and the rules that stand beside it.

A mistake is a ``ConfigError`` that names the option's full path and what is allowed.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any
from urllib.parse import urlsplit

from proxy.errors import ConfigError

MASK = "********"
_EXACT = 2**53
"""Up to here a float holds every whole number."""


def option(
    default: Any = dataclasses.MISSING,
    *,
    least: float | None = None,
    most: float | None = None,
    secret: bool = False,
    live: bool = False,
    read: Callable[[str], str] | None = None,
) -> Any:
    """A dataclass field with a range (both ends allowed), a mask for display, or a reader of its own.

    *live*: it may be changed while the proxy runs, since nobody keeps it beyond a request.
    """
    return field(default=default, metadata={"least": least, "most": most, "secret": secret, "live": live, "read": read})


def build(kind: Any, tree: Any, path: str = "") -> Any:
    """A *kind* from a tree of mappings, lists and texts; *path* is where the tree hangs. An empty text is an empty section."""
    if not isinstance(tree, dict):
        raise ConfigError(f"{path}: must be a mapping, not {describe(tree)}", option=path)
    fields = {f.name: f for f in dataclasses.fields(kind)}
    hints = typing.get_type_hints(kind)
    values = {}
    for key, value in tree.items():
        where = f"{path}.{key}" if path else key
        if key not in fields:
            raise ConfigError(f"{where}: unknown option; allowed here: {', '.join(fields)}", option=where)
        values[key] = _convert(hints[key], value, where, fields[key].metadata)
    missing = [f.name for f in fields.values() if f.name not in values and _required(f)]
    if missing:
        raise ConfigError(f"{path}: needs {', '.join(missing)}", option=path)
    return kind(**values)


def refuse_fixed(kind: Any, tree: Mapping[str, Any], path: str = "") -> None:
    """Raise ``ConfigError`` if *tree* has an option of *kind* that is not ``live``; unknown ones are for ``build`` to refuse."""
    hints = typing.get_type_hints(kind)
    for f in dataclasses.fields(kind):
        where = f"{path}.{f.name}" if path else f.name
        if f.name not in tree:
            continue
        if dataclasses.is_dataclass(hints[f.name]):
            if isinstance(tree[f.name], dict):
                refuse_fixed(hints[f.name], tree[f.name], where)
        elif not f.metadata.get("live"):
            raise ConfigError(f"{where}: can't be changed while the proxy runs, only before it starts", option=where)


def as_texts(value: Any) -> Any:
    """JSON's values as the texts that ``build`` reads."""
    match value:
        case dict():
            return {key: as_texts(each) for key, each in value.items()}
        case list():
            return [as_texts(each) for each in value]
        case float() if value.is_integer() and abs(value) < _EXACT:
            return str(int(value))  # to JSON, 8.0 is as whole as 8
        case None | bool():
            return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def _required(f: dataclasses.Field[Any]) -> bool:
    return f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING


def _convert(hint: Any, value: Any, where: str, rules: Mapping[str, Any]) -> Any:
    if dataclasses.is_dataclass(hint):
        return build(hint, {} if value == "" else value, where)
    if typing.get_origin(hint) is tuple:
        return _convert_list(typing.get_args(hint)[0], [] if value == "" else value, where)
    if not isinstance(value, str):
        raise ConfigError(f"{where}: must be one value, not {describe(value)}", option=where)
    if isinstance(hint, types.UnionType):
        return None if value.lower() in ("", "~", "null") else _convert(typing.get_args(hint)[0], value, where, rules)
    return _scalar(hint, value.strip(), where, rules)


def _convert_list(item_hint: Any, value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise ConfigError(f"{where}: must be a list, not {describe(value)}", option=where)
    return tuple(_convert(item_hint, item, f"{where}[{i}]", {}) for i, item in enumerate(value))


def _scalar(hint: Any, text: str, where: str, rules: Mapping[str, Any]) -> Any:
    try:
        value = (rules.get("read") or _READERS.get(hint) or _choice(hint))(text)
        _check_range(value, rules)
    except ValueError as exc:
        shown = MASK if rules.get("secret") else repr(text)
        raise ConfigError(f"{where}: {shown} is not allowed; use {exc}", option=where) from None
    return value


# Readers raise ValueError with what is allowed.


def _read_bool(text: str) -> bool:
    words = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
    if text.lower() not in words:
        raise ValueError("true or false")
    return words[text.lower()]


def _read_int(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError("a whole number") from None


def _read_float(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError("a number") from None
    if not math.isfinite(value):
        raise ValueError("a finite number")
    return value


def _read_text(text: str) -> str:
    if not text or not text.isprintable():
        raise ValueError("a text of at least one character and none that controls")
    return text


_READERS: dict[Any, Callable[[str], Any]] = {bool: _read_bool, int: _read_int, float: _read_float, str: _read_text}


def _choice(hint: Any) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text.lower() not in typing.get_args(hint):
            raise ValueError(f"one of {', '.join(typing.get_args(hint))}")
        return text.lower()

    return read


def _check_range(value: Any, rules: Mapping[str, Any]) -> None:
    least, most = rules.get("least"), rules.get("most")
    if least is not None and value < least:
        raise ValueError(f"{least} to {most}" if most is not None else f"{least} or more")
    if most is not None and value > most:
        raise ValueError(f"{least} to {most}" if least is not None else f"{most} or less")


def describe(value: Any) -> str:
    """What stands where something else should: in words, as a whole tree may be long or hold a key."""
    return "a mapping" if isinstance(value, dict) else "a list" if isinstance(value, list) else repr(value)


def address(text: str) -> str:
    """A URL to put paths behind, without its closing slash; keys have options of their own, so none may hide in it."""
    allowed = ValueError("an http:// or https:// address without user, query or fragment")
    try:
        parts = urlsplit(text)
        plain = parts.hostname and parts.port != 0 and not (parts.username or parts.password or parts.query or parts.fragment)
    except ValueError:  # an impossible port or IPv6 address
        raise allowed from None
    if parts.scheme not in ("http", "https") or not plain or not text.isprintable() or " " in text:
        raise allowed
    return text.rstrip("/")


def path_prefix(text: str) -> str:
    if not text.startswith("/") or text.endswith("/") or not text.isprintable():
        raise ValueError("a path such as /groq")
    return text
