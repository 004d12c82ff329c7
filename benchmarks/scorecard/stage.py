"""What rows share: the contenders, started once the first row asks for them, and the data files that the user named."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.scorecard.contenders import MEMORIES, Field, line_up


class Stage:
    """What it starts ends with *stack*."""

    def __init__(self, stack: ExitStack, *, data: Sequence[Path] = (), peers: bool = True, memories: int = MEMORIES) -> None:
        self.data = data
        self._memories = memories
        self._peers = peers
        self._stack = stack
        self._field: Field | None = None

    def field(self) -> Field:
        if self._field is None:
            self._field = self._stack.enter_context(line_up(peers=self._peers, memories=self._memories))
        return self._field
