"""Whose memories a request is about, and what may be done with them.

Users are compared as the bytes of their UTF-8 text, spaces and tabs at both ends aside, which HTTP takes from headers, too:
no case folding, no Unicode normalisation. What looks alike is not the same user; what can't be a name is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from proxy.core.models import Owner

USER_HEADER = "X-Memory-User"
SESSION_HEADER = "X-Memory-Session"
MODE_HEADER = "X-Memory-Mode"
MAX_NAME_BYTES = 1024
_BLANKS = " \t"


class Mode(Enum):
    """What memory does for one request."""

    FULL = "full"
    READ = "read"
    WRITE = "write"
    OFF = "off"

    @property
    def recalls(self) -> bool:
        return self in (Mode.FULL, Mode.READ)

    @property
    def extracts(self) -> bool:
        return self in (Mode.FULL, Mode.WRITE)


class IdentityError(ValueError):
    """A name that can't be one; *source* is the header or field that it came from."""

    def __init__(self, source: str, problem: str) -> None:
        super().__init__(f"{source}: {problem}")
        self.source = source


def read_mode(headers: Mapping[str, str], *, default: Mode = Mode.FULL) -> Mode:
    """What the header says, else *default*. Raises ``IdentityError`` for a mode that there is not."""
    text = headers.get(MODE_HEADER)
    if text is None:
        return default
    try:
        return Mode(text.strip().lower())
    except ValueError:
        raise IdentityError(MODE_HEADER, f"{text!r} is not allowed; use full, read, write or off") from None


def read_owner(headers: Mapping[str, str], body: Mapping[str, Any], *, default_user: str, tenant: str) -> Owner:
    """The header, else the body's ``user``, ``safety_identifier`` or ``metadata.user_id``, else *default_user*; of *tenant*.

    Raises ``IdentityError`` for a header that is empty, and for a name that is no text, too long, or holds control characters.
    """
    if USER_HEADER in headers:
        return Owner(checked_name(USER_HEADER, headers[USER_HEADER]), tenant)
    metadata = body.get("metadata")
    candidates = {
        "user": body.get("user"),
        "safety_identifier": body.get("safety_identifier"),
        "metadata.user_id": metadata.get("user_id") if isinstance(metadata, dict) else None,
    }
    for source, name in candidates.items():
        if name is None or (isinstance(name, str) and not name.strip(_BLANKS)):
            continue
        if not isinstance(name, str):
            # Taken for the default user's, the memories of all who are numbered would be in one pool.
            raise IdentityError(source, "must be a string")
        return Owner(checked_name(source, name), tenant)
    return Owner(default_user, tenant)


def read_session(headers: Mapping[str, str]) -> str | None:
    """The header's conversation, or ``None`` if the messages must tell. Raises ``IdentityError``."""
    name = headers.get(SESSION_HEADER)
    return None if name is None else checked_name(SESSION_HEADER, name)


def checked_name(source: str, name: str) -> str:
    name = name.strip(_BLANKS)
    if not name:
        raise IdentityError(source, "is empty; leave it out or name somebody")
    try:
        size = len(name.encode("utf-8", "surrogateescape"))
        name = name.encode("utf-8", "surrogateescape").decode("utf-8")
    except UnicodeError:
        raise IdentityError(source, "must be UTF-8 text") from None
    if size > MAX_NAME_BYTES:
        raise IdentityError(source, f"is {size} bytes long; at most {MAX_NAME_BYTES} are allowed")
    if any(ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0 for char in name):
        raise IdentityError(source, "must not hold control characters")
    return name
