"""What people and programs do to memories by hand: add, look at, correct, take out, and facts that have a name.

The store is the chat's, and so are the rules: no secret is written, what is said again gains weight, what is corrected stays as a
version of the past. Nothing is read and written again while the worker of ``Remember`` does, so neither overwrites the other.

*Versions.* A memory that is edited keeps its id; what it was gets an id of its own, that follows from the version, and ends.
``replaces`` leads from each version to the one before, whether an edit or an answer of a model made it.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from proxy.core.models import KEYED, Memory, Owner, Scope
from proxy.core.poison import reads_as_order
from proxy.errors import Conflict, NotFound
from proxy.memory import clock
from proxy.memory.embedder import Embedder
from proxy.memory.events import Event
from proxy.memory.indexing import dense_text
from proxy.memory.remember import Keeping, Remember
from proxy.memory.replay import Replay
from proxy.memory.retirement import settled, turns_saying
from proxy.memory.store import Entry, MemoryStore, Which, digest
from proxy.memory.validity import is_over, longer, until
from proxy.memory.worth import IMPORTANCE_OF

MAX_VERSIONS = 1000
"""That a history goes back, at most."""

SOURCE = "api"
_TICK = timedelta(microseconds=1)
_IDS = uuid.UUID("0d7c2f0e-4b0d-4a43-9c56-2f6a51a1f1f7")

Tell = Callable[[Event], None]
Check = Callable[[Memory], None]
"""Raises if the memory is not, or no longer, the one that is meant to be changed."""


def accept(_: Memory) -> None:
    """Any."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A memory that is to be. *importance* ``None``: what its type is worth. *valid_until* ``None``: what its type is given."""

    content: str
    type: str = "semantic"
    importance: float | None = None
    scope: Scope = "user"
    session: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    key: str | None = None


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
        owner = await self._store.owner_of(id_)
        if owner is None:
            raise _nothing(id_)
        return owner

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
        versions: list[Memory] = []
        while memory.replaces is not None and len(versions) < MAX_VERSIONS:
            found = await self._store.get(owner, [memory.replaces])
            if not found or found[0] in versions:
                break
            memory = found[0]
            versions.append(memory)
        return versions

    # Adding.

    async def add(self, drafts: Sequence[tuple[Owner, Draft]], request: Request | None = None) -> list[Memory]:
        """The memories that *drafts* become, in their order: one that says the same and is alike in all else gains weight instead.

        The same *request* again changes nothing, and gets the same. Raises ``Conflict`` if its key was used for another one.
        """
        await self._embed(each.content for _, each in drafts)
        async with self._remember.writing:
            at = clock.now()
            added: dict[int, Memory] = {}
            for owner in dict.fromkeys(owner for owner, _ in drafts):
                mine = [n for n, (whose, _) in enumerate(drafts) if whose == owner]
                new = [self._memory(owner, drafts[n][1], at + n * _TICK, request, n) for n in mine]
                added |= zip(mine, await self._add(owner, new, at, request), strict=True)
            return [added[n] for n in range(len(drafts))]

    def _memory(self, owner: Owner, draft: Draft, at: datetime, request: Request | None, n: int) -> Memory:
        content = self._options.redact(draft.content).text
        lasting = until(at, self._options.context_days) if draft.type == "contextual" else None
        return Memory(
            id=str(uuid.uuid4()) if request is None else _id(owner, "request", request.key, n),
            content=content,
            created_at=at,
            updated_at=at,
            type=draft.type,
            importance=IMPORTANCE_OF.get(draft.type, 0.5) if draft.importance is None else draft.importance,
            scope=draft.scope,
            session=draft.session,
            metadata=self._redacted(draft.metadata),
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

    async def _done(self, owner: Owner, new: Iterable[Memory], request: Request) -> dict[str, Memory]:
        found = await self._store.get(owner, [each.id for each in new])
        if any(each.trace != request.trace for each in found):
            raise Conflict("Idempotency-Key: this key was used for another request; use a new one.", param="Idempotency-Key")
        return {each.id: each for each in found}

    async def _known(self, owner: Owner, new: Sequence[Memory], at: datetime) -> dict[object, Memory]:
        found = await self._store.find(owner, [each.content for each in new]) if new else []
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
        await self._store.upsert(owner, await self._entries(new))
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
        if after == memory:
            return memory
        if memory.is_turn:
            raise Conflict("This is a message of the user's: it can be deleted, not edited.", param="id")
        if is_over(after, at) and is_over(memory, at):
            raise Conflict("This memory holds no longer, and stays as it was; to let it hold again, set valid_until.", param="id")
        before = _ended(memory, at, id_=_id(owner, "version", memory.id, memory.updated_at.isoformat()))
        after = replace(after, updated_at=at, valid_from=change.get("valid_from", at), replaces=before.id)
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
            cleaned["metadata"] = self._redacted(change["metadata"])
        return cleaned

    async def _forget_wording(self, owner: Owner, memory: Memory, at: datetime) -> None:
        """What else says what *memory* said: the turns that did end, and what contradicted it contradicts it no more."""
        turns = [_ended(each, at) for each in await turns_saying(self._store, owner, [memory], at)]
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

    async def _delete(self, owner: Owner, memory: Memory) -> None:
        gone = [memory, *await self._versions(owner, memory)]
        said = [each for each in gone if not each.is_turn]
        turns = await turns_saying(self._store, owner, said, clock.now())
        await self._store.revise(owner, await settled(self._store, owner, gone))
        # The memory last: while it is there, what a crash left is found again.
        await self._store.delete(owner, [*_ids_of(turns), *_ids_of(gone[1:])])
        await self._store.delete(owner, [memory.id])
        self._replay.forget(owner)
        self._tell(Event("forgotten", owner, ids=[memory.id]))

    # Facts that have a name.

    async def fact(self, owner: Owner, key: str) -> Memory:
        """Raises ``NotFound``."""
        found = await self._store.list(owner, Which((KEYED,), key=key), limit=1)
        if not found:
            raise NotFound(f"There is no fact {key!r} of this user.", param="key")
        return found[0]

    async def facts(self, owner: Owner, *, limit: int) -> list[Memory]:
        """By their keys."""
        return sorted(await self._store.list(owner, Which((KEYED,)), limit=limit), key=lambda each: each.key or "")

    async def set_fact(
        self, owner: Owner, key: str, value: str, change: Mapping[str, Any], check: Check | None
    ) -> tuple[Memory, bool]:
        """The fact *key* with this *value*, and whether it is new. *check* sees what there is; with one, there must be something."""
        content = f"{key}: {value}"
        async with self._remember.writing:
            found = await self._store.list(owner, Which((KEYED,), key=key), limit=1)
            if not found and check is not None:
                raise NotFound(f"There is no fact {key!r} of this user.", param="key")
            if found:
                (check or accept)(found[0])
                return await self._edit(owner, found[0], {"content": content, **change}), False
            at = clock.now()
            memory = self._memory(owner, Draft(content, KEYED, key=key, **change), at, None, 0)
            await self._store_new(owner, [memory], at)
            return memory, True

    async def delete_fact(self, owner: Owner, key: str, check: Check = accept) -> Memory:
        """With its earlier versions. Raises ``NotFound``."""
        async with self._remember.writing:
            memory = await self.fact(owner, key)
            check(memory)
            await self._delete(owner, memory)
            return memory

    # Shared.

    async def _embed(self, contents: Iterable[str]) -> None:
        """So that it is known already when writers wait for each other."""
        await self._embedder.embed_documents([self._options.redact(each).text for each in contents])

    async def _entries(self, memories: Sequence[Memory]) -> list[Entry]:
        vectors = await self._embedder.embed_documents([dense_text(each) for each in memories])
        return [Entry(memory, vector) for memory, vector in zip(memories, vectors, strict=True)]

    def _redacted(self, value: Any) -> Any:
        """*value*, which is JSON, without secrets in its texts."""
        if isinstance(value, str):
            return self._options.redact(value).text
        if isinstance(value, Mapping):
            return {name: self._redacted(each) for name, each in value.items()}
        return [self._redacted(each) for each in value] if isinstance(value, list) else value


def value_of(fact: Memory) -> str:
    """What *fact* says of its key. A model that corrects it may use words of its own."""
    return fact.content.removeprefix(f"{fact.key}: ")


def _likeness(memory: Memory) -> object:
    """What is equal for memories of one owner that are the same said twice."""
    return digest(memory.content), memory.type, memory.scope, memory.session, repr(sorted(memory.metadata.items())), memory.key


def _is_from(memory: Memory, request: Request | None) -> bool:
    return request is not None and memory.has_from(request.trace)


def _ended(memory: Memory, at: datetime, id_: str | None = None) -> Memory:
    ends = at if memory.valid_until is None else min(at, memory.valid_until)
    return replace(memory, id=id_ or memory.id, valid_until=ends, updated_at=at, conflicts=())


def _id(owner: Owner, *parts: object) -> str:
    return str(uuid.uuid5(_IDS, "\x1f".join([owner.key, *map(str, parts)])))


def _ids_of(memories: Iterable[Memory]) -> list[str]:
    return [each.id for each in memories]


def _nothing(id_: str) -> NotFound:
    return NotFound(f"There is no memory {id_[:64]!r}.", param="id")


def request_of(key: str, body: bytes) -> Request:
    """The request with this ``Idempotency-Key``."""
    return Request(key, hashlib.sha256(body).hexdigest()[:32])
