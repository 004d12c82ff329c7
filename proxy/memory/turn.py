"""What one request of a conversation is given: earlier messages what they were given before, the latest what is found now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from proxy.core.context import number, render_context
from proxy.core.models import Owner
from proxy.core.request import ChatRequest
from proxy.memory.recall import Asked, Recall, Recalled
from proxy.memory.replay import Given, Replay
from proxy.memory.selection import Present, head

_EARLIER = 4


@dataclass(frozen=True, slots=True)
class Turn:
    """*contexts*: texts by the place of the message that they go before. *ids*: everything shown, by short id.

    *recalled*: what is shown with the latest message. *trouble*, *steps*: as in ``Recalled``.
    """

    contexts: Mapping[int, str] = field(default_factory=dict)
    ids: Mapping[str, str] = field(default_factory=dict)
    recalled: tuple[str, ...] = ()
    trouble: str | None = None
    steps: Mapping[str, float] = field(default_factory=dict, compare=False)


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
        trouble, steps, erasures = None, {}, self._replay.erasures
        if latest not in given:
            found = await self._recall.recall(owner, _asked(request, session, given.values()))
            given[latest] = _given(found, given.values())
            trouble, steps = found.trouble, found.steps
            if (trouble is None or found.notes) and erasures == self._replay.erasures:
                self._replay.put(owner, request.fingerprints[latest], given[latest])
        return Turn(
            contexts={i: each.context for i, each in given.items() if each.context},
            ids={short_id: memory_id for each in given.values() for short_id, memory_id in each.ids.items()},
            recalled=tuple(given[latest].ids.values()),
            trouble=trouble,
            steps=steps,
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
    shown = {memory_id for each in given for memory_id in each.ids.values()}
    withdrawn = {memory_id for each in given for memory_id in each.withdrawn}
    present = Present(frozenset(shown - withdrawn), frozenset(map(head, [*earlier, text])), session)
    return Asked(text, earlier[-_EARLIER:], session, present)


def _given(found: Recalled, before: Iterable[Given]) -> Given:
    known = {memory_id: short_id for each in before for short_id, memory_id in each.ids.items()}
    if not found.notes and not found.withdrawn:
        return Given()
    numbered = number(found.notes, shown=_last_number(known.values()))
    withdrawn = sorted(short_id for memory_id, short_id in known.items() if memory_id in found.withdrawn)
    context = render_context(numbered, known=known, withdrawn=withdrawn)
    return Given(context, {short_id: note.memory.id for short_id, note in numbered.items()}, found.withdrawn)


def _last_number(short_ids: Iterable[str]) -> int:
    """The highest short id so far. Not how many there are: what the replay has forgotten leaves a gap."""
    return max((int(each[1:]) for each in short_ids), default=0)
