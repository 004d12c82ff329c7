"""The user's messages themselves, kept as turns: memories that were extracted leave out a fifth of what was said.

A turn's id names its conversation and its place in it. The same message as the last one is a retry, or the next round of a tool
loop, and stays at its place. The same as an earlier one is a prompt that is used again: it gains weight, it is not stored again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar

from proxy.core import places
from proxy.core.chatter import has_content
from proxy.core.frames import without_frames
from proxy.core.models import TURN, Memory
from proxy.memory.embedder import Embedder
from proxy.memory.figures import Figures
from proxy.memory.indexing import dense_text, dense_vector
from proxy.memory.said import Keeping, Said
from proxy.memory.store import Entry, MemoryStore, Which, digest
from proxy.memory.validity import is_over, longer, until

MAX_TEXT_CHARS = 4000
MAX_REPLY_CHARS = 2000
MAX_SPEAKER_CHARS = 100

# Secrets are looked for in this much, so that none is cut in half where the text ends.
_READ_CHARS = 8 * MAX_TEXT_CHARS
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

    async def keep(self, said: Said, at: datetime, figures: Figures) -> Kept | None:
        """Where the message of *said* is kept; ``None`` if it isn't."""
        turn = self._read(said, at, figures)
        if turn is None:
            return None
        last = await self._last(said)
        if last is not None and _is_retry(last, turn, at):
            await self._answered(said, last, turn)
            return Kept(last.id, again=True)
        known = await self._known(said, turn, at)
        if known is not None:
            await self._restated(said, known, turn)
            figures.turns_restated += 1
            return Kept(known.id)
        return await self._store_behind(said, last, turn, figures)

    async def drop(self, said: Said, at: datetime, figures: Figures) -> None:
        """The message of *said* asks to forget what it names: an earlier round of it must not stay either."""
        turn = self._read(said, at, figures)
        last = await self._last(said) if turn is not None else None
        if turn is not None and last is not None and _is_retry(last, turn, at):
            await self._store.delete(said.owner, [last.id])

    def _read(self, said: Said, at: datetime, figures: Figures) -> Memory | None:
        """The message as a turn that has no place yet, if it says anything."""
        if said.spoken is None:
            return None
        text = self._clean(said.spoken.text, MAX_TEXT_CHARS, figures)
        if not has_content(text):
            return None
        return Memory(
            id="",
            content=text,
            created_at=at,
            updated_at=at,
            type=TURN,
            session=said.conversation,
            valid_until=until(at, self._options.turn_days),
            source="turn",
            trace=said.trace,
            model=said.model,
            speaker=self._clean(said.spoken.speaker or "", MAX_SPEAKER_CHARS, figures) or None,
            reply=self._clean(said.spoken.reply(), MAX_REPLY_CHARS, figures) or None,
        )

    def _clean(self, text: str, max_chars: int, figures: Figures) -> str:
        redacted = self._options.redact(without_frames(text[:_READ_CHARS]))
        figures.redacted.update(redacted.kinds)
        return redacted.text[:max_chars].encode("utf-8", "replace").decode().strip()

    async def _last(self, said: Said) -> Memory | None:
        found = await self._store.list(said.owner, replace(_TURNS, session=said.conversation), limit=1)
        return found[0] if found else None

    async def _known(self, said: Said, turn: Memory, at: datetime) -> Memory | None:
        """A turn of any conversation that says the same, and holds."""
        found = await self._store.find(said.owner, [turn.content], _TURNS)
        return next((each for each in found if not is_over(each, at)), None)

    async def _answered(self, said: Said, last: Memory, turn: Memory) -> None:
        if turn.reply and turn.reply != last.reply:
            await self._store.revise(said.owner, [replace(last, reply=turn.reply, updated_at=turn.updated_at)])

    async def _restated(self, said: Said, known: Memory, turn: Memory) -> None:
        said_again = replace(
            known,
            access_count=known.access_count + 1,
            last_accessed_at=turn.created_at,
            updated_at=turn.updated_at,
            valid_until=longer(known, turn.valid_until),
            reply=turn.reply or known.reply,
        )
        await self._store.revise(said.owner, [said_again])

    async def _store_behind(self, said: Said, last: Memory | None, turn: Memory, figures: Figures) -> Kept:
        turn = _placed(said, last, turn)
        earlier = await self._up_to(said, last)
        entries = await self._entries([*earlier, turn])
        # The one before is written again: it borrows from the new one what it is found by.
        await self._store.upsert(said.owner, entries[-2:])
        figures.turns += 1
        return Kept(turn.id)

    async def _up_to(self, said: Said, last: Memory | None) -> list[Memory]:
        """*last* behind the turn before it, as far as they are there."""
        if last is None:
            return []
        before = places.beside(last.id, -1)
        return [*(await self._store.get(said.owner, [before]) if before else []), last]

    async def _entries(self, row: Sequence[Memory]) -> list[Entry]:
        """Of turns that stand behind each other, each indexed with those beside it."""
        vectors = await self._embedder.embed_documents([dense_text(each) for each in row])
        return [
            Entry(turn, dense_vector(turn, vector, _beside(vectors, at)), _beside(row, at))
            for at, (turn, vector) in enumerate(zip(row, vectors, strict=True))
        ]


def _placed(said: Said, last: Memory | None, turn: Memory) -> Memory:
    """*turn* behind *last*, and later than it, although a whole conversation may be imported with one time."""
    conversation = places.conversation(said.owner, said.conversation)
    if last is None:
        return replace(turn, id=places.turn_id(conversation, 0))
    created_at = max(turn.created_at, last.created_at + _TICK)
    return replace(turn, id=places.turn_id(conversation, places.place_of(last.id) + 1), created_at=created_at)


def _beside(row: Sequence[T], at: int) -> list[T]:
    return [*row[max(0, at - 1) : at], *row[at + 1 : at + 2]]


def _is_retry(last: Memory, turn: Memory, at: datetime) -> bool:
    """A turn that was ended since is said anew."""
    return digest(last.content) == digest(turn.content) and not is_over(last, at)
