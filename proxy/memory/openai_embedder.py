"""Embeddings over HTTP, from OpenAI or anything that speaks its ``/embeddings``.

The only importer of openai under ``memory/``; it takes half a second, so this file is imported when the settings ask for it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

# Not ours to use, but to be whole: openai's client takes it if it is loaded, also while another thread only begins to load it.
import httpx  # noqa: F401
from openai import APIStatusError, AsyncOpenAI
from openai.types import CreateEmbeddingResponse

from proxy.config import Embedding
from proxy.errors import EmbedError, map_exceptions
from proxy.memory.embedder import Kind, Vector, unit_vector

# Such answers may quote what was sent, and errors are logged.
_ABOUT_THE_INPUT = frozenset({400, 413, 422})

KNOWN_DIMENSIONS = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072, "text-embedding-ada-002": 1536}


class OpenAIModel:
    """A model behind a URL. Batches may overlap: waiting for an answer takes nothing here."""

    at_once = 4
    batch_chars = 1 << 20
    symmetric = True

    def __init__(self, client: AsyncOpenAI, name: str) -> None:
        self._client = client
        self._name = name
        self.dimensions = KNOWN_DIMENSIONS.get(name, 0)

    @classmethod
    @asynccontextmanager
    async def open(cls, config: Embedding) -> AsyncIterator[OpenAIModel]:
        """Asks the server how many dimensions its vectors have, unless the model is one of OpenAI's own."""
        # Without a key of ours the client would take OPENAI_API_KEY and send it to whatever address is set.
        key = config.api_key or "none"
        async with AsyncOpenAI(base_url=config.url, api_key=key, timeout=config.timeout_s, max_retries=1) as client:
            model = cls(client, config.model)
            if not model.dimensions:
                [warm] = await model.encode("query", ["warm"])
                model.dimensions = len(warm)
            yield model

    async def encode(self, kind: Kind, texts: Sequence[str]) -> list[Vector]:  # noqa: ARG002  the API makes no difference
        with map_exceptions({Exception: EmbedError}):
            answer = await self._ask(texts)
            items = sorted(answer.data, key=lambda item: item.index)
            return [unit_vector(item.embedding) for item, _ in zip(items, texts, strict=True)]

    async def _ask(self, texts: Sequence[str]) -> CreateEmbeddingResponse:
        try:
            return await self._client.embeddings.create(
                model=self._name,
                # OpenAI refuses a whole batch for one empty text.
                input=[text or " " for text in texts],
                # The client's own default, base64, is unknown to some servers.
                encoding_format="float",
            )
        except APIStatusError as exc:
            if exc.status_code not in _ABOUT_THE_INPUT:
                raise
            raise EmbedError(f"the embeddings API refused a text (status {exc.status_code})") from exc
