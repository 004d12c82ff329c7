"""What a user wants in every conversation, whatever it is about: standing instructions and preferences.

Similarity doesn't find them: "Always answer in German" is like no message that it applies to (hit@5 .42, measured on public sets).
So they come with the first message of a conversation; with later ones only what has changed since, as the prompt before
them stays as it was.
"""

from __future__ import annotations

from proxy.core.context import Note, Redact, note_of, within_budget
from proxy.core.models import PROFILE_TYPES, Owner
from proxy.memory import clock
from proxy.memory.store import MemoryStore, Which
from proxy.memory.worth import worth

_CANDIDATES = 50


class Profile:
    """The most important of what holds always, within *token_budget*. 0: none."""

    def __init__(self, store: MemoryStore, *, token_budget: int, redact: Redact) -> None:
        self._store = store
        self._token_budget = token_budget
        self._redact = redact

    async def of(self, owner: Owner) -> list[Note]:
        """Most important first. What reads as an order to the model is never in it, nor what is for one conversation only."""
        if not self._token_budget:
            return []
        now = clock.now()
        found = await self._store.list(owner, Which(PROFILE_TYPES, shared=True), limit=_CANDIDATES)
        standing = [each for each in found if not each.flagged and each.scope != "session"]
        standing.sort(key=lambda each: worth(each, now), reverse=True)
        return within_budget((note_of(each, redact=self._redact) for each in standing), self._token_budget)
