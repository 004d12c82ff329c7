"""Until when a memory holds."""

from __future__ import annotations

from datetime import datetime, timedelta

from proxy.core.models import Memory


def is_over(memory: Memory, at: datetime) -> bool:
    return memory.valid_until is not None and memory.valid_until <= at


def until(at: datetime, days: int) -> datetime | None:
    """*days* after *at*; ``None``, for ever, if there are none."""
    return at + timedelta(days=days) if days else None


def longer(memory: Memory, end: datetime | None) -> datetime | None:
    """The later of *end* and the end that *memory* has."""
    return None if end is None or memory.valid_until is None else max(end, memory.valid_until)
