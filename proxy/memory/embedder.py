"""Texts to vectors: the protocol, and the model that runs here.

The only importer of fastembed, which takes a second and 50 MB to import: that happens when a model is opened, not before.
"""

from __future__ import annotations

import asyncio
import difflib
import math
import os
from array import array
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from proxy.config import Embedding
from proxy.errors import ConfigError, EmbedError, map_exceptions

if TYPE_CHECKING:
    from fastembed import TextEmbedding

Vector = Sequence[float]

Kind = Literal["query", "document"]
KINDS: tuple[Kind, Kind] = ("query", "document")
"""What a text is for: some models embed a question and its answer differently."""


@dataclass(frozen=True, slots=True)
class Load:
    """Texts that *wait* to be embedded now, and how many were since the start, by what they are for."""

    waiting: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    embedded: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))


class Embedder(Protocol):
    """Texts → unit-length vectors of ``dimensions`` floats. Raises ``EmbedError``; never blocks the event loop."""

    @property
    def name(self) -> str: ...
    @property
    def dimensions(self) -> int: ...
    @property
    def load(self) -> Load: ...

    async def embed_query(self, text: str) -> Vector:
        """The vector of something to search with."""

    async def embed_documents(self, texts: Sequence[str]) -> list[Vector]:
        """The vectors of things to be found, in the order of *texts*."""

    async def touch(self) -> None:
        """Raise ``EmbedError`` unless the model itself answers now."""


def unit_vector(values: Sequence[float]) -> Vector:
    """*values* at length 1, as four-byte floats. Raises ``EmbedError`` if they point nowhere (all zero, NaN, infinite)."""
    length = math.hypot(*values)
    if not 0 < length < math.inf:
        raise EmbedError(f"the model's vector has the length {length}")
    return array("f", [value / length for value in values])


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model of fastembed's list: its repository on the hub, the file to load, and further files that belong to that."""

    repository: str
    main: str
    others: tuple[str, ...] = ()


def model_files(name: str) -> ModelFiles:
    """Raises ``ConfigError`` for a model that fastembed doesn't know."""
    from fastembed import TextEmbedding

    known = {model["model"]: model for model in TextEmbedding.list_supported_models()}
    found = {each.lower(): model for each, model in known.items()}.get(name.lower())
    if found is None:
        nearest = ", ".join(difflib.get_close_matches(name, known, n=3, cutoff=0))
        raise ConfigError(f"embedding.model: fastembed has no model {name!r}; use one of its {len(known)}, such as {nearest}")
    return ModelFiles(found["sources"]["hf"], found["model_file"], tuple(found["additional_files"]))


class FastEmbedModel:
    """A model of fastembed in a thread of its own. One batch at a time: more threads would only share the same cores."""

    at_once = 1
    batch_chars = 1024
    """About 256 tokens, 50 ms on one core: as long as a query may have to wait behind documents.

    Larger batches are no faster, as 200 tokens keep a core's arithmetic busy, and onnxruntime never gives back what they took.
    """

    def __init__(self, model: _Loaded, thread: ThreadPoolExecutor, *, dimensions: int, symmetric: bool) -> None:
        self._model = model
        self._thread = thread
        self.dimensions = dimensions
        self.symmetric = symmetric

    @classmethod
    @asynccontextmanager
    async def open(cls, config: Embedding, folder: Path) -> AsyncIterator[FastEmbedModel]:
        """The model whose files are in *folder*, loaded and warm."""
        with ThreadPoolExecutor(1, thread_name_prefix="embedder") as thread:
            loop = asyncio.get_running_loop()
            model = await loop.run_in_executor(thread, _load, config, folder)
            # Some models are told which of the two a text is.
            [query], [document] = [await loop.run_in_executor(thread, model.encode, kind, ["warm"]) for kind in KINDS]
            yield cls(model, thread, dimensions=len(query), symmetric=query == document)

    async def encode(self, kind: Kind, texts: Sequence[str]) -> list[Vector]:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._model.encode, kind, texts)


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A model that is given *together* texts at once, padded to the longest."""

    model: TextEmbedding
    together: int

    def encode(self, kind: Kind, texts: Sequence[str]) -> list[Vector]:
        embed = self.model.query_embed if kind == "query" else self.model.passage_embed
        with map_exceptions({Exception: EmbedError}):
            return [unit_vector(vector.tolist()) for vector in embed(list(texts), batch_size=self.together)]


def _load(config: Embedding, folder: Path) -> _Loaded:
    # Read by tokenizers at every call; its threads would be beyond ``embedding.threads``.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    with map_exceptions({Exception: EmbedError}):
        from fastembed import TextEmbedding

        model = TextEmbedding(
            config.model,
            threads=config.threads,
            providers=["CPUExecutionProvider"],
            specific_model_path=str(folder),
            local_files_only=True,
        )
    # In int8 texts that are given together share their scales: the vector of one would depend on the others.
    return _Loaded(model, together=1 if config.precision == "int8" else config.batch_size)
