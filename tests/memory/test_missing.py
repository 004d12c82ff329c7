"""What stands in for what could not be opened."""

import inspect
from datetime import UTC, datetime

import pytest

from proxy.core.models import Owner
from proxy.errors import StoreError
from proxy.memory.store import MemoryStore, Query
from tests.fakes import look
from tests.missing import MissingStore

ANN = Owner("ann")


async def test_every_call_to_the_store_says_why():
    store = MissingStore("the disk is full")
    calls = [
        *[look(store, ANN, Query("q", None), limit=1), store.upsert(ANN, []), store.get(ANN, []), store.find(ANN, [])],
        *[store.list(ANN, limit=1), store.delete(ANN, []), store.count(None), store.touch(), store.revise(ANN, [])],
        *[store.erase(ANN), store.purge(), store.owners_of(["i"]), store.scan(None, limit=1)],
        store.expired(datetime.now(UTC), datetime.now(UTC), None, limit=1),
    ]
    for call in calls:
        with pytest.raises(StoreError, match=r"\Athe disk is full\Z"):
            await call
    assert len(calls) == len(_calls(MemoryStore))


def _calls(protocol: type) -> list[str]:
    return [name for name, _ in inspect.getmembers(protocol, inspect.isfunction) if not name.startswith("_")]
