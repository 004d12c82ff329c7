"""The user's messages themselves, kept as turns: memories that were extracted leave out a fifth of what was said.

A turn's id names its conversation and its place in it. The same message as the last one is a retry, or the next round of a tool
loop, and stays at its place. The same as an earlier one is a prompt that is used again: it gains weight, it is not stored again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeVar

from proxy.core import places
from proxy.core.models import TURN, Memory
from proxy.memory.embedder import Embedder
from proxy.memory.figures import Figures
from proxy.memory.heard import Heard
from proxy.memory.indexing import dense_text, dense_vector
from proxy.memory.said import Keeping
from proxy.memory.store import Entry, MemoryStore, Which, digest
from proxy.memory.validity import is_over, longer, until

_TURNS = Which(types=(TURN,), past=True)
_TICK = timedelta(microseconds=1)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Kept:
    """The turn's *id*; *again*: it was there already, and the user has not said it again."""

    id: str
    again: bool = False


class TurnKeeper:
    """Stores turns."""

    def __init__(self, store: MemoryStore, embedder: Embedder, options: Keeping) -> None:
        self._store = store
        self._embedder = embedder
        self._options = options

    async def keep(self, heard: Heard, figures: Figures) -> Kept | None:
        """Where the message of *heard* is kept; ``None`` if it isn't. What was kept before a crash stays as it is."""
        turn = self._read(heard)
        if turn is None:
            return None
        last = await self._last(heard)
        if last is not None and _is_retry(last, turn):
            await self._answered(heard, last, turn)
            return Kept(last.id, again=last.trace != heard.trace)
        known = await self._known(heard, turn)
        if known is None:
            return await self._store_behind(heard, last, turn, figures)
        if not known.has_from(heard.trace):
            await self._restated(heard, known, turn)
            figures.turns_restated += 1
        return Kept(known.id)

    async def drop(self, heard: Heard) -> None:
        """The message of *heard* asks to forget what it names: an earlier round of it must not stay either."""
        turn = self._read(heard)
        last = await self._last(heard) if turn is not None else None
        if turn is not None and last is not None and _is_retry(last, turn):
            await self._store.delete(heard.owner, [last.id])

    def _read(self, heard: Heard) -> Memory | None:
        """The message as a turn that has no place yet, if it says anything."""
        if heard.message is None:
            return None
        return Memory(
            id="",
            content=heard.message.text,
            created_at=heard.at,
            updated_at=heard.at,
            type=TURN,
            session=heard.conversation,
            valid_until=until(heard.at, self._options.turn_days),
            source="turn",
            trace=heard.trace,
            model=heard.model,
            speaker=heard.message.speaker,
            reply=heard.message.reply,
        )

    async def _last(self, heard: Heard) -> Memory | None:
        found = await self._store.list(heard.owner, replace(_TURNS, session=heard.conversation), limit=1)
        return found[0] if found else None

    async def _known(self, heard: Heard, turn: Memory) -> Memory | None:
        """A turn of any conversation that says the same, and holds; this very one if it is there."""
        found = [each for each in await self._store.find(heard.owner, [turn.content], _TURNS) if not is_over(each, heard.at)]
        return max(found, key=lambda each: each.has_from(heard.trace), default=None)

    async def _answered(self, heard: Heard, last: Memory, turn: Memory) -> None:
        if turn.reply and turn.reply != last.reply:
            await self._store.revise(heard.owner, [replace(last, reply=turn.reply, updated_at=turn.updated_at)])

    async def _restated(self, heard: Heard, known: Memory, turn: Memory) -> None:
        said_again = replace(
            known,
            access_count=known.access_count + 1,
            last_accessed_at=turn.created_at,
            last_trace=heard.trace,
            updated_at=turn.updated_at,
            valid_until=longer(known, turn.valid_until),
            reply=turn.reply or known.reply,
        )
        await self._store.revise(heard.owner, [said_again])

    async def _store_behind(self, heard: Heard, last: Memory | None, turn: Memory, figures: Figures) -> Kept:
        turn = _placed(heard, last, turn)
        earlier = await self._up_to(heard, last)
        entries = await self._entries([*earlier, turn])
        # The one before is written again: it borrows from the new one what it is found by.
        await self._store.upsert(heard.owner, entries[-2:])
        figures.turns += 1
        return Kept(turn.id)

    async def _up_to(self, heard: Heard, last: Memory | None) -> list[Memory]:
        """*last* behind the turn before it, as far as they are there."""
        if last is None:
            return []
        before = places.beside(last.id, -1)
        return [*(await self._store.get(heard.owner, [before]) if before else []), last]

    async def _entries(self, row: Sequence[Memory]) -> list[Entry]:
        """Of turns that stand behind each other, each indexed with those beside it."""
        vectors = await self._embedder.embed_documents([dense_text(each) for each in row])
        return [
            Entry(turn, dense_vector(turn, vector, _beside(vectors, at)), _beside(row, at))
            for at, (turn, vector) in enumerate(zip(row, vectors, strict=True))
        ]


def _placed(heard: Heard, last: Memory | None, turn: Memory) -> Memory:
    """*turn* behind *last*, and later than it, although a whole conversation may be imported with one time."""
    conversation = places.conversation(heard.owner, heard.conversation)
    if last is None:
        return replace(turn, id=places.turn_id(conversation, 0))
    created_at = max(turn.created_at, last.created_at + _TICK)
    return replace(turn, id=places.turn_id(conversation, places.place_of(last.id) + 1), created_at=created_at)


def _beside(row: Sequence[T], at: int) -> list[T]:
    return [*row[max(0, at - 1) : at], *row[at + 1 : at + 2]]


def _is_retry(last: Memory, turn: Memory) -> bool:
    """A turn that was ended since is said anew."""
    return digest(last.content) == digest(turn.content) and not is_over(last, turn.created_at)
