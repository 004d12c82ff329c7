"""Whose and which memories are meant, in a Qdrant server's words. ``owner_filter`` is the one place where it learns whose."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from qdrant_client import models

from proxy.core.models import MEMORY_TYPES, TURN, Owner
from proxy.memory import clock
from proxy.memory.payload import owner_keys, point_ids
from proxy.memory.spaces import Space
from proxy.memory.store import Query, Which


def owner_filter(owner: Owner, *, shared: bool = False) -> models.Filter:
    """The one place where the server learns whose memories are meant: *owner*'s, and if *shared* everyone's."""
    return models.Filter(must=[any_of("owner", owner_keys(owner, shared=shared))])


def search_filters(owner: Owner, query: Query) -> list[models.Filter]:
    """Of *owner*'s memories, of shared ones, and of turns if they are looked for.

    Two for memories: owners' graphs are not connected, so a search of two owners would stay in the first that it enters.
    """
    own, shared = owner_filter(owner), owner_filter(owner.everyone)
    memories = [_seen_by(own, query, query.types), _seen_by(shared, query, query.types)]
    return [*memories, _seen_by(own, query, (TURN,))] if query.turns else memories


def _seen_by(owned: models.Filter, query: Query, types: Sequence[str]) -> models.Filter:
    """What held at the time that is meant, and is not for another session only."""
    begun = [] if query.as_of is None else [_until("valid_from", query.as_of)]
    hidden = [_until("valid_until", query.as_of or clock.now()), _of_another_session(query.session)]
    return models.Filter(must=[owned, _of_types(types), *_made(query), *begun], must_not=hidden)


def filter_of(whose: Owner | str | None) -> models.Filter | None:
    """Of an owner, of all of a tenant, or everybody's."""
    if isinstance(whose, Owner):
        return owner_filter(whose)
    return None if whose is None else models.Filter(must=[_is("tenant", whose)])


def which_filter(owner: Owner, which: Which) -> models.Filter:
    owned = owner_filter(owner, shared=which.shared)
    begun = [] if which.as_of is None else [_until("valid_from", which.as_of)]
    named = [_is(field, value) for field, value in (("session", which.session), ("key", which.key)) if value is not None]
    past = [] if which.past else [_until("valid_until", which.as_of or clock.now())]
    return models.Filter(must=[owned, _of_types(which.types), *_made(which), *named, *begun], must_not=past)


def _made(which: Which | Query) -> list[models.Condition]:
    """When, and how important."""
    begun = [] if which.since is None else [_since("created_at", which.since)]
    ended = [] if which.until is None else [_until("created_at", which.until)]
    weighty = [] if which.min_importance is None else [_at_least("importance", which.min_importance)]
    return [*begun, *ended, *weighty]


def _of_types(types: Sequence[str]) -> models.Filter:
    """What has no type, or one that we don't know, is a memory."""
    if not {*MEMORY_TYPES} <= {*types}:
        return models.Filter(must=[any_of("type", types)])
    return models.Filter(must_not=[] if TURN in types else [_is("type", TURN)])


def _of_another_session(session: str | None) -> models.Condition:
    return models.Filter(must=[_is("scope", "session")], must_not=[] if session is None else [_is("session", session)])


def _is(field: str, value: str) -> models.Condition:
    return models.FieldCondition(key=field, match=models.MatchValue(value=value))


def any_of(field: str, values: Sequence[str]) -> models.Condition:
    return models.FieldCondition(key=field, match=models.MatchAny(any=[*values]))


def _until(field: str, time: datetime) -> models.Condition:
    return models.FieldCondition(key=field, range=models.DatetimeRange(lte=time))


def _since(field: str, time: datetime) -> models.Condition:
    return models.FieldCondition(key=field, range=models.DatetimeRange(gte=time))


def _at_least(field: str, least: float) -> models.Condition:
    return models.FieldCondition(key=field, range=models.Range(gte=least))


def with_ids(owner: Owner, ids: Sequence[str], *, shared: bool = False) -> models.Filter:
    return models.Filter(must=[owner_filter(owner, shared=shared), models.HasIdCondition(has_id=[*point_ids(ids)])])


def owned_by_others(owner: Owner, ids: Sequence[str]) -> models.Filter:
    return models.Filter(must=[models.HasIdCondition(has_id=[*ids])], must_not=[owner_filter(owner)])


def without_vector(space: Space) -> models.Filter:
    return models.Filter(must_not=[models.HasVectorCondition(has_vector=space.vector)])


def ended_between(begin: datetime, end: datetime) -> models.Filter:
    """Whoever's it is, what ended after *begin*, and at *end* at the latest."""
    return models.Filter(must=[_until("valid_until", end)], must_not=[_until("valid_until", begin)])
