"""A block's body → the memories, corrections and farewells in it, read as leniently as models write."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from proxy.core.blocks import Block
from proxy.core.models import TOLD_TYPES, TYPE_OF, Scope

MAX_CONTENT_CHARS = 2000
_TYPES = {each: each for each in TOLD_TYPES} | TYPE_OF
_FENCE = re.compile(r"(?:`{3,}|~{3,})\w*")
_BULLET = re.compile(r"\A\s*+(?:[-*+•]|\d{1,3}[.)])\s+")

# For bodies that are no JSON: where the list begins, its next value, what must follow a whole string, and the next object
# that is no other's field.
_MEMORIES = re.compile(r'\A\[|"memories"\s*+:\s*+\[?')
_FORGET = re.compile(r'"forget"\s*+:\s*+\[?')
_VALUE = re.compile(r"[^\s,]")
_STRING_ENDS = re.compile(r"\s*+(?:[,\]}]|\Z)")
_NEXT_OBJECT = re.compile(r"[^:\s]\s*+(?=\{)")
_MAX_BROKEN = 32
_JSON = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class Item:
    """Something worth remembering, of one of ``TOLD_TYPES``; *replaces* is the short id of the memory that it corrects.

    *importance*: 0 to 1, if the model said. *scope*: never ``global``, what one user said is not for all.
    """

    content: str
    type: str = "semantic"
    replaces: str | None = None
    importance: float | None = None
    scope: Scope = "user"


@dataclass(frozen=True, slots=True)
class Extracted:
    """What one block says. *malformed*: it had to be patched together."""

    items: tuple[Item, ...] = ()
    forget: tuple[str, ...] = ()
    malformed: bool = False


def read_block(block: Block) -> Extracted:
    """Everything whole that *block* holds; nothing in it makes this fail."""
    if block.plain:
        return Extracted(tuple(_plain_items(block.body)))
    body = _without_fence(block.body)
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        items = _items(list(_whole_values(body, _MEMORIES)))
        return Extracted(tuple(items), tuple(_ids(list(_whole_values(body, _FORGET)))), malformed=True)
    if isinstance(value, list):
        value = {"memories": value}
    if not isinstance(value, dict):
        return Extracted(malformed=True)
    return Extracted(tuple(_items(value.get("memories"))), tuple(_ids(value.get("forget"))), malformed=block.cut)


def _without_fence(body: str) -> str:
    body = body.strip()
    opening = _FENCE.match(body)
    return body[opening.end() :].rstrip("`~").strip() if opening else body


def _items(values: Any) -> Iterator[Item]:
    for value in values if isinstance(values, list) else [values]:
        item = _item(value)
        if item is not None:
            yield item


def _item(value: Any) -> Item | None:
    if isinstance(value, str):
        value = {"content": value}
    if not isinstance(value, dict):
        return None
    content = value.get("content") or value.get("text")
    if not isinstance(content, str) or not content.strip():
        return None
    return Item(
        _clean(content),
        _TYPES.get((_word(value.get("category")) or _word(value.get("type")) or "").lower(), "semantic"),
        _word(value.get("replaces")),
        _share(value.get("importance")),
        "session" if _word(value.get("scope")) == "session" else "user",
    )


def _word(value: Any) -> str | None:
    return (value.strip() or None) if isinstance(value, str) else None


def _share(value: Any) -> float | None:
    """A number from 0 to 1, which ``true`` is not."""
    return float(value) if type(value) in (int, float) and 0 <= value <= 1 else None


def _ids(values: Any) -> Iterator[str]:
    for value in values if isinstance(values, list) else [values]:
        if isinstance(value, str) and value.strip():
            yield value.strip()


def _plain_items(body: str) -> Iterator[Item]:
    for line in body.splitlines():
        text = _BULLET.sub("", line, count=1).strip()
        if text:
            yield Item(_clean(text))


def _clean(text: str) -> str:
    # JSON can spell half a surrogate pair; no store could write it.
    return text.strip()[:MAX_CONTENT_CHARS].encode("utf-8", "replace").decode()


def _whole_values(body: str, opening: re.Pattern[str]) -> Iterator[Any]:
    """What is whole of the list, or the lone value, behind *opening*; after something broken, it goes on with the next object."""
    opened = opening.search(body)
    at = opened.end() if opened else len(body)
    broken = 0
    while broken < _MAX_BROKEN and (found := _VALUE.search(body, at)) and found[0] not in "]}":
        try:
            value, at = _whole_value(body, found.start())
        except (ValueError, RecursionError):
            broken += 1
            at = _next_object(body, found.start())
        else:
            yield value


def _whole_value(body: str, at: int) -> tuple[Any, int]:
    value, end = _JSON.raw_decode(body, at)
    if isinstance(value, str) and not _STRING_ENDS.match(body, end):
        raise ValueError("a quote inside a string ended it too early")
    return value, end


def _next_object(body: str, at: int) -> int:
    found = _NEXT_OBJECT.search(body, at)
    return found.end() if found else len(body)
