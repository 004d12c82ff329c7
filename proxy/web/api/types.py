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
from pydantic_core import PydanticCustomError

from proxy.core.identity import IdentityError, checked_name
from proxy.core.models import CATEGORY_OF, TOLD_TYPES, TURN, TYPE_OF
from proxy.memory.listing import Place

MAX_CONTENT_CHARS = 4000
MAX_METADATA_BYTES = 16 * 1024
MAX_METADATA_DEPTH = 16
MAX_KEY_CHARS = 100
MAX_VALUE_CHARS = 1000
_INT_64 = range(-(2**63), 2**63)
_YEARS = range(1000, 9999)
"""A little may be added to all of them, or taken away."""

# For whoever reads the document; ``checked_name`` and ``_text`` decide.
_NO_CONTROLS = r"[^\x00-\x1f\x7f-\x9f]*"
_OF_NAMES = {"pattern": rf"^{_NO_CONTROLS}[^\x00-\x20\x7f-\x9f]{_NO_CONTROLS}$"}
_OF_KEYS = {"pattern": r"^(?!\.{1,2}$)[^\x00-\x20:\x7f-\x9f]([^\x00-\x1f:\x7f-\x9f]*[^\x00-\x20:\x7f-\x9f])?$"}
_OF_TEXTS = {"pattern": r"^[^\x00]*[^\s\x00][^\x00]*$"}
_OF_IDS = {"format": "uuid", "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"}

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
    return without_nul(value).strip()


def without_nul(value: str) -> str:
    if "\x00" in value:
        raise ValueError("must not hold the character U+0000")
    return value


def _key(value: str) -> str:
    value = _name("key")(value)
    if len(value) > MAX_KEY_CHARS:
        raise ValueError(f"must have at most {MAX_KEY_CHARS} characters")
    if ":" in value:
        raise ValueError("must not hold a colon")
    if value in (".", ".."):
        raise ValueError("must not be a dot or two, which mean something else in a path")
    return value


FIELD_ERROR = "field_error"


def field_error(name: str, message: str) -> PydanticCustomError:
    """For checks of the whole: the field *name* is wrong, as the others show."""
    return PydanticCustomError(FIELD_ERROR, "{message}", {"name": name, "message": message})


def as_time(value: Any) -> datetime:
    """ISO 8601; without an offset it is UTC."""
    if isinstance(value, datetime):
        return value
    try:
        time = datetime.fromisoformat(value)
        time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        raise ValueError("must be a time in ISO 8601, such as 2026-03-01T12:00:00Z") from None
    if time.year not in _YEARS:
        raise ValueError("must be between the years 1000 and 9998")
    return time


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
    Field(
        description="Whose memories: compared as bytes, at most 1024 of them.",
        examples=["ada"],
        min_length=1,
        json_schema_extra=_OF_NAMES,
    ),
]
UserOrNobody = Annotated[
    str,
    AfterValidator(lambda value: value and _name("user")(value)),
    Field(description="Whose it is; empty for what all users of the tenant share.", examples=["ada"]),
]
Tenant = Annotated[
    str,
    AfterValidator(_name("tenant")),
    Field(
        description="The tenant that the user belongs to; without `auth.clients` there is one.",
        examples=["default"],
        min_length=1,
        json_schema_extra=_OF_NAMES,
    ),
]
Session = Annotated[
    str,
    AfterValidator(_name("session")),
    Field(description="The conversation that it comes from.", examples=["chat-42"], min_length=1, json_schema_extra=_OF_NAMES),
]
Id = Annotated[
    str,
    AfterValidator(_uuid),
    Field(description="The memory's id.", examples=["7b0c5f0e-52a1-4a0f-8d25-3f6a8f1c2d3e"], json_schema_extra=_OF_IDS),
]
AnyId = Annotated[str, Field(description="The memory's id.", examples=["7b0c5f0e-52a1-4a0f-8d25-3f6a8f1c2d3e"], min_length=1)]
Key = Annotated[
    str,
    AfterValidator(_key),
    Field(
        description="The fact's name.",
        examples=["favourite_editor"],
        min_length=1,
        max_length=MAX_KEY_CHARS,
        json_schema_extra=_OF_KEYS,
    ),
]
Content = Annotated[
    str,
    Field(
        description="What is remembered, in one or two sentences. Secrets in it are redacted before it is written.",
        examples=["Prefers Python for backend work"],
        min_length=1,
        max_length=MAX_CONTENT_CHARS,
        json_schema_extra=_OF_TEXTS,
    ),
    AfterValidator(_text),
]
QueryText = Annotated[
    str,
    Field(
        description="What is looked for.",
        examples=["Which language should I use?"],
        min_length=1,
        max_length=MAX_CONTENT_CHARS,
        json_schema_extra=_OF_TEXTS,
    ),
    AfterValidator(_text),
]
FactValue = Annotated[
    str,
    Field(
        description="What it says; secrets in it are redacted.",
        examples=["Neovim"],
        min_length=1,
        max_length=MAX_VALUE_CHARS,
        json_schema_extra=_OF_TEXTS,
    ),
    AfterValidator(_text),
]
Importance = Annotated[
    float,
    Field(
        description="From 0 to 1; breaks ties in recall, and decides what goes first when there is no room.",
        examples=[0.7],
        ge=0,
        le=1,
    ),
    AfterValidator(lambda value: round(value, 6)),
]
Metadata = Annotated[
    dict[str, JsonValue],
    AfterValidator(_metadata),
    Field(description="Whatever the caller wants to keep beside it, at most 16 KiB of JSON.", examples=[{"ticket": 4711}]),
]
Time = Annotated[
    datetime, BeforeValidator(as_time), Field(examples=["2026-03-01T12:00:00Z"], json_schema_extra={"pattern": "^(?!9999)[1-9]"})
]
Categories = Annotated[
    list[CategoryOrTurn],
    Field(
        description="Only these: `preference`, `fact`, `context`; `turn` are the user's own messages.",
        examples=[["preference", "fact"]],
        min_length=1,
        max_length=20,
    ),
]
CategoriesInQuery = Annotated[Categories, BeforeValidator(listed)]


def types_of(categories: list[CategoryOrTurn]) -> tuple[str, ...]:
    """The store's types behind *categories*."""
    named = [type_ for type_, category in CATEGORY_OF.items() if category in categories]
    return (*named, *([TURN] if "turn" in categories else []))


def type_of(category: str | None, type_: str | None) -> str:
    """The store's type for what a caller named: the type itself, or what its category stands for."""
    return type_ or TYPE_OF[category or "fact"]


assert {*TOLD_TYPES} == {*Type.__args__}  # type: ignore[attr-defined]


# Cursors.

_NO_CURSOR = "is not a cursor that this call has given"


def to_cursor(place: Place) -> str:
    return base64.urlsafe_b64encode(f"{place.at.isoformat()} {place.id_}".encode()).decode().rstrip("=")


def _place(value: Any) -> Place:
    try:
        at, _, id_ = _decoded(value).partition(" ")
        return Place(as_time(at), _uuid(id_))
    except (binascii.Error, ValueError):
        raise ValueError(_NO_CURSOR) from None


def to_key_cursor(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


def _decoded(cursor: Any) -> str:
    return base64.b64decode(str(cursor) + "=" * (-len(str(cursor)) % 4), altchars=b"-_", validate=True).decode()


def _key_behind(value: Any) -> str:
    try:
        return _decoded(value)
    except (binascii.Error, ValueError):
        raise ValueError(_NO_CURSOR) from None


def _cursor_schema(example: str) -> dict[str, Any]:
    """Its form is nobody's business."""
    return {"type": "string", "description": "`next_cursor` of the page before.", "examples": [example]}


Cursor = Annotated[
    Place,
    BeforeValidator(_place),
    WithJsonSchema(_cursor_schema("MjAyNi0wMy0wMVQxMjowMDowMCswMDowMCA3YjBjNWYwZS01MmExLTRhMGYtOGQyNS0zZjZhOGYxYzJkM2U")),
]
KeyCursor = Annotated[
    str,
    BeforeValidator(_key_behind),
    WithJsonSchema(_cursor_schema("ZmF2b3VyaXRlX2VkaXRvcg")),
]
