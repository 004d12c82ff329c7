"""What one request of a conversation is given: earlier messages what they were given before, the latest what is found now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from proxy.core.context import number, render_context
from proxy.core.models import Owner
from proxy.core.request import ChatRequest
from proxy.memory import clock
from proxy.memory.recall import Asked, Recall, Recalled
from proxy.memory.replay import Given, Replay
from proxy.memory.selection import Present, head

_EARLIER = 4


@dataclass(frozen=True, slots=True)
class Turn:
    """*contexts*: texts by the place of the message that they go before. *ids*: everything shown, by short id.

    *recalled*: what is shown with the latest message. *trouble*: as in ``Recalled``.
    *found*: how that came about; ``None`` if nothing was looked for, or if an owner was erased meanwhile, whose it may be.
    """

    contexts: Mapping[int, str] = field(default_factory=dict)
    ids: Mapping[str, str] = field(default_factory=dict)
    recalled: tuple[str, ...] = ()
    trouble: str | None = None
    found: Recalled | None = field(default=None, compare=False, repr=False)

    @property
    def steps(self) -> Mapping[str, float]:
        """Seconds that the steps of recall took."""
        return {} if self.found is None else self.found.steps


class Turns:
    """Prepares turns. A message that is followed by others is never searched for again, if it is known."""

    def __init__(self, recall: Recall, replay: Replay) -> None:
        self._recall = recall
        self._replay = replay

    async def prepare(self, owner: Owner, request: ChatRequest, session: str) -> Turn:
        """Never raises; see ``Recall.recall``."""
        latest = request.latest_user
        if latest is None:
            return Turn()
        given = self._given_before(owner, request, latest)
        trouble, found, erasures = None, None, self._replay.erasures
        if latest not in given:
            at = clock.now()
            found = await self._recall.recall(owner, _asked(request, session, given.values()))
            given[latest] = _given(found, given.values(), at)
            trouble = found.trouble
            if erasures != self._replay.erasures:
                found = None
            elif trouble is None or found.notes:
                self._replay.put(owner, request.fingerprints[latest], given[latest])
        return Turn(
            contexts={i: each.context for i, each in given.items() if each.context},
            ids={short_id: memory_id for each in given.values() for short_id, memory_id in each.ids.items()},
            recalled=tuple(given[latest].ids.values()),
            trouble=trouble,
            found=found,
        )

    def _given_before(self, owner: Owner, request: ChatRequest, latest: int) -> dict[int, Given]:
        """By place, what messages were given when they were the latest; the latest itself only in the middle of a tool loop."""
        last = len(request.messages) - 1
        given = {}
        for i in request.user_messages:
            if i <= latest and i < last:
                known = self._replay.get(owner, request.fingerprints[i])
                if known is not None:
                    given[i] = known
        return given


def _asked(request: ChatRequest, session: str, given: Iterable[Given]) -> Asked:
    *earlier, text = request.texts_of("user")
    shown_at: dict[str, datetime] = {}
    for each in given:
        for memory_id in each.withdrawn:
            shown_at.pop(memory_id, None)
        shown_at |= dict.fromkeys(each.ids.values(), each.at)
    present = Present(frozenset(shown_at), frozenset(map(head, [*earlier, text])), session, shown_at)
    return Asked(text, earlier[-_EARLIER:], session, present)


def _given(found: Recalled, before: Iterable[Given], at: datetime) -> Given:
    known = {memory_id: short_id for each in before for short_id, memory_id in each.ids.items()}
    if not found.notes and not found.withdrawn:
        return Given(at=at)
    numbered = number(found.notes, shown=_last_number(known.values()))
    withdrawn = sorted(short_id for memory_id, short_id in known.items() if memory_id in found.withdrawn)
    context = render_context(numbered, known=known, withdrawn=withdrawn)
    return Given(context, {short_id: note.memory.id for short_id, note in numbered.items()}, found.withdrawn, at)


def _last_number(short_ids: Iterable[str]) -> int:
    """The highest short id so far. Not how many there are: what the replay has forgotten leaves a gap."""
    return max((int(each[1:]) for each in short_ids), default=0)
