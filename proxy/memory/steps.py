"""How long each step of something took."""

from __future__ import annotations

from time import perf_counter


class Steps(dict[str, float]):
    """Seconds by the name of a step. One that fails, or is given up, has taken its time too."""

    def __init__(self) -> None:
        super().__init__()
        self._under_way: str | None = None
        self._began = 0.0

    def begin(self, name: str) -> None:
        """The step before has ended."""
        self.end()
        self._under_way = name

    def end(self) -> None:
        now = perf_counter()
        if self._under_way is not None:
            self[self._under_way] = now - self._began
        self._under_way, self._began = None, now
