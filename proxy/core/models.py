"""The values that travel through the house: owners, memories, and what a search found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

CATEGORY_OF = {
    "semantic": "fact",
    "preference": "preference",
    "contextual": "context",
    "episodic": "context",
    "procedural": "fact",
    "emotional": "preference",
    "keyed": "fact",
}
"""The types of the store and the categories that stand for them on the wire."""
TYPE_OF = {"fact": "semantic", "preference": "preference", "context": "contextual"}
Scope = Literal["user", "session", "global"]
MEMORY_TYPES = tuple(CATEGORY_OF)
KEYED = "keyed"
"""The type of a fact that has a name of its own (``Memory.key``), under which people and programs set it."""
TOLD_TYPES = tuple(each for each in MEMORY_TYPES if each != KEYED)
"""What a model may call what it tells."""
PROFILE_TYPES = ("preference", "procedural")
"""What holds in every conversation, whatever it is about: standing instructions and preferences."""
TURN = "turn"
"""The type of what is no memory that was extracted, but a message of the user's, with the reply to it."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose memories: the isolation key of every store call. Neither part holds control characters."""

    user: str
    tenant: str = "default"

    @property
    def key(self) -> str:
        """The one payload value that the stores filter on; unambiguous, as neither part may hold U+001F."""
        return f"{self.tenant}\x1f{self.user}"

    @property
    def everyone(self) -> Owner:
        """Who owns what all users of the tenant share; no user has the empty name."""
        return Owner("", self.tenant)


@dataclass(frozen=True, slots=True)
class Memory:
    """One stored record. Times are aware UTC datetimes; ``importance`` is 0 to 1.

    It held from ``valid_from`` (``None``: since it was made) until ``valid_until`` (``None``: it still does, and never passes).
    ``replaces`` is the id of the version that it corrects, ``conflicts`` names memories that say otherwise and are as current.
    ``scope``: whether it is for all of the user's conversations, for its ``session`` only, or for all users of the tenant.
    ``access_count``, ``last_accessed_at`` and ``last_trace``: how often, when last and in which request the user said it again.
    ``flagged``: it reads as an order to the model. ``source``, ``trace``, ``model``: where it came from.
    ``key``: the name of a fact of the type ``KEYED``.
    A ``TURN`` carries the ``speaker``'s name, if the message had one, and the ``reply``; a memory the ids of the ``turns`` that said it.
    """

    id: str
    content: str
    created_at: datetime
    updated_at: datetime
    type: str = "semantic"
    importance: float = 0.5
    scope: Scope = "user"
    session: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    replaces: str | None = None
    conflicts: tuple[str, ...] = ()
    access_count: int = 0
    last_accessed_at: datetime | None = None
    last_trace: str | None = None
    flagged: bool = False
    source: str = "chat"
    trace: str | None = None
    model: str | None = None
    turns: tuple[str, ...] = ()
    speaker: str | None = None
    reply: str | None = None
    key: str | None = None

    @property
    def category(self) -> str:
        return CATEGORY_OF.get(self.type, "context")

    @property
    def is_turn(self) -> bool:
        return self.type == TURN

    def has_from(self, trace: str) -> bool:
        """Whether the request *trace* made it, or was the last to say it again: what comes of it now is the same once more."""
        return trace in (self.trace, self.last_trace)

    def holds_at(self, time: datetime) -> bool:
        return (self.valid_from or self.created_at) <= time and (self.valid_until is None or time < self.valid_until)


@dataclass(frozen=True, slots=True)
class Scores:
    """Why something was found: each part of its score, in the unit of the list that it comes from.

    *dense*: cosine similarity. *sparse*: BM25. *session*, *neighbour*, *importance*, *recency*: what each added to the whole.
    """

    dense: float | None = None
    sparse: float | None = None
    session: float = 0.0
    neighbour: float = 0.0
    importance: float = 0.0
    recency: float = 0.0


@dataclass(frozen=True, slots=True)
class ScoredMemory:
    """A memory, how well it fits the query, and how that came about. *vector* gives its dense vector, which is empty if it has none."""

    memory: Memory
    score: float
    scores: Scores = field(default_factory=Scores)
    vector: Callable[[], Sequence[float]] = field(default=tuple, repr=False, compare=False)
