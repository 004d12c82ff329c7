"""What the memory API's parameters, bodies and answers are made of: names, times, categories, with their rules."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import orjson
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, WithJsonSchema

from proxy.core.identity import IdentityError, checked_name
from proxy.core.models import CATEGORY_OF, TOLD_TYPES, TURN, TYPE_OF
from proxy.memory.listing import Place

MAX_CONTENT_CHARS = 4000
MAX_METADATA_BYTES = 16 * 1024
MAX_METADATA_DEPTH = 16
MAX_KEY_CHARS = 100
_INT_64 = range(-(2**63), 2**63)

Category = Literal["preference", "fact", "context"]
CategoryOrTurn = Literal["preference", "fact", "context", "turn"]
Type = Literal["semantic", "preference", "contextual", "episodic", "procedural", "emotional"]
"""What a caller may name; the type of a fact with a key is its own."""


class Given(BaseModel):
    """What is taken: nothing beyond what is described."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Answer(BaseModel):
    """What is given."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


def _name(what: str) -> Callable[[str], str]:
    def check(value: str) -> str:
        try:
            return checked_name(what, value)
        except IdentityError as exc:
            raise ValueError(str(exc).partition(": ")[2]) from None

    return check


def _text(value: str) -> str:
    if not value.strip():
        raise ValueError("must hold more than blank space")
    if "\x00" in value:
        raise ValueError("must not hold the character U+0000")
    return value.strip()


def _key(value: str) -> str:
    value = _name("key")(value)
    if len(value) > MAX_KEY_CHARS:
        raise ValueError(f"must have at most {MAX_KEY_CHARS} characters")
    if ":" in value:
        raise ValueError("must not hold a colon")
    return value


def _time(value: Any) -> datetime:
    """ISO 8601; without an offset it is UTC."""
    if isinstance(value, datetime):
        return value
    try:
        time = datetime.fromisoformat(value)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        raise ValueError("must be a time in ISO 8601, such as 2026-03-01T12:00:00Z") from None


def _uuid(value: str) -> str:
    try:
        if str(UUID(value)) == value:
            return value
    except ValueError:
        pass
    raise ValueError("must be a UUID in its usual form")


def _metadata(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    _check_numbers(value, MAX_METADATA_DEPTH)
    try:
        size = len(orjson.dumps(value))
    except (TypeError, ValueError):
        raise ValueError("must be JSON") from None
    if size > MAX_METADATA_BYTES:
        raise ValueError(f"must take at most {MAX_METADATA_BYTES} bytes, not {size}")
    return value


def _check_numbers(value: Any, depth: int) -> None:
    if depth < 0:
        raise ValueError(f"must be at most {MAX_METADATA_DEPTH} levels deep")
    if isinstance(value, int) and value not in _INT_64:
        raise ValueError("must hold whole numbers of 64 bits at most")
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _check_numbers(each, depth - 1)


def listed(value: Any) -> Any:
    """``a,b`` as in a query string."""
    return [each.strip() for each in value.split(",")] if isinstance(value, str) else value


def _flag(value: Any) -> bool:
    if value in ("true", "false", True, False):
        return value in ("true", True)
    raise ValueError("must be true or false")


Flag = Annotated[bool, BeforeValidator(_flag), WithJsonSchema({"type": "boolean"})]
"""In a query string."""

User = Annotated[
    str,
    AfterValidator(_name("user")),
    Field(description="Whose memories: compared as bytes, at most 1024 of them.", examples=["ada"], min_length=1),
]
Tenant = Annotated[
    str,
    AfterValidator(_name("tenant")),
    Field(
        description="The tenant that the user belongs to; without `auth.clients` there is one.",
        examples=["default"],
        min_length=1,
    ),
]
Session = Annotated[
    str,
    AfterValidator(_name("session")),
    Field(description="The conversation that it comes from.", examples=["chat-42"], min_length=1),
]
Id = Annotated[
    str,
    AfterValidator(_uuid),
    Field(
        description="The memory's id.", examples=["7b0c5f0e-52a1-4a0f-8d25-3f6a8f1c2d3e"], json_schema_extra={"format": "uuid"}
    ),
]
AnyId = Annotated[str, Field(description="The memory's id.", examples=["7b0c5f0e-52a1-4a0f-8d25-3f6a8f1c2d3e"], min_length=1)]
Key = Annotated[
    str,
    AfterValidator(_key),
    Field(description="The fact's name.", examples=["favourite_editor"], min_length=1, max_length=MAX_KEY_CHARS),
]
Content = Annotated[
    str,
    AfterValidator(_text),
    Field(
        description="What is remembered, in one or two sentences. Secrets in it are redacted before it is written.",
        examples=["Prefers Python for backend work"],
        min_length=1,
        max_length=MAX_CONTENT_CHARS,
    ),
]
Importance = Annotated[
    float,
    Field(
        description="From 0 to 1; breaks ties in recall, and decides what goes first when there is no room.",
        examples=[0.7],
        ge=0,
        le=1,
    ),
]
Metadata = Annotated[
    dict[str, JsonValue],
    AfterValidator(_metadata),
    Field(description="Whatever the caller wants to keep beside it, at most 16 KiB of JSON.", examples=[{"ticket": 4711}]),
]
TIME_SCHEMA = {"type": "string", "format": "date-time", "examples": ["2026-03-01T12:00:00Z"]}
Time = Annotated[datetime, BeforeValidator(_time), WithJsonSchema(TIME_SCHEMA)]
Categories = Annotated[
    list[CategoryOrTurn],
    BeforeValidator(listed),
    Field(
        description="Only these: `preference`, `fact`, `context`; `turn` are the user's own messages.",
        examples=[["preference"]],
        min_length=1,
    ),
]


def types_of(categories: list[CategoryOrTurn]) -> tuple[str, ...]:
    """The store's types behind *categories*."""
    named = [type_ for type_, category in CATEGORY_OF.items() if category in categories]
    return (*named, *([TURN] if "turn" in categories else []))


def type_of(category: str | None, type_: str | None) -> str:
    """The store's type for what a caller named: the type itself, or what its category stands for."""
    return type_ or TYPE_OF[category or "fact"]


assert {*TOLD_TYPES} == {*Type.__args__}  # type: ignore[attr-defined]


# Cursors.


def to_cursor(place: Place) -> str:
    return base64.urlsafe_b64encode(f"{place.at.isoformat()} {place.id_}".encode()).decode().rstrip("=")


def _place(value: Any) -> Place:
    try:
        at, _, id_ = (
            base64.b64decode(str(value) + "=" * (-len(str(value)) % 4), altchars=b"-_", validate=True).decode().partition(" ")
        )
        return Place(datetime.fromisoformat(at).astimezone(UTC), _uuid(id_))
    except (binascii.Error, UnicodeError, ValueError, OverflowError):
        raise ValueError("is not a cursor that this call has given") from None


Cursor = Annotated[
    Place,
    BeforeValidator(_place),
    WithJsonSchema({"type": "string"}),
    Field(description="`next_cursor` of the page before.", examples=["MjAyNi0wMy0wMVQxMjowMDowMCswMDowMCA3YjBjNWYwZQ"]),
]
