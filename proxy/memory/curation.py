"""What people and programs do to memories by hand: add, look at, correct, take out, and facts that have a name.

The store is the chat's, and so are the rules: no secret is written, what is said again gains weight, what is corrected stays as a
version of the past. Nothing is read and written again while the worker of ``Remember`` does, so neither overwrites the other.

*Versions.* A memory that is edited keeps its id; what it was gets an id of its own, that follows from the version, and ends.
``replaces`` leads from each version to the one before, whether an edit or an answer of a model made it. At no time do two of them hold:
an edit of what it says begins now, unless it says since when; any other corrects the record, as if it had always been so.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

import orjson
import structlog

from proxy.core.models import KEYED, Memory, Owner, Scope
from proxy.core.poison import reads_as_order
from proxy.errors import BadRequest, Conflict, JournalError, NotFound
from proxy.memory import clock
from proxy.memory.embedder import Embedder
from proxy.memory.events import Event
from proxy.memory.indexing import dense_text
from proxy.memory.pace import Pace
from proxy.memory.remember import Keeping, Remember
from proxy.memory.replay import Replay
from proxy.memory.retirement import all_turns_saying, settled, turns_saying
from proxy.memory.store import Entry, MemoryStore, Which, digest
from proxy.memory.validity import is_over, longer, until
from proxy.memory.worth import IMPORTANCE_OF

logger = structlog.get_logger()

MAX_VERSIONS = 1000
"""That a history goes back, at most."""

SOURCE = "api"
_TICK = timedelta(microseconds=1)
_SLICE = 250
_ALL_FACTS = 1_000_000

T = TypeVar("T")
_IDS = uuid.UUID("0d7c2f0e-4b0d-4a43-9c56-2f6a51a1f1f7")

Tell = Callable[[Event], None]
Check = Callable[[Memory | None], None]
"""Raises if the memory (``None``: there is none) is not, or no longer, the one that is meant to be changed."""


def accept(_: Memory | None) -> None:
    """Any."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A memory that is to be. *importance* ``None``: what its type is worth. *valid_until* ``None``: what its type is given.

    *created_at*: when it was known first; ``None``: it is new.
    """

    content: str
    type: str = "semantic"
    importance: float | None = None
    scope: Scope = "user"
    session: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    key: str | None = None
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One that may come again: the *key* that the caller gave it, and the *digest* of what it asks for."""

    key: str
    digest: str

    @property
    def trace(self) -> str:
        return f"request-{self.digest}"


class Curation:
    """*tell* hears of what was done."""

    def __init__(
        self, store: MemoryStore, embedder: Embedder, remember: Remember, replay: Replay, options: Keeping, *, tell: Tell
    ) -> None:
        self._store = store
        self._embedder = embedder
        self._remember = remember
        self._replay = replay
        self._options = options
        self._tell = tell

    # Looking.

    async def owner_of(self, id_: str) -> Owner:
        """Raises ``NotFound``."""
        owners = await self._store.owners_of([id_])
        if id_ not in owners:
            raise _nothing(id_)
        return owners[id_]

    async def get(self, owner: Owner, id_: str) -> Memory:
        """Raises ``NotFound``."""
        found = await self._store.get(owner, [id_])
        if not found:
            raise _nothing(id_)
        return found[0]

    async def history(self, owner: Owner, id_: str) -> list[Memory]:
        """The earlier versions of the memory *id_*, the latest first. Raises ``NotFound``."""
        return await self._versions(owner, await self.get(owner, id_))

    async def _versions(self, owner: Owner, memory: Memory) -> list[Memory]:
        versions: dict[str, Memory] = {}
        known = {memory.id}
        while memory.replaces is not None and memory.replaces not in known and len(versions) < MAX_VERSIONS:
            found = await self._store.get(owner, [memory.replaces])
            if not found:
                break
            [memory] = found
            known.add(memory.id)
            versions[memory.id] = memory
        return [*versions.values()]

    # Adding.

    async def add(self, drafts: Sequence[tuple[Owner, Draft]], request: Request | None = None) -> list[Memory]:
        """The memories that *drafts* become, in their order: one that says the same and is alike in all else gains weight instead.

        The same *request* again changes nothing, and gets the same. Raises ``Conflict`` if its key was used for another one.
        """
        new = await self._made(drafts, request)
        # So that they are known already when writers wait for each other.
        await self._embedder.embed_documents([each.content for _, each in new])
        async with self._remember.writing:
            at = clock.now()
            dated = [each.created_at for _, each in drafts]
            new = [(owner, _made_at(each, at + n * _TICK, dated[n])) for n, (owner, each) in enumerate(new)]
            added: dict[int, Memory] = {}
            for owner in dict.fromkeys(owner for owner, _ in drafts):
                mine = {n: each for n, (whose, each) in enumerate(new) if whose == owner}
                added |= zip(mine, await self._add(owner, [*mine.values()], at, request), strict=True)
            return [added[n] for n in range(len(drafts))]

    async def _made(self, drafts: Sequence[tuple[Owner, Draft]], request: Request | None) -> list[tuple[Owner, Memory]]:
        at, pace, made = clock.now(), Pace(), []
        for n, (owner, draft) in enumerate(drafts):
            id_ = str(uuid.uuid4()) if request is None else _id(owner, "request", request.key, n)
            made.append((owner, self._memory(id_, draft, at, request)))
            await pace.step()
        return made

    def _memory(self, id_: str, draft: Draft, at: datetime, request: Request | None = None) -> Memory:
        content = self._options.redact(draft.content).text
        lasting = until(at, self._options.context_days) if draft.type == "contextual" else None
        return Memory(
            id=id_,
            content=content,
            created_at=at,
            updated_at=at,
            type=draft.type,
            importance=IMPORTANCE_OF.get(draft.type, 0.5) if draft.importance is None else draft.importance,
            scope=draft.scope,
            session=draft.session,
            metadata=without_secrets(draft.metadata, self._options),
            valid_from=draft.valid_from,
            valid_until=draft.valid_until or lasting,
            flagged=reads_as_order(content),
            source=SOURCE,
            trace=None if request is None else request.trace,
            key=draft.key,
        )

    async def _add(self, owner: Owner, new: Sequence[Memory], at: datetime, request: Request | None) -> list[Memory]:
        done = {} if request is None else await self._done(owner, new, request)
        known = await self._known(owner, [each for each in new if each.id not in done], at)
        added, fresh = [], []
        for memory in new:
            same = done.get(memory.id) or known.get(_likeness(memory))
            if same is None:
                same = memory
                fresh.append(memory)
            elif same not in fresh and not _is_from(same, request):
                same = await self._strengthen(owner, same, memory, at)
            known[_likeness(memory)] = same
            added.append(same)
        await self._store_new(owner, fresh, at)
        return added

    async def _done(self, owner: Owner, new: Sequence[Memory], request: Request) -> dict[str, Memory]:
        ids = [each.id for each in new]
        found = [each for some in _slices(ids) for each in await self._store.get(owner, some)]
        if any(each.trace != request.trace for each in found):
            raise Conflict("Idempotency-Key: this key was used for another request; use a new one.", param="Idempotency-Key")
        return {each.id: each for each in found}

    async def _known(self, owner: Owner, new: Sequence[Memory], at: datetime) -> dict[object, Memory]:
        contents = [each.content for each in new]
        found = [each for some in _slices(contents) for each in await self._store.find(owner, some)]
        return {_likeness(each): each for each in found if not is_over(each, at)}

    async def _strengthen(self, owner: Owner, same: Memory, memory: Memory, at: datetime) -> Memory:
        again = replace(
            same,
            access_count=same.access_count + 1,
            last_accessed_at=at,
            last_trace=memory.trace or same.last_trace,
            importance=max(same.importance, memory.importance),
            valid_until=longer(same, memory.valid_until),
        )
        await self._store.revise(owner, [again])
        return again

    async def _store_new(self, owner: Owner, new: Sequence[Memory], at: datetime) -> None:
        if not new:
            return
        for some in _slices(new):
            await self._store.upsert(owner, await self._entries(some))
        await self._remember.made(owner, len(new), at)
        self._tell(Event("stored", owner, ids=_ids_of(new)))

    # Correcting.

    async def edit(self, owner: Owner, id_: str, change: Mapping[str, Any], check: Check = accept) -> Memory:
        """The memory *id_* with the fields of *change*; what it was stays as a version of the past. Raises ``NotFound``.

        *check* sees it as it is when it is about to change.
        """
        async with self._remember.writing:
            memory = await self.get(owner, id_)
            check(memory)
            return await self._edit(owner, memory, change)

    async def _edit(self, owner: Owner, memory: Memory, change: Mapping[str, Any]) -> Memory:
        at = max(clock.now(), memory.updated_at + _TICK)
        after = replace(memory, **self._cleaned(change))
        if _state(after) == _state(memory):
            return memory
        _check_edit(memory, after, at)
        after = _beginning(after, _begin(memory, after, change, at), updated_at=at)
        before = _version(owner, memory, until=min(at, max(_since(memory), _since(after))), at=at)
        after = replace(after, replaces=before.id)
        if after.content != memory.content:
            after = replace(after, conflicts=(), flagged=reads_as_order(after.content))
            await self._forget_wording(owner, memory, at)
        # First the past: were it missing after a crash, nothing would say what the memory was.
        for entry in await self._entries([before, after]):
            await self._store.upsert(owner, [entry])
        await self._remember.made(owner, 1, at)
        self._tell(Event("replaced", owner, ids=[after.id]))
        return after

    def _cleaned(self, change: Mapping[str, Any]) -> dict[str, Any]:
        cleaned = dict(change)
        if "content" in change:
            cleaned["content"] = self._options.redact(change["content"]).text
        if "metadata" in change:
            cleaned["metadata"] = without_secrets(change["metadata"], self._options)
        return cleaned

    async def _forget_wording(self, owner: Owner, memory: Memory, at: datetime) -> None:
        """What else says what *memory* said: the turns that did end, and what contradicted it contradicts it no more."""
        turns = [replace(_ended(each, at), updated_at=at) for each in await turns_saying(self._store, owner, [memory], at)]
        await self._store.revise(owner, [*turns, *await settled(self._store, owner, [memory])])

    # Taking out.

    async def delete(self, owner: Owner, id_: str, check: Check = accept) -> None:
        """Remove the memory *id_* with its earlier versions, and the turns that said it. Raises ``NotFound``.

        From now on nobody finds them; when their text has left the files, see ``MemoryStore.purge``.
        """
        async with self._remember.writing:
            memory = await self.get(owner, id_)
            check(memory)
            await self._delete(owner, memory)

    async def _delete(self, owner: Owner, memory: Memory, versions: Iterable[Memory] = ()) -> None:
        earlier = {each.id: each for each in (*await self._versions(owner, memory), *versions)}
        gone = [memory, *earlier.values()]
        turns = await all_turns_saying(self._store, owner, [each for each in gone if not each.is_turn])
        await self._store.revise(owner, await settled(self._store, owner, gone))
        # The memory last: while it is there, what a crash left is found again.
        await self._store.delete(owner, [*_ids_of(turns), *_ids_of(gone[1:])])
        await self._store.delete(owner, [memory.id])
        self._replay.forget(owner)
        self._tell(Event("forgotten", owner, ids=[memory.id]))
        try:
            await self._remember.journal.forget_done()
        except JournalError as exc:
            logger.warning("the answer that told of a deleted memory may still be in the journal's file", error=str(exc))

    # Facts that have a name.

    async def fact(self, owner: Owner, key: str) -> Memory:
        """Raises ``NotFound``."""
        found = await self._fact(owner, key)
        if found is None:
            raise NotFound(f"There is no fact {key!r} of this user.", param="key")
        return found

    async def _fact(self, owner: Owner, key: str) -> Memory | None:
        found = await self._store.list(owner, Which((KEYED,), key=key), limit=1)
        return found[0] if found else None

    async def facts(self, owner: Owner) -> list[Memory]:
        """All, by their keys."""
        return sorted(await self._store.list(owner, Which((KEYED,)), limit=_ALL_FACTS), key=lambda each: each.key or "")

    async def fact_history(self, owner: Owner, key: str) -> list[Memory]:
        """What the fact *key* said before, the latest first; also if it says nothing any more. Raises ``NotFound``."""
        versions = await self._fact_versions(owner, key)
        return versions or await self.history(owner, (await self.fact(owner, key)).id)

    async def _fact_versions(self, owner: Owner, key: str) -> list[Memory]:
        found = await self._store.list(owner, Which((KEYED,), key=key, past=True), limit=MAX_VERSIONS)
        now = clock.now()
        return sorted((each for each in found if is_over(each, now)), key=lambda each: each.updated_at, reverse=True)

    async def set_fact(
        self, owner: Owner, key: str, value: str, change: Mapping[str, Any], check: Check = accept
    ) -> tuple[Memory, bool]:
        """The fact *key* with this *value*, and whether it is new. *check* sees what there is."""
        content = f"{key}: {value}"
        await self._embedder.embed_documents([self._options.redact(content).text])
        async with self._remember.writing:
            found = await self._fact(owner, key)
            check(found)
            if found is not None:
                return await self._edit(owner, found, {"content": content, **change}), False
            at = clock.now()
            memory = self._memory(str(uuid.uuid4()), Draft(content, KEYED, key=key, **change), at)
            await self._store_new(owner, [memory], at)
            return memory, True

    async def delete_fact(self, owner: Owner, key: str, check: Check = accept) -> Memory:
        """With its earlier versions. Raises ``NotFound``."""
        async with self._remember.writing:
            memory = await self.fact(owner, key)
            check(memory)
            await self._delete(owner, memory, await self._fact_versions(owner, key))
            return memory

    # Shared.

    async def _entries(self, memories: Sequence[Memory]) -> list[Entry]:
        vectors = await self._embedder.embed_documents([dense_text(each) for each in memories])
        return [Entry(memory, vector) for memory, vector in zip(memories, vectors, strict=True)]


def without_secrets(value: Any, options: Keeping) -> Any:
    """*value*, which is JSON, with the secrets in its names and texts redacted."""
    if isinstance(value, str):
        return options.redact(value).text
    if isinstance(value, Mapping):
        return {options.redact(name).text: without_secrets(each, options) for name, each in value.items()}
    return [without_secrets(each, options) for each in value] if isinstance(value, list) else value


def value_of(fact: Memory) -> str:
    """What *fact* says of its key. A model that corrects it may use words of its own."""
    return fact.content.removeprefix(f"{fact.key}: ")


def _likeness(memory: Memory) -> object:
    """What is equal for memories of one owner that are the same said twice."""
    metadata = orjson.dumps(memory.metadata, option=orjson.OPT_SORT_KEYS)
    return digest(memory.content), memory.type, memory.scope, memory.session, metadata, memory.key


def _is_from(memory: Memory, request: Request | None) -> bool:
    return request is not None and memory.has_from(request.trace)


def _state(memory: Memory) -> bytes:
    """Equal for memories that are; to Python 1, 1.0 and ``True`` are one."""
    return orjson.dumps(memory, option=orjson.OPT_SORT_KEYS)


def _made_at(memory: Memory, at: datetime, known_since: datetime | None) -> Memory:
    return replace(memory, created_at=known_since or at, updated_at=at)


def _since(memory: Memory) -> datetime:
    return memory.valid_from or memory.created_at


def _beginning(memory: Memory, at: datetime, **changes: Any) -> Memory:
    """As it is read again."""
    return replace(memory, valid_from=None if at == memory.created_at else at, **changes)


def _begin(memory: Memory, after: Memory, change: Mapping[str, Any], at: datetime) -> datetime:
    """Since when *memory* holds *after* the *change*."""
    if "valid_from" in change:
        begin: datetime = change["valid_from"]
        return begin
    begin = at if after.content != memory.content else _since(memory)
    return begin if after.valid_until is None else min(begin, after.valid_until)


def _check_edit(memory: Memory, after: Memory, at: datetime) -> None:
    if memory.is_turn:
        raise Conflict("This is a message of the user's: it can be deleted, not edited.", param="id")
    if is_over(after, at) and is_over(memory, at):
        raise Conflict("This memory holds no longer, and stays as it was; to let it hold again, set valid_until.", param="id")
    if memory.type == KEYED != after.type:
        raise Conflict("This fact has a key: its type and category stay.", param="type")
    if after.scope == "session" and after.session is None:
        raise BadRequest("session: must not be null, as the memory is for one session only", param="session")
    if after.valid_until is not None and after.valid_until < _since(after) != _since(memory):
        raise BadRequest("valid_from: must not come after valid_until", param="valid_from")


def _version(owner: Owner, memory: Memory, *, until: datetime, at: datetime) -> Memory:
    """What *memory* was before it was edited *at* this time."""
    ended = _ended(memory, until)
    id_ = _id(owner, "version", memory.id, memory.updated_at.isoformat())
    return _beginning(ended, min(_since(memory), until), id=id_, updated_at=at)


def _ended(memory: Memory, at: datetime) -> Memory:
    return replace(memory, valid_until=at if memory.valid_until is None else min(at, memory.valid_until), conflicts=())


def _slices(values: Sequence[T]) -> list[Sequence[T]]:
    """In one call, a thousand would keep everybody waiting."""
    return [values[start : start + _SLICE] for start in range(0, len(values), _SLICE)]


def _id(owner: Owner, *parts: object) -> str:
    return str(uuid.uuid5(_IDS, "\x1f".join([owner.key, *map(str, parts)])))


def _ids_of(memories: Iterable[Memory]) -> list[str]:
    return [each.id for each in memories]


def _nothing(id_: str) -> NotFound:
    return NotFound(f"There is no memory {id_[:64]!r}.", param="id")


def request_of(key: str, body: bytes) -> Request:
    """The request with this ``Idempotency-Key``."""
    return Request(key, hashlib.sha256(body).hexdigest()[:32])
