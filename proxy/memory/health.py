"""How a part of ours is, as it knows itself: nobody is asked for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

State = Literal["ok", "out of order", "off"]


@dataclass(frozen=True, slots=True)
class Health:
    """*why*: what is wrong with a part, in one line; ``None``: nothing. *since* when it is so. *off*: nobody wants it, which is well."""

    why: str | None = None
    since: datetime = field(default_factory=lambda: datetime.now(UTC), compare=False)
    off: bool = False

    @property
    def well(self) -> bool:
        return self.why is None

    @property
    def state(self) -> State:
        return "off" if self.off else "ok" if self.well else "out of order"
