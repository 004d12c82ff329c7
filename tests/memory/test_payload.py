import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.models import MEMORY_TYPES, TURN, Memory, Owner
from proxy.errors import StoreError
from proxy.memory.payload import owner_keys, to_memory, to_payload
from proxy.memory.store import digest

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ANN = Owner("ann", tenant="acme")
BARE = Memory(id=str(uuid4()), content="Likes tea", created_at=NOW, updated_at=NOW)
OURS = [ANN.key, ANN.everyone.key]

ZONES = st.just(UTC) | st.integers(-14, 14).map(lambda hours: timezone(timedelta(hours=hours)))
TIMES = st.datetimes(datetime(1900, 1, 1), datetime(2900, 1, 1), timezones=ZONES)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
IDS = st.lists(st.uuids().map(str), max_size=3).map(tuple)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
)
MEMORIES = st.builds(
    Memory,
    id=st.uuids().map(str),
    content=TEXTS,
    created_at=TIMES,
    updated_at=TIMES,
    type=st.sampled_from([*MEMORY_TYPES, TURN]),
    importance=st.floats(0, 1),
    scope=st.sampled_from(["user", "session", "global"]),
    session=st.none() | TEXTS,
    metadata=st.dictionaries(TEXTS, JSON, max_size=3),
    valid_from=st.none() | TIMES,
    valid_until=st.none() | TIMES,
    replaces=st.none() | st.uuids().map(str),
    conflicts=IDS,
    access_count=st.integers(0, 2**31),
    last_accessed_at=st.none() | TIMES,
    flagged=st.booleans(),
    source=TEXTS,
    trace=st.none() | TEXTS,
    last_trace=st.none() | TEXTS,
    model=st.none() | TEXTS,
    turns=IDS,
    speaker=st.none() | TEXTS,
    reply=st.none() | TEXTS,
)


@given(MEMORIES)
def test_every_memory_comes_back_as_it_was(memory: Memory) -> None:
    written = json.loads(json.dumps(to_payload(ANN, memory)))
    since_it_was_made = memory.valid_from == memory.created_at
    expected = replace(memory, valid_from=None) if since_it_was_made else memory
    assert to_memory(OURS, memory.id, written) == expected


def test_numbers_come_back_to_the_last_bit() -> None:
    """Qdrant Edge reads one in four of such fractions back a little off, if they are numbers in the payload."""
    metadata = {"a": [0.1 + 0.2, {"b": 5e-324}], "c": 1, "d": 1.0, "e": True}
    written = to_payload(ANN, replace(BARE, metadata=metadata))
    assert isinstance(written["metadata"], str)
    assert repr(to_memory(OURS, BARE.id, written).metadata) == repr(metadata)
    assert to_payload(ANN, replace(BARE, metadata={"c": 1}))["metadata"] == {"c": 1}


def test_what_is_not_set_is_left_out() -> None:
    assert to_payload(ANN, BARE) == {
        "owner": "acme\x1fann",
        "tenant": "acme",
        "user": "ann",
        "content": "Likes tea",
        "digest": digest("Likes tea"),
        "type": "semantic",
        "importance": 0.5,
        "created_at": "2026-03-01T00:00:00.000000+00:00",
        "updated_at": "2026-03-01T00:00:00.000000+00:00",
        "valid_from": "2026-03-01T00:00:00.000000+00:00",
        "source": "chat",
    }


def test_it_holds_since_it_was_made_unless_it_says_otherwise() -> None:
    told = replace(BARE, valid_from=NOW - timedelta(days=1))
    assert to_payload(ANN, BARE)["valid_from"] == "2026-03-01T00:00:00.000000+00:00"
    assert to_payload(ANN, told)["valid_from"] == "2026-02-28T00:00:00.000000+00:00"
    assert to_memory(OURS, BARE.id, to_payload(ANN, replace(BARE, valid_from=NOW))) == BARE


@pytest.mark.parametrize(
    ("category", "type_"),
    [("preference", "preference"), ("fact", "semantic"), ("context", "contextual"), ("mood", "semantic"), (None, "semantic")],
)
def test_a_point_without_a_type_has_that_of_its_category(category: str | None, type_: str) -> None:
    older = {key: value for key, value in to_payload(ANN, BARE).items() if key not in ("type", "valid_from")}
    assert to_memory(OURS, BARE.id, older | {"category": category}) == replace(BARE, type=type_)


def test_everyones_point_is_read_only_where_it_is_looked_for() -> None:
    shared = to_payload(ANN.everyone, BARE)
    assert to_memory(owner_keys(ANN, shared=True), BARE.id, shared) == BARE
    with pytest.raises(StoreError, match="does not belong to"):
        to_memory(owner_keys(ANN, shared=False), BARE.id, shared)


def test_an_empty_session_is_not_the_same_as_none() -> None:
    memory = replace(BARE, session="")
    assert to_memory(OURS, BARE.id, to_payload(ANN, memory)) == memory


@pytest.mark.parametrize(
    "payload",
    [
        None,
        {},
        to_payload(Owner("ann"), BARE),
        to_payload(Owner("ann").everyone, BARE),
        to_payload(ANN, BARE) | {"owner": ["acme\x1fann"]},
    ],
)
def test_a_point_of_another_owner_is_never_read(payload: dict[str, object] | None) -> None:
    with pytest.raises(StoreError, match="does not belong to"):
        to_memory(OURS, BARE.id, payload)


@pytest.mark.parametrize("fault", [{"created_at": "yesterday"}, {"created_at": None}, {"valid_until": 7}])
def test_a_point_that_is_no_memory_is_a_store_error(fault: dict[str, object]) -> None:
    with pytest.raises(StoreError, match="is not a memory"):
        to_memory(OURS, BARE.id, to_payload(ANN, BARE) | fault)
