"""Where in which conversation a turn stands, or a memory was said: both can be read from its id.

Ranking needs neighbours and sessions of a hundred hits, and reading a hundred payloads costs more than the search does.
So the ids of turns and of what was extracted from them are UUIDs of version 8 (RFC 9562, 5.8: free to be filled) with
60 bits of the conversation, 32 of the place in it, and 30 that are 0 for the turn itself and a hash for a memory in its answer.
Any other UUID is a memory that has no place, such as one that was imported.
"""

from __future__ import annotations

import hashlib
from uuid import UUID

from proxy.core.models import Owner

LAST_PLACE = 2**32 - 1
_VERSION = "8"
_VARIANT = 0x8000
_TURN = ("8000", "0000")

_CONVERSATION = UUID("ffffffff-ffff-0fff-0000-000000000000").int
_FIXED = UUID("00000000-0000-f000-c000-000000000000").int
"""The bits of a UUID that say its version and variant."""


def conversation(owner: Owner, session: str) -> str:
    """15 hex digits that name *session* of *owner*."""
    return hashlib.blake2b(f"{owner.key}\x1f{session}".encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()[:15]


def turn_id(conversation: str, at: int) -> str:
    """The id of the turn at place *at*, from 0, in *conversation*."""
    return _id(conversation, at, *_TURN)


def memory_id(turn: str, content: str) -> str:
    """The id of a memory with *content* that was extracted from the answer to *turn*."""
    hashed = hashlib.blake2b(content.encode("utf-8", "surrogatepass"), digest_size=4).digest()
    item = int.from_bytes(hashed) >> 2 or 1
    return _id(conversation_of(turn), place_of(turn), f"{_VARIANT | item >> 16:04x}", f"{item & 0xFFFF:04x}")


def has_place(id_: str) -> bool:
    return id_[14:15] == _VERSION


def is_turn(id_: str) -> bool:
    return has_place(id_) and (id_[19:23], id_[32:]) == _TURN


def conversation_of(id_: str) -> str:
    """For ids that have a place; as ``conversation`` made it."""
    return id_[:8] + id_[9:13] + id_[15:18]


def place_of(id_: str) -> int:
    """For ids that have a place."""
    return int(id_[24:32], 16)


def turn_of(id_: str) -> str:
    """The id of the turn in whose answer the memory was; that of a turn is its own."""
    return f"{id_[:19]}{_TURN[0]}-{id_[24:32]}{_TURN[1]}"


def moved(source: Owner, target: Owner, id_: str) -> str:
    """The id that *target*'s copy has of what *source* has under *id_*: another, and on the way back the same again.

    What has a place is as far behind the others of its conversation as it was.
    """
    mask = _mask(source) ^ _mask(target)
    number = UUID(id_).int ^ (mask & _CONVERSATION if has_place(id_) else mask & ~_FIXED)
    return str(UUID(int=number))


def _mask(owner: Owner) -> int:
    hashed = hashlib.blake2b(owner.key.encode("utf-8", "surrogatepass"), digest_size=16, person=b"copy").digest()
    return int.from_bytes(hashed)


def beside(turn: str, by: int) -> str | None:
    """The id that the turn *by* places behind *turn* has, if it is there; ``None`` before the first."""
    at = place_of(turn) + by
    return turn_id(conversation_of(turn), at) if 0 <= at <= LAST_PLACE else None


def _id(conversation: str, at: int, upper: str, lower: str) -> str:
    return f"{conversation[:8]}-{conversation[8:12]}-{_VERSION}{conversation[12:]}-{upper}-{at:08x}{lower}"
