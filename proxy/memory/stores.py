"""From the settings to a store that is open."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from proxy.config import Embedding, Store
from proxy.memory.reembedding import Reembeddable


def open_store(
    config: Store, dimensions: int | None, embedding: Embedding | None = None
) -> AbstractAsyncContextManager[Reembeddable]:
    """The store that *config* asks for, with vectors of *dimensions*, closed on leaving. Raises ``StoreError``.

    *embedding*: they must be of its model. Without *dimensions* the store is taken as it is, and must be there.
    """
    from proxy.memory.edge import Bm25Encoder, open_edge

    if config.kind == "qdrant":
        # Two seconds of imports, which the embedded store does without.
        from proxy.memory.qdrant import open_qdrant

        return open_qdrant(config, dimensions, Bm25Encoder(), embedding)
    return open_edge(config, dimensions, Bm25Encoder(), embedding)
