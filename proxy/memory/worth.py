"""What a memory is worth keeping for, when not all can stay.

worth = importance × ½ ^ (age / half-life) + 0.1 × log₂(1 + times that it was said again)

The age counts from when it was last said. How fast a memory fades follows from its type: how someone wants things done holds
for years, what they are at today does not. Repetition weighs in logarithms: what was said three times is no accident, and what
was said thirty times is not ten times as dear.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from proxy.core.models import Memory

IMPORTANCE_OF = {
    "keyed": 0.9,
    "procedural": 0.8,
    "preference": 0.7,
    "emotional": 0.6,
    "semantic": 0.5,
    "episodic": 0.4,
    "contextual": 0.4,
}
"""Of memories whose importance nobody stated, by type."""

_HALF_LIFE_DAYS = {
    "keyed": math.inf,
    "procedural": 365,
    "preference": 365,
    "semantic": 180,
    "emotional": 180,
    "episodic": 60,
    "turn": 60,
    "contextual": 30,
}
_PER_DOUBLING = 0.1
_DAY = timedelta(days=1)


def worth(memory: Memory, now: datetime) -> float:
    """The higher, the rather it stays; only comparable at the same *now*."""
    age_days = max(0.0, (now - (memory.last_accessed_at or memory.created_at)) / _DAY)
    faded = math.exp2(-age_days / _HALF_LIFE_DAYS.get(memory.type, _HALF_LIFE_DAYS["episodic"]))
    return memory.importance * faded + _PER_DOUBLING * math.log2(1 + memory.access_count)
