"""What earlier messages of a conversation were given, so that they get it again, byte for byte.

Without this a tool loop would search anew for the same message, and each turn would change the prompt's beginning,
which providers cache. Kept in memory only: lost at a restart, without harm but for one missed cache.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from proxy.core.models import Owner
from proxy.memory import clock

# Measured with tracemalloc: keys, hash table and objects of an entry without text; a short id and a memory's.
_EMPTY_BYTES = 400
_ID_BYTES = 170


@dataclass(frozen=True, slots=True)
class Given:
    """The *context* put before one user message, and the *ids* of the memories in it by the short ids that the model saw.

    *withdrawn*: ids of what was shown before, and is said in it to hold no longer. *at*: when it was found.
    """

    context: str = ""
    ids: Mapping[str, str] = field(default_factory=dict)
    withdrawn: frozenset[str] = frozenset()
    at: datetime = field(default_factory=clock.now, compare=False)

    @property
    def size(self) -> int:
        """About how many bytes it takes, with its place in the cache."""
        return _EMPTY_BYTES + len(self.context) + _ID_BYTES * (len(self.ids) + len(self.withdrawn))


class Replay:
    """By owner and by the fingerprint of the conversation up to a message; beyond *max_bytes* the least recently used go first."""

    def __init__(self, max_bytes: int = 32 * 1024 * 1024) -> None:
        self._given: OrderedDict[tuple[str, str], Given] = OrderedDict()
        self._max_bytes = self._left = max_bytes
        self.erasures = 0
        """Whoever took time to find what to ``put`` looks whether somebody was forgotten meanwhile: then it may be theirs."""

    @property
    def size(self) -> int:
        """About how many bytes it takes."""
        return self._max_bytes - self._left

    def put(self, owner: Owner, fingerprint: str, given: Given) -> None:
        self._drop((owner.key, fingerprint))
        self._given[owner.key, fingerprint] = given
        self._left -= given.size
        while self._left < 0:
            self._drop(next(iter(self._given)))

    def get(self, owner: Owner, fingerprint: str) -> Given | None:
        given = self._given.get((owner.key, fingerprint))
        if given is not None:
            self._given.move_to_end((owner.key, fingerprint))
        return given

    def forget(self, owner: Owner) -> None:
        """Nothing that *owner* was given is given again."""
        self.erasures += 1
        for key in [each for each in self._given if each[0] == owner.key]:
            self._drop(key)

    def _drop(self, key: tuple[str, str]) -> None:
        given = self._given.pop(key, None)
        if given is not None:
            self._left += given.size
