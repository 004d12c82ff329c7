"""The API keys that callers show, in each form in which OpenAI's clients send them.

``Authorization: Bearer …``, ``api-key`` and ``x-api-key`` (Azure and its like) and, from browsers, whose WebSockets can't
set headers, the subprotocol ``openai-insecure-api-key.…``.
A key is compared by its digest and in constant time, and told apart by its keyed hash; neither says what it is.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

AUTHORIZATION = "authorization"
_HEADERS = (AUTHORIZATION, "api-key", "x-api-key")
_PROTOCOLS = "sec-websocket-protocol"
_PROTOCOL_PREFIX = "openai-insecure-api-key."

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ShownKey:
    """A *key*, and the *header* (lower case) in which the upstream would expect it."""

    header: str
    key: str = field(repr=False)


def shown_keys(headers: Iterable[tuple[str, str]]) -> list[ShownKey]:
    """Every key in *headers*: of ``Authorization`` before the others', whatever their order is."""
    found = []
    for name, value in headers:
        low = name.lower()
        if low in _HEADERS:
            found.append(ShownKey(low, _without_scheme(value) if low == AUTHORIZATION else value.strip()))
        elif low == _PROTOCOLS:
            # Upstream it goes as a header: a server may answer with a subprotocol that it was offered, and so tell its key.
            keys = [word.removeprefix(_PROTOCOL_PREFIX) for word in _words(value) if _is_key(word)]
            found += [ShownKey(AUTHORIZATION, key) for key in keys]
    return sorted((each for each in found if each.key), key=lambda each: _HEADERS.index(each.header))


def replace_keys(headers: Iterable[tuple[str, str]], by: ShownKey | None) -> list[tuple[str, str]]:
    """*headers* without any key, but for *by*."""
    kept = []
    for name, value in headers:
        low = name.lower()
        if low == _PROTOCOLS:
            if words := [word for word in _words(value) if not _is_key(word)]:
                kept.append((name, ", ".join(words)))
        elif low not in _HEADERS:
            kept.append((name, value))
    if by is not None:
        kept.append((by.header, f"Bearer {by.key}" if by.header == AUTHORIZATION else by.key))
    return kept


class KeyRing(Generic[T]):
    """Finds what belongs to a key. How long that takes depends on how many keys there are, not on what they look like."""

    def __init__(self, entries: Iterable[tuple[str, T]]) -> None:
        self._entries: Sequence[tuple[bytes, T]] = [(_digest(key), value) for key, value in entries]

    def find(self, key: str) -> T | None:
        digest, found = _digest(key), None
        for known, value in self._entries:
            if hmac.compare_digest(known, digest):
                found = value
        return found


def tenant_of(key: str, secret: bytes) -> str:
    """The name of a caller's tenant, from which nobody learns the *key* who doesn't have the *secret* and the key."""
    return f"key-{hmac.digest(secret, _bytes(key), 'sha256').hex()}"


def _without_scheme(value: str) -> str:
    """The key of a bearer; other credentials, such as a user with a password, as a whole."""
    scheme, _, key = value.strip().partition(" ")
    return key.strip() if scheme.lower() == "bearer" else value.strip()


def _words(value: str) -> list[str]:
    return [stripped for word in value.split(",") if (stripped := word.strip())]


def _is_key(word: str) -> bool:
    return word.startswith(_PROTOCOL_PREFIX)


def _digest(key: str) -> bytes:
    return hashlib.sha256(_bytes(key)).digest()


def _bytes(key: str) -> bytes:
    return key.encode("utf-8", "surrogateescape")
