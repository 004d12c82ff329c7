"""The parts that the engine is tested with: a real store, owners that nobody else has, an embedder that counts words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest
from qdrant_client import AsyncQdrantClient

from proxy import config
from proxy.core.models import Owner
from proxy.memory.edge import Bm25Encoder, EdgeStore
from proxy.memory.qdrant import QdrantStore
from proxy.memory.store import MemoryStore
from tests.fakes import DIMENSIONS, WordEmbedder


@pytest.fixture(scope="session")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EdgeStore]:
    """One for all tests, as opening it is most of what a test would take; owners keep them apart."""
    store = EdgeStore(tmp_path_factory.mktemp("edge"), DIMENSIONS, Bm25Encoder(), flush_interval_s=3600)
    asyncio.run(store.open())
    yield store
    asyncio.run(store.close())


@pytest.fixture
async def qdrant() -> AsyncIterator[QdrantStore]:
    """The server's, without a server."""
    client = AsyncQdrantClient(":memory:")
    yield QdrantStore(client, config.Store(), DIMENSIONS, Bm25Encoder())
    await client.close()


@pytest.fixture(params=["edge", "qdrant"])
def both(request: pytest.FixtureRequest, edge: EdgeStore, qdrant: QdrantStore) -> MemoryStore:
    """Each of the two, one after the other."""
    return edge if request.param == "edge" else qdrant


@pytest.fixture
def ann() -> Owner:
    return Owner(f"ann {uuid4()}")


@pytest.fixture
def ben() -> Owner:
    return Owner(f"ben {uuid4()}")


@pytest.fixture
async def embedder() -> WordEmbedder:
    return WordEmbedder()
