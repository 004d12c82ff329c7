"""What a user wants in every conversation, whatever it is about: standing instructions and preferences.

Similarity doesn't find them: "Always answer in German" is like no message that it applies to (hit@5 .42, measured on public sets).
So they come with the first message of a conversation; with later ones only what has changed since, as the prompt before
them stays as it was. Facts that have a name (``KEYED``) were put there to be known always: they come first.
"""

from __future__ import annotations

from collections.abc import Sequence

from proxy.core.context import Note, Redact, note_of, within_budget
from proxy.core.models import KEYED, PROFILE_TYPES, Memory, Owner
from proxy.memory import clock
from proxy.memory.store import MemoryStore, Which
from proxy.memory.worth import worth

_CANDIDATES = 50
_FACTS = 200


class Profile:
    """Facts with a name within *facts_token_budget*, then the most important of what holds always within *token_budget*. 0: none."""

    def __init__(self, store: MemoryStore, *, token_budget: int, facts_token_budget: int, redact: Redact) -> None:
        self._store = store
        self._token_budget = token_budget
        self._facts_token_budget = facts_token_budget
        self._redact = redact

    async def of(self, owner: Owner) -> list[Note]:
        """Facts by name, then the rest, most important first.

        What reads as an order to the model is never in it, nor what is for one conversation only.
        """
        if not (self._token_budget or self._facts_token_budget):
            return []
        found = await self._found(owner)
        standing = [each for each in found if not each.flagged and each.scope != "session"]
        facts = sorted((each for each in standing if each.type == KEYED), key=lambda each: each.key or "")
        now = clock.now()
        others = sorted((each for each in standing if each.type != KEYED), key=lambda each: worth(each, now), reverse=True)
        return [*self._within(facts, self._facts_token_budget), *self._within(others, self._token_budget)]

    async def _found(self, owner: Owner) -> list[Memory]:
        """The newest, and of the facts all: newer preferences must not push them out."""
        found = await self._store.list(owner, Which((*PROFILE_TYPES, KEYED), shared=True), limit=_CANDIDATES)
        if len(found) < _CANDIDATES:
            return found
        facts = await self._store.list(owner, Which((KEYED,), shared=True), limit=_FACTS)
        return [*facts, *(each for each in found if each.type != KEYED)]

    def _within(self, memories: Sequence[Memory], token_budget: int) -> list[Note]:
        return within_budget((note_of(each, redact=self._redact) for each in memories), token_budget)
