"""What a request hands over to be remembered, and by which settings it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from proxy.core.blocks import Block
from proxy.core.echo import Foreign
from proxy.core.models import Owner
from proxy.core.redaction import Redacted, redact


@dataclass(frozen=True, slots=True)
class Spoken:
    """The user's message, to be kept as a turn. *speaker* is its ``name``; *reply* gives the visible answer, and is called late."""

    text: str
    speaker: str | None = None
    reply: Callable[[], str] = str


@dataclass(frozen=True, slots=True)
class Said:
    """What one answer told us to remember: its blocks, whose they are, and the request that they came from.

    *shown*: the ids of the memories that the model has seen in this conversation, by the short ids under which it may correct them.
    *foreign*: what in the request was not the user's own words. *spoken*: ``None`` if this turn is not to be kept.
    *at*: when it was said; ``None``: now.
    """

    owner: Owner
    session: str | None
    trace: str
    blocks: Sequence[Block]
    shown: Mapping[str, str] = field(default_factory=dict)
    model: str | None = None
    foreign: Foreign | None = None
    spoken: Spoken | None = None
    at: datetime | None = None

    @property
    def conversation(self) -> str:
        """The session's name; a request without one is a conversation of its own."""
        return self.session or self.trace


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long things are kept, how many, and what is taken out of them; 0 days: for ever."""

    context_days: int = 90
    turn_days: int = 365
    memories_per_user: int = 10_000
    turns_per_user: int = 10_000
    redact_emails: bool = False
    redact_phones: bool = False

    def redact(self, text: str) -> Redacted:
        return redact(text, emails=self.redact_emails, phones=self.redact_phones)
