"""A memory as the memory API gives it, and back; ``bodies.MemoryRecord`` describes the form."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import orjson

from proxy.core.models import Memory, Owner, ScoredMemory
from proxy.memory.curation import value_of
from proxy.web.api.bodies import MemoryRecord


def render(owner: Owner, memory: Memory) -> dict[str, Any]:
    """As ``bodies.MemoryRecord``."""
    return {
        "id": memory.id,
        "object": "memory",
        "user": owner.user,
        "tenant": owner.tenant,
        "content": memory.content,
        "category": "turn" if memory.is_turn else memory.category,
        "type": memory.type,
        "importance": memory.importance,
        "session": memory.session,
        "scope": memory.scope,
        "metadata": memory.metadata,
        "created_at": memory.created_at,
        "updated_at": memory.updated_at,
        "valid_from": memory.valid_from or memory.created_at,
        "valid_until": memory.valid_until,
        "replaces": memory.replaces,
        "conflicts": memory.conflicts,
        "access_count": memory.access_count,
        "last_accessed_at": memory.last_accessed_at,
        "source": memory.source,
        "key": memory.key,
        "flagged": memory.flagged,
        "trace": memory.trace,
        "last_trace": memory.last_trace,
        "model": memory.model,
        "turns": memory.turns,
        "speaker": memory.speaker,
        "reply": memory.reply,
    }


def render_all(owner: Owner, memories: Sequence[Memory]) -> list[dict[str, Any]]:
    return [render(_whose(owner, each), each) for each in memories]


def render_found(owner: Owner, found: Sequence[ScoredMemory]) -> list[dict[str, Any]]:
    return [
        {**render(_whose(owner, each.memory), each.memory), "score": each.score, "scores": asdict(each.scores)} for each in found
    ]


def render_fact(owner: Owner, memory: Memory) -> dict[str, Any]:
    """As ``bodies.FactRecord``."""
    return {
        "key": memory.key,
        "object": "fact",
        "value": value_of(memory),
        "user": owner.user,
        "tenant": owner.tenant,
        "id": memory.id,
        "importance": memory.importance,
        "metadata": memory.metadata,
        "created_at": memory.created_at,
        "updated_at": memory.updated_at,
        "valid_from": memory.valid_from or memory.created_at,
        "valid_until": memory.valid_until,
    }


def to_memory(record: MemoryRecord) -> Memory:
    """The memory that *record* describes; its category follows from its type."""
    return Memory(
        id=record.id,
        content=record.content,
        created_at=record.created_at,
        updated_at=record.updated_at,
        type=record.type,
        importance=record.importance,
        scope=record.scope,
        session=record.session,
        metadata=record.metadata,
        valid_from=None if record.valid_from == record.created_at else record.valid_from,
        valid_until=record.valid_until,
        replaces=record.replaces,
        conflicts=tuple(record.conflicts),
        access_count=record.access_count,
        last_accessed_at=record.last_accessed_at,
        last_trace=record.last_trace,
        flagged=record.flagged,
        source=record.source,
        trace=record.trace,
        model=record.model,
        turns=tuple(record.turns),
        speaker=record.speaker,
        reply=record.reply,
        key=record.key,
    )


def etag(memory: Memory) -> str:
    """Another whenever anything of *memory* is."""
    state = orjson.dumps(memory, default=str, option=orjson.OPT_SORT_KEYS)
    return f'"{hashlib.blake2b(state, digest_size=12).hexdigest()}"'


def _whose(owner: Owner, memory: Memory) -> Owner:
    """What all users of a tenant share is nobody's."""
    return owner.everyone if memory.scope == "global" else owner
