"""What a store of memories can do. ``edge.py`` and ``qdrant.py`` do it.

Every call that finds, reads or changes memories takes the owner first: a search that forgot it does not type-check.
Three calls are for the operator alone, and have none: ``owners_of``, ``scan`` and ``expired``.
Each store builds its owner filter in one function and checks the owner again on every point that comes back.
All calls raise ``StoreError`` when the store fails.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol

from proxy.core.models import MEMORY_TYPES, Memory, Owner, ScoredMemory, Scores


@dataclass(frozen=True, slots=True)
class SparseVector:
    """Token ids and their BM25 weights, of equal length; inverse document frequency is the store's part."""

    indices: list[int]
    values: list[float]


class SparseEncoder(Protocol):
    """Texts → BM25 token weights. Cheap (microseconds) and needs no files."""

    def query(self, text: str) -> SparseVector: ...
    def document(self, text: str) -> SparseVector: ...


@dataclass(frozen=True, slots=True)
class Query:
    """What to look for: the words, and their dense vector unless the embedder is out of order.

    *session*: memories that are for one conversation only are found in this one. *as_of*: as it was then; ``None``: as it is now.
    *turns*: whether turns are looked for beside memories. *types*, *since*, *until*, *min_importance*: as in ``Which``, of both.
    """

    text: str
    vector: Sequence[float] | None
    session: str | None = None
    as_of: datetime | None = None
    turns: bool = False
    types: tuple[str, ...] = MEMORY_TYPES
    since: datetime | None = None
    until: datetime | None = None
    min_importance: float | None = None


class Hit(NamedTuple):
    """A memory's id and its raw score in one list: cosine similarity (dense) or BM25 (sparse). There are hundreds in a search."""

    id: str
    score: float


@dataclass(frozen=True, slots=True)
class Hits:
    """The lists of one search, best first each: of memories by meaning and by words, and of turns; ``ranking.py`` picks from them."""

    dense: list[Hit]
    sparse: list[Hit]
    turns_dense: list[Hit] = field(default_factory=list)
    turns_sparse: list[Hit] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Choice:
    """A hit that is wanted, and why."""

    id: str
    score: float
    scores: Scores = field(default_factory=Scores)


@dataclass(frozen=True, slots=True)
class Which:
    """Which of an owner's memories are meant: of these types, of this session if one is named, and unless *past* only those that hold now.

    *shared*: those that all users of the tenant share, too. *key*: the fact of this name. *since*, *until*: made then, both included.
    *as_of*: those that held then. *min_importance*: 0 to 1.
    """

    types: tuple[str, ...] = MEMORY_TYPES
    session: str | None = None
    past: bool = False
    shared: bool = False
    key: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    as_of: datetime | None = None
    min_importance: float | None = None


Records = list["Kept"]
"""In classes with a method of that name, ``list`` is the method."""

Pick = Callable[[Hits], Sequence[Choice]]
"""Chooses among the hits, each id once; called where the store works, so that only what is wanted is read and decoded."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A memory as it lies in the store, with whose it is, and its dense vector if that was asked for (else empty)."""

    owner: Owner
    memory: Memory
    vector: Sequence[float] = field(default=(), repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Entry:
    """A memory to be written, with its dense vector (unit length, the embedder's dimensions); see ``indexing.py``.

    *around*: the turns before and after it, from which a turn borrows words to be found by.
    """

    memory: Memory
    vector: Sequence[float]
    around: Sequence[Memory] = ()


class MemoryStore(Protocol):
    """Memories by owner. All implementations pass ``tests/memory/test_store_contract.py``."""

    async def search(self, owner: Owner, query: Query, *, limit: int, pick: Pick) -> list[ScoredMemory]:
        """What *pick* chooses, in its order, of what is nearest by meaning and by words.

        Of the memories of *owner* and those that the whole tenant shares; at most *limit* hits are in each list.
        """

    async def upsert(self, owner: Owner, entries: Sequence[Entry]) -> None:
        """Write *entries*; on return they survive a crash. The same id again replaces what was there.

        Ids are UUIDs in their usual form. An id that another owner has is refused.
        """

    async def revise(self, owner: Owner, memories: Sequence[Memory]) -> None:
        """Write *memories* again, of which all may have changed but the content; those that *owner* doesn't have are left out."""

    async def get(self, owner: Owner, ids: Sequence[str]) -> list[Memory]:
        """Those of *ids* that *owner* has, or the whole tenant shares, in the order of *ids*."""

    async def find(self, owner: Owner, contents: Sequence[str], which: Which = Which()) -> list[Memory]:
        """Memories of *owner* whose normalised content equals that of one of *contents*, in any order."""

    async def list(self, owner: Owner, which: Which = Which(), *, limit: int) -> list[Memory]:
        """The newest *limit* memories of *owner*, newest first."""

    async def delete(self, owner: Owner, ids: Sequence[str]) -> int:
        """Remove those of *ids* that *owner* has; how many there were. No call finds them any more; for their text see ``purge``."""

    async def erase(self, owner: Owner) -> int:
        """Remove all that *owner* has: memories, turns, versions of the past; how many there were. For the text see ``purge``.

        What the tenant shares is everyone's, whoever said it, and stays.
        """

    async def purge(self) -> None:
        """Return when the text of all that was deleted or erased before is in none of the store's own files.

        Takes time in proportion to everything that is stored. Without it, that happens within ten minutes, or soon after the next
        start. A server cleans its files by itself, when it likes: for that store this returns at once.
        """

    async def count(self, owner: Owner | None, which: Which = Which()) -> int:
        """How many memories *owner* has; with ``None``, how many points there are in all (figures for the operator)."""

    # For whoever operates the proxy: these know no owner, and say whose what they find is.

    async def owners_of(self, ids: Sequence[str]) -> dict[str, Owner]:
        """Who has the memories *ids*, by their ids; those that nobody has are left out."""

    async def scan(self, after: str | None, *, limit: int, whose: Owner | str | None = None, vectors: bool = False) -> Records:
        """At most *limit* of all there is, whatever it is, in the order of their ids, beginning behind *after*.

        *whose*: of an owner, of all owners of the tenant with this name, or of everybody.
        """

    async def expired(self, since: datetime, until: datetime, after: str | None, *, limit: int) -> Records:
        """At most *limit* of all whose ``valid_until`` lies after *since* and not after *until*, in the order of their ids, behind *after*."""

    async def touch(self) -> None:
        """Raise ``StoreError`` unless the store answers (for health checks and ``doctor``)."""


def digest(content: str) -> str:
    """32 hex digits that are equal for contents which differ only in case, spacing, Unicode form or end stop."""
    folded = " ".join(unicodedata.normalize("NFKC", content).casefold().split()).rstrip(".!")
    return hashlib.sha256(folded.encode("utf-8", "surrogatepass")).hexdigest()[:32]
