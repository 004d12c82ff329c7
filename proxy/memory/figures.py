"""What became of what was said, in numbers: per answer for the log, and since the start for whoever asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, fields

from proxy.core.blocks import Block


@dataclass(slots=True)
class Figures:
    """Counts. *echoes* by what was repeated, *redacted* by the kind of secret.

    *restated* and *turns_restated*: known already. *retired*: memories that an answer corrected or forgot. *conflicts*: new memories
    that say otherwise than an old one. *flagged*: of those stored, how many read as an order. *malformed*: blocks that had to be
    patched together. *too_many*: items beyond what one answer may tell. *dropped_for_room*: memories and turns beyond the limits. *lost*: answers that couldn't be stored.
    *dead*: answers that were put among the dead letters.
    """

    stored: int = 0
    restated: int = 0
    conflicts: int = 0
    retired: int = 0
    turns: int = 0
    turns_restated: int = 0
    flagged: int = 0
    malformed: int = 0
    too_many: int = 0
    dropped_for_room: int = 0
    lost: int = 0
    dead: int = 0
    echoes: Counter[str] = field(default_factory=Counter)
    redacted: Counter[str] = field(default_factory=Counter)

    def add(self, other: Figures) -> None:
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))

    def as_dict(self) -> dict[str, int | dict[str, int]]:
        """As JSON would have it, without what is 0."""
        counts = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: dict(count) if isinstance(count, Counter) else count for name, count in counts.items() if count}


@dataclass(slots=True)
class BlocksSeen:
    """How many blocks answers had since the start; *truncated*: those that never ended, or were too long."""

    count: int = 0
    truncated: int = 0

    def add(self, blocks: Sequence[Block]) -> None:
        self.count += len(blocks)
        self.truncated += sum(each.cut for each in blocks)
