"""What the client saw of an answer, kept aside so that the turn can be remembered.

Keeping is all that happens while bytes pass: what they say is read when somebody asks, off the hot path.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from proxy.core import splice
from proxy.core.chunk import choice_parts
from proxy.core.filters import Filter
from proxy.core.sse import event_data, event_ends

_TORN_WORD = re.compile(r"\s\S{0,64}\Z")


class Recorded:
    """*inner*, with a memory: the first *max_bytes* of what it lets through. To its user it is *inner*."""

    def __init__(self, inner: Filter, *, max_bytes: int = 128 * 1024) -> None:
        self.blocks = inner.blocks  # filters add to their list, they never make another
        self.rewrites = inner.rewrites
        self.whole = inner.whole
        self._inner = inner
        self._feed = inner.feed
        self._kept: list[bytes] = []
        self._room = max_bytes

    @property
    def in_block(self) -> bool:
        return self._inner.in_block

    @property
    def holds(self) -> bool:
        return self._inner.holds

    @property
    def client_done(self) -> bool:
        return self._inner.client_done

    def feed(self, data: bytes) -> bytes:
        # The path of every chunk: a list of what is there already takes it at the least cost.
        out = self._feed(data)
        room = self._room - len(out)
        if room > 0:
            self._kept.append(out)
            self._room = room
        elif self._room:
            self._fill(out)
        return out

    def finish(self) -> bytes:
        out = self._inner.finish()
        self._fill(out)
        return out

    def reply(self, *, max_chars: int = 2000) -> str:
        """The visible text of the first choice, as far as it was kept; ``""`` for whatever is no answer. Cut at a word."""
        kept = b"".join(self._kept)
        # An event's line begins with a field's name, or with a colon.
        texts = _body_texts(kept) if kept.lstrip()[:1] == b"{" else _stream_texts(kept)
        return _at_a_word(_first(texts, max_chars + 1).strip(), max_chars)

    def _fill(self, out: bytes) -> None:
        self._kept.append(out[: self._room])
        self._room = max(0, self._room - len(out))


def _body_texts(body: bytes) -> Iterator[str]:
    return _texts(body, "message")


def _stream_texts(stream: bytes) -> Iterator[str]:
    start = 0
    for end in event_ends(stream):
        yield from _texts(event_data(stream[start:end]) or b"", "delta")
        start = end


def _texts(data: bytes, holder: str) -> Iterator[str]:
    """The texts of choice 0; none in what is no JSON, as half an event isn't."""
    for part in choice_parts(_parse(data), holder):
        if part.index == 0:
            yield from (text for _, text in part.texts)


def _parse(data: bytes) -> Any:
    try:
        return splice.parse(data)
    except ValueError:
        return None


def _first(texts: Iterator[str], chars: int) -> str:
    """Enough of *texts* for so many characters, blank space at the beginning aside; the rest is not read."""
    found = ""
    for text in texts:
        found = (found + text).lstrip()
        if len(found) >= chars:
            break
    # JSON can spell half a surrogate pair; no store could write it.
    return found.encode("utf-8", "replace").decode()


def _at_a_word(text: str, max_chars: int) -> str:
    """The beginning of *text*; a word that is too long, as in Chinese, is cut."""
    return text if len(text) <= max_chars else _TORN_WORD.sub("", text[: max_chars + 1])[:max_chars].rstrip()
