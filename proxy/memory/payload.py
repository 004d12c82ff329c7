"""A memory ⇄ the payload of its Qdrant point: what both stores write and read back.

Times are ISO 8601 in UTC, always with microseconds, so that their order as text is their order in time.
What is ``None``, empty or as for most is left out: small payloads are decoded faster, and no ``valid_until`` means that it never passes.
``valid_from`` is always there, so that one range finds what held at a time.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import UUID

from proxy.core.models import TYPE_OF, Memory, Owner, ScoredMemory
from proxy.errors import StoreError
from proxy.memory.embedder import Vector
from proxy.memory.spaces import DENSE, Space
from proxy.memory.store import Choice, Entry, Hit, Hits, Kept, digest

SPARSE = "sparse"
_POINT_ID = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""A UUID as Qdrant spells it."""


def to_payload(owner: Owner, memory: Memory) -> dict[str, Any]:
    """``owner`` is what searches filter on; ``tenant`` and ``user`` are its parts, for people who look into the collection."""
    fields = {
        "owner": owner.key,
        "tenant": owner.tenant,
        "user": owner.user,
        "content": memory.content,
        "digest": digest(memory.content),
        "type": memory.type,
        "importance": memory.importance,
        "scope": None if memory.scope == "user" else memory.scope,
        "session": memory.session,
        "metadata": _exact(memory.metadata),
        "created_at": to_text(memory.created_at),
        "updated_at": to_text(memory.updated_at),
        "valid_from": to_text(memory.valid_from or memory.created_at),
        "valid_until": memory.valid_until and to_text(memory.valid_until),
        "replaces": memory.replaces,
        "conflicts": list(memory.conflicts) or None,
        "access_count": memory.access_count or None,
        "last_accessed_at": memory.last_accessed_at and to_text(memory.last_accessed_at),
        "last_trace": memory.last_trace,
        "flagged": memory.flagged or None,
        "source": memory.source,
        "trace": memory.trace,
        "model": memory.model,
        "turns": list(memory.turns) or None,
        "speaker": memory.speaker,
        "reply": memory.reply,
        "key": memory.key,
    }
    return {name: value for name, value in fields.items() if value is not None}


def owner_keys(owner: Owner, *, shared: bool) -> list[str]:
    """What ``owner`` may be in a point that *owner* sees: its own key, and if *shared* everyone's."""
    return [owner.key, owner.everyone.key] if shared else [owner.key]


def to_memory(owners: Sequence[str], point_id: object, payload: Mapping[str, Any] | None) -> Memory:
    """The memory in a point that was found for one of the keys *owners*. ``StoreError`` if it is another's, or no memory."""
    if payload is None or payload.get("owner") not in owners:
        raise StoreError(f"point {point_id} came back for an owner that it does not belong to")
    try:
        return _read(str(point_id), payload)
    except (KeyError, TypeError, ValueError) as exc:
        raise StoreError(f"point {point_id} is not a memory: {exc!r}") from exc


def to_owner(point_id: object, payload: Mapping[str, Any] | None) -> Owner:
    """Whose the point is."""
    try:
        fields = payload or {}
        return Owner(fields["user"], fields["tenant"])
    except KeyError as exc:
        raise StoreError(f"point {point_id} is not a memory: {exc!r}") from exc


def to_kept(point_id: object, payload: Mapping[str, Any] | None, vectors: Any, name: str = DENSE) -> Kept:
    """The memory in a point, whoever's it is; with its dense vector if that is among *vectors*, under *name*."""
    owner = to_owner(point_id, payload)
    return Kept(owner, to_memory([owner.key], point_id, payload), (vectors or {}).get(name, ()))


def next_id(after: str | None) -> str | None:
    """The lowest id that comes behind *after* in the order of ids."""
    return None if after is None else str(UUID(int=UUID(after).int + 1))


def _read(memory_id: str, payload: Mapping[str, Any]) -> Memory:
    return Memory(
        id=memory_id,
        content=payload["content"],
        type=payload.get("type") or _type_of_category(payload.get("category")),
        importance=payload["importance"],
        scope=payload.get("scope", "user"),
        session=payload.get("session"),
        metadata=_metadata(payload.get("metadata", {})),
        created_at=datetime.fromisoformat(payload["created_at"]),
        updated_at=datetime.fromisoformat(payload["updated_at"]),
        valid_from=_valid_from(payload),
        valid_until=_time(payload.get("valid_until")),
        replaces=payload.get("replaces"),
        conflicts=tuple(payload.get("conflicts", ())),
        access_count=payload.get("access_count", 0),
        last_accessed_at=_time(payload.get("last_accessed_at")),
        last_trace=payload.get("last_trace"),
        flagged=payload.get("flagged", False),
        source=payload["source"],
        trace=payload.get("trace"),
        model=payload.get("model"),
        turns=tuple(payload.get("turns", ())),
        speaker=payload.get("speaker"),
        reply=payload.get("reply"),
        key=payload.get("key"),
    )


def _exact(metadata: Mapping[str, Any]) -> dict[str, Any] | str | None:
    """Qdrant reads back fractions such as 0.30000000000000004 a little off; as text they stay as they are."""
    return json.dumps(metadata) if _has_fraction(metadata) else dict(metadata) or None


def _has_fraction(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_has_fraction, value.values()))
    return any(map(_has_fraction, value)) if isinstance(value, list) else isinstance(value, float)


def _metadata(value: Any) -> dict[str, Any]:
    metadata: dict[str, Any] = json.loads(value) if isinstance(value, str) else value
    return metadata


def _type_of_category(category: str | None) -> str:
    """For points that were written before there were types."""
    return TYPE_OF.get(category or "", "semantic")


def _valid_from(payload: Mapping[str, Any]) -> datetime | None:
    text = payload.get("valid_from")
    return None if text == payload["created_at"] else _time(text)


def to_text(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="microseconds")


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def in_order(ids: Sequence[str], memories: Iterable[Memory]) -> list[Memory]:
    """*memories* in the order of their *ids*, each once."""
    by_id = {memory.id: memory for memory in memories}
    return [by_id[each] for each in dict.fromkeys(ids) if each in by_id]


class _Point(Protocol):
    """A point that was read, of either store."""

    @property
    def vector(self) -> Any: ...


class _DenseVector:
    """That of a point in a space, made when it is first looked at: few are, and its floats take longer than the rest of the point."""

    __slots__ = ("_point", "_space", "_vector")

    def __init__(self, point: _Point, space: Space) -> None:
        self._point = point
        self._space = space
        self._vector: Vector | None = None

    def __call__(self) -> Vector:
        """Empty if it has none."""
        if self._vector is None:
            self._vector = (self._point.vector or {}).get(self._space.vector, ())
        return self._vector


def chosen(choices: Sequence[Choice], memories: Sequence[Memory], points: Sequence[_Point], space: Space) -> list[ScoredMemory]:
    """The *memories* of *points*, with the scores of their *choices*, in their order; what has just been deleted is left out."""
    by_id = {memory.id: (memory, point) for memory, point in zip(memories, points, strict=True)}
    found = [(each, *by_id[each.id]) for each in choices if each.id in by_id]
    return [ScoredMemory(memory, each.score, each.scores, _DenseVector(point, space)) for each, memory, point in found]


def by_name(names: Collection[str], lists: Sequence[list[Hit]]) -> list[dict[str, list[Hit]]]:
    """*lists*, which are one of each of *names* for the first filter, then for the second, and so on. ``ValueError`` if one is missing."""
    return [dict(zip(names, lists[at : at + len(names)], strict=True)) for at in range(0, len(lists), len(names))]


def to_hits(lists: Sequence[Mapping[str, list[Hit]]]) -> Hits:
    """From those of memories, then those of turns if they were looked for, by the name of the vector that was compared."""
    return Hits(*(each.get(name, []) for each in lists for name in (DENSE, SPARSE)))


def point_ids(ids: Iterable[str]) -> list[str]:
    """Those of *ids* that a point can have; nobody has a memory with any other, so asking for one finds nothing."""
    return [each for each in ids if _POINT_ID.fullmatch(each)]


def check_entries(entries: Iterable[Entry], dimensions: int) -> None:
    """``StoreError`` for what the stores would take, each in its own way, and suffer from later: NaN disturbs every search."""
    for entry in entries:
        fault = _fault(entry, dimensions)
        if fault is not None:
            raise StoreError(f"memory {entry.memory.id!r} {fault}")


def _fault(entry: Entry, dimensions: int) -> str | None:
    if not _POINT_ID.fullmatch(entry.memory.id):
        return "has an id that is not a UUID"
    if len(entry.vector) != dimensions:
        return f"has a vector of {len(entry.vector)} dimensions, not {dimensions}"
    if not math.isfinite(sum(entry.vector)):
        return "has a vector that is not made of numbers"
    if not all(map(_is_text, (entry.memory.content, entry.memory.speaker or "", entry.memory.reply or ""))):
        return "has half a surrogate pair in its text"
    return None


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
