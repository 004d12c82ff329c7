"""Whose and which memories are meant, in the words of Qdrant Edge. ``owner_filter`` is the one place where it learns whose.

A filter within a filter takes the library longer to read than all of its conditions do, so there are as few as can be.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import qdrant_edge

from proxy.core.models import MEMORY_TYPES, TURN, Owner
from proxy.memory import clock
from proxy.memory.payload import owner_keys, point_ids, to_text
from proxy.memory.spaces import Space
from proxy.memory.store import Query, Which

Conditions = Iterable["qdrant_edge.ConditionType"]


def owner_filter(owner: Owner, *, shared: bool = False, must: Conditions = (), must_not: Conditions = ()) -> qdrant_edge.Filter:
    """The one place where the embedded store learns whose memories are meant: *owner*'s, and if *shared* everyone's."""
    owned = [_is("owner", key) for key in owner_keys(owner, shared=shared)]
    return qdrant_edge.Filter(should=owned, must=[*must], must_not=[*must_not])


def search_filters(owner: Owner, query: Query) -> list[qdrant_edge.Filter]:
    """Of memories, the shared ones too, and of turns if they are looked for."""
    memories = _seen_by(owner, query, query.types, shared=True)
    return [memories, _seen_by(owner, query, (TURN,), shared=False)] if query.turns else [memories]


def _seen_by(owner: Owner, query: Query, types: Sequence[str], *, shared: bool) -> qdrant_edge.Filter:
    """What held at the time that is meant, and is not for another session only."""
    begun = [] if query.as_of is None else [_until("valid_from", query.as_of)]
    hidden = [_until("valid_until", query.as_of or clock.now()), _of_another_session(query.session)]
    return owner_filter(
        owner,
        shared=shared,
        must=[*_of_types(types), *_made(query), *begun],
        must_not=[*hidden, *_of_no_types(types)],
    )


def filter_of(whose: Owner | str | None) -> qdrant_edge.Filter | None:
    """Of an owner, of all of a tenant, or everybody's."""
    if isinstance(whose, Owner):
        return owner_filter(whose)
    return None if whose is None else qdrant_edge.Filter(must=[_is("tenant", whose)])


def which_filter(owner: Owner, which: Which) -> qdrant_edge.Filter:
    begun = [] if which.as_of is None else [_until("valid_from", which.as_of)]
    named = [_is(field, value) for field, value in (("session", which.session), ("key", which.key)) if value is not None]
    past = [] if which.past else [_until("valid_until", which.as_of or clock.now())]
    return owner_filter(
        owner,
        shared=which.shared,
        must=[*_of_types(which.types), *_made(which), *named, *begun],
        must_not=[*past, *_of_no_types(which.types)],
    )


def _made(which: Which | Query) -> list[qdrant_edge.ConditionType]:
    """When, and how important."""
    begun = [] if which.since is None else [_since("created_at", which.since)]
    ended = [] if which.until is None else [_until("created_at", which.until)]
    weighty = [] if which.min_importance is None else [_at_least("importance", which.min_importance)]
    return [*begun, *ended, *weighty]


def _of_types(types: Sequence[str]) -> Conditions:
    return [] if _all_memories(types) else [any_of("type", types)]


def _of_no_types(types: Sequence[str]) -> Conditions:
    return [_is("type", TURN)] if _all_memories(types) and TURN not in types else []


def _all_memories(types: Sequence[str]) -> bool:
    """Then what has no type, or one that we don't know, is meant too: it is a memory."""
    return {*MEMORY_TYPES} <= {*types}


def _of_another_session(session: str | None) -> qdrant_edge.ConditionType:
    return qdrant_edge.Filter(must=[_is("scope", "session")], must_not=[] if session is None else [_is("session", session)])


def _is(field: str, value: str) -> qdrant_edge.ConditionType:
    return qdrant_edge.FieldCondition(field, match=qdrant_edge.MatchValue(value))


def any_of(field: str, values: Sequence[str]) -> qdrant_edge.ConditionType:
    return qdrant_edge.FieldCondition(field, match=qdrant_edge.MatchAny([*values]))


def _until(field: str, time: datetime) -> qdrant_edge.ConditionType:
    return qdrant_edge.FieldCondition(field, range=qdrant_edge.RangeDateTime(lte=to_text(time)))


def _since(field: str, time: datetime) -> qdrant_edge.ConditionType:
    return qdrant_edge.FieldCondition(field, range=qdrant_edge.RangeDateTime(gte=to_text(time)))


def _at_least(field: str, least: float) -> qdrant_edge.ConditionType:
    return qdrant_edge.FieldCondition(field, range=qdrant_edge.RangeFloat(gte=least))


def with_ids(owner: Owner, ids: Sequence[str], *, shared: bool = False) -> qdrant_edge.Filter:
    return owner_filter(owner, shared=shared, must=[qdrant_edge.HasIdCondition(set(point_ids(ids)))])


def owned_by_others(owner: Owner, ids: Sequence[str]) -> qdrant_edge.Filter:
    return qdrant_edge.Filter(must=[qdrant_edge.HasIdCondition(set(ids))], must_not=[owner_filter(owner)])


def without_vector(space: Space) -> qdrant_edge.Filter:
    return qdrant_edge.Filter(must_not=[qdrant_edge.HasVectorCondition(space.vector)])


def ended_between(begin: datetime, end: datetime) -> qdrant_edge.Filter:
    """Whoever's it is, what ended after *begin*, and at *end* at the latest."""
    return qdrant_edge.Filter(must=[_until("valid_until", end)], must_not=[_until("valid_until", begin)])
