from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from proxy.core.models import Memory, Owner
from proxy.errors import StoreError
from proxy.memory.payload import to_memory, to_payload
from proxy.memory.store import digest

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ANN = Owner("ann", tenant="acme")
BARE = Memory(id=str(uuid4()), content="Likes tea", created_at=NOW, updated_at=NOW)


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


def test_an_empty_session_is_not_the_same_as_none() -> None:
    memory = replace(BARE, session="")
    assert to_memory([ANN.key], BARE.id, to_payload(ANN, memory)) == memory


@pytest.mark.parametrize(
    "payload", [None, {}, to_payload(Owner("ann"), BARE), to_payload(ANN, BARE) | {"owner": ["acme\x1fann"]}]
)
def test_a_point_of_another_owner_is_never_read(payload: dict[str, object] | None) -> None:
    with pytest.raises(StoreError, match="does not belong to"):
        to_memory([ANN.key, ANN.everyone.key], BARE.id, payload)


@pytest.mark.parametrize("fault", [{"created_at": "yesterday"}, {"created_at": None}, {"valid_until": 7}])
def test_a_point_that_is_no_memory_is_a_store_error(fault: dict[str, object]) -> None:
    with pytest.raises(StoreError, match="is not a memory"):
        to_memory([ANN.key], BARE.id, to_payload(ANN, BARE) | fault)
