"""A streamed completion: bytes in, bytes out, blocks aside.

Three machines stacked: ``sse`` splits events, ``blocks`` decides about each choice's text, and this one holds the events whose
text isn't decided and rewrites those of which a part is hidden. An event that is not changed leaves as the bytes it came in;
events leave in the order they came, but for comments, which never wait.

Fast path: while nothing is held, an event can only matter if its text has a ``<``, a mark of code, a line break or a blank at
its end, or one of their escapes. A look for those bytes is cheaper than parsing, and whole network pieces pass unread.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import deque
from dataclasses import dataclass
from typing import Any

from proxy.core import splice
from proxy.core.blocks import Block, BlockScanner
from proxy.core.chunk import ChoicePart, choice_parts
from proxy.core.sse import EventSplitter, event_data, event_ends, split_comments, with_data

_BLANK_AT_END = re.compile(rb' "[ \t]*[,}\]\r\n]')
_MARKS = [*(re.compile(mark) for mark in (rb"<", rb"`", rb"~", rb'\\(?:n|u00|[trf]")')), _BLANK_AT_END]
_DONE = b"[DONE]"
_END = b"data: [DONE]\n\n"

_MAX_HELD_BYTES = 16 * 1024 * 1024
"""Of an event that does not end and of events that are undecided; the largest that are known hold an image of some megabytes."""


@dataclass(slots=True)
class _Piece:
    """A text of one choice in a held event; it can be taken once the scanner has decided *end* characters."""

    scanner: BlockScanner
    path: splice.Path
    text: str
    end: int


@dataclass(slots=True)
class _Held:
    event: bytes
    pieces: list[_Piece]

    @property
    def decided(self) -> bool:
        for piece in self.pieces:  # noqa: SIM110 (a generator would cost as much as the scanner)
            if piece.scanner.decided < piece.end:
                return False
        return True

    def visible(self) -> bytes:
        """The event as the client may see it: its own bytes, unless some of its text is hidden."""
        edits = []
        for piece in self.pieces:
            text = piece.scanner.take(piece.text)
            if text != piece.text:
                edits.append((piece.path, text))
        return _rewrite(self.event, edits) if edits else self.event


class StreamFilter:
    """Feed it what upstream sends; send on what it returns; read ``blocks`` at the end.

    *choices*: the request's ``n``. *early_finish*: end the client's stream as soon as a block has begun;
    *include_usage*: then wait for the usage chunk that the request asked for.
    """

    rewrites = True
    whole = False

    def __init__(
        self,
        *,
        choices: int = 1,
        max_block_bytes: int = 256 * 1024,
        early_finish: bool = False,
        include_usage: bool = False,
    ) -> None:
        self.blocks: list[Block] = []
        self._choices = choices
        self._max_block_bytes = max_block_bytes
        self._splitter = EventSplitter()
        self._scanners: dict[int, BlockScanner] = {}
        self._held: deque[_Held] = deque()
        self._held_bytes = 0
        self._reads = True
        self._idle = False
        self.holds = self.client_done = False
        self._ending = _EarlyEnding(include_usage=include_usage) if early_finish else None

    @property
    def in_block(self) -> bool:
        return any(scanner.in_block for scanner in self._scanners.values())

    def feed(self, data: bytes) -> bytes:
        if not self._reads:
            return data
        # Deleting the bytes that begin a mark, and a CR, is the quickest way to see whether one is there.
        if (
            self._idle
            and data.endswith(b"\n\n")
            and len(data.translate(None, b"<`~\\\r")) == len(data)
            and _BLANK_AT_END.search(data) is None
            and self._splitter.empty
        ):
            return data
        if _is_one_event(data) and self._splitter.empty:
            out = self._read_event(data)
        else:
            events, comments = self._splitter.feed(data)
            out = self._read(events) if events else b""
            if not self.client_done:
                out += comments
        return out + self._give_up() if self._splitter.held_bytes + self._held_bytes > _MAX_HELD_BYTES else out

    def _give_up(self) -> bytes:
        """Nothing that a model writes is like this: what is held leaves, and what comes is read no more."""
        self._reads = False
        self.client_done = self._ending is not None and self._ending.begun
        return self.finish()

    def finish(self) -> bytes:
        """The upstream's stream is over, cleanly or not: nothing stays held."""
        tail = self._splitter.flush()
        # Behind an event that has not ended, no other can be put.
        ending, self._ending = self._ending, None
        # A torn event can't be read, so what it holds of a block can't be told from what the user may see.
        out = b"" if self.in_block and _parse_event(tail) is None else self._read(tail)
        self._finish_choices()
        self.holds = False
        out += self._release()
        return ending.close() if ending is not None and ending.begun else out

    def _read(self, events: bytes) -> bytes:
        marks = _Marks(events)
        if self._idle and marks.next(0) == len(events):
            return events
        out = []
        ends = event_ends(events)
        at = i = 0
        while at < len(events):
            if self._idle:
                i = bisect_right(ends, marks.next(at))
                innocent = ends[i - 1] if i else 0
                out.append(events[at:innocent])
                at = innocent
            if at < len(events):
                out.append(self._read_event(events[at : ends[i]]))
                at = ends[i]
                i += 1
        return b"".join(out)

    def _read_event(self, event: bytes) -> bytes:
        comments, event = split_comments(event)
        out = b"" if self.client_done else comments
        if event:
            out += self._read_data(event)
        self._idle = self._is_idle()
        self.holds = not self._idle and (bool(self._held) or self.in_block)
        return out

    def _read_data(self, event: bytes) -> bytes:
        value = _parse_event(event)
        if value == _DONE:
            self._finish_choices()
        held = _Held(event, [])
        for part in choice_parts(value, "delta"):
            held.pieces += self._read_choice(part)
        out = self._release(held)
        if self._ending is None:
            return out
        begins = not self._held and (self.in_block or bool(self.blocks))
        out = self._ending.feed(out, event, value, begins=begins)
        self.client_done = self._ending.done
        return out

    def _read_choice(self, part: ChoicePart) -> list[_Piece]:
        scanner = self._scanners.get(part.index)
        if scanner is None:
            scanner = self._scanners[part.index] = BlockScanner(max_block_bytes=self._max_block_bytes)
        if part.other_output and not part.texts and not scanner.in_block:
            scanner.finish()
        pieces = []
        for path, text in part.texts:
            scanner.feed(text)
            pieces.append(_Piece(scanner, path, text, scanner.fed))
        if part.finish_reason is not None:
            scanner.finish(truncated=part.truncated)
        self._collect(scanner)
        return pieces

    def _finish_choices(self) -> None:
        for scanner in self._scanners.values():
            scanner.finish()
            self._collect(scanner)

    def _collect(self, scanner: BlockScanner) -> None:
        if scanner.blocks:
            self.blocks += scanner.blocks
            scanner.blocks = []

    def _release(self, last: _Held | None = None) -> bytes:
        """What has been decided of the held events, and of *last*, which is held behind them if it must be."""
        if last is not None and not self._held and last.decided:
            return last.visible()
        if last is not None:
            self._held.append(last)
            self._held_bytes += len(last.event)
        out = []
        while self._held and self._held[0].decided:
            held = self._held.popleft()
            self._held_bytes -= len(held.event)
            out.append(held.visible())
        return b"".join(out)

    def _is_idle(self) -> bool:
        if self._held or len(self._scanners) < self._choices or (self._ending is not None and self._ending.begun):
            return False
        return all([scanner.idle for scanner in self._scanners.values()])  # noqa: C419 (no generator: this is the hot path)


class _EarlyEnding:
    """Ends the client's stream in the event in which a block began; later ones only bring the usage, if it was asked for."""

    def __init__(self, *, include_usage: bool) -> None:
        self.begun = False
        self.done = False
        self._include_usage = include_usage

    def feed(self, out: bytes, event: bytes, value: Any, *, begins: bool) -> bytes:
        """What the client gets for *event*, for which *out* would leave."""
        if self.begun:
            out = b""
        elif begins:
            self.begun = True
            self.done = value == _DONE
            out += _finish_chunk(value)
        return out + self._end(event, value) if self.begun and not self.done else out

    def close(self) -> bytes:
        return b"" if self.done else _END

    def _end(self, event: bytes, value: Any) -> bytes:
        usage = b""
        if self._include_usage and value != _DONE:
            if not isinstance(value, dict) or not value.get("usage"):
                return b""
            usage = _event(value | {"choices": []}) if value.get("choices") else event
        self.done = True
        return usage + _END


def _is_one_event(data: bytes) -> bool:
    return data.endswith(b"\n\n") and data.find(b"\n\n") == len(data) - 2 and b"\r" not in data


class _Marks:
    """Where the bytes lie by which an event may matter. Each kind is looked for once along the data, however often it is asked."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._next = [-1] * len(_MARKS)

    def next(self, at: int) -> int:
        """The place of the first mark from *at* on, or the data's length."""
        for i, mark in enumerate(_MARKS):
            if self._next[i] < at:
                found = mark.search(self._data, at)
                self._next[i] = found.start() if found else len(self._data)
        return min(self._next)


def _finish_chunk(value: Any) -> bytes:
    if value == _DONE or any(part.finish_reason for part in choice_parts(value, "delta")):
        return b""
    choice = {"index": 0, "delta": {}, "finish_reason": "stop"}
    return _event({key: each for key, each in value.items() if key != "usage"} | {"choices": [choice]})


def _event(value: dict[str, Any]) -> bytes:
    return b"data: " + splice.quote(value) + b"\n\n"


def _parse_event(event: bytes) -> Any:
    """The event's JSON value, ``_DONE``, or ``None`` where there is neither."""
    data = event_data(event)
    if data is None:
        return None
    if data.startswith(_DONE):
        return _DONE
    try:
        return splice.parse(data)
    except ValueError:
        return None


def _rewrite(event: bytes, edits: list[tuple[splice.Path, str]]) -> bytes:
    data = event_data(event) or b""
    span = _only_content(data)
    edited = splice.replace(data, [(span, splice.quote(edits[0][1]))]) if span else splice.replace_texts(data, edits)
    return with_data(event, edited)


def _only_content(data: bytes) -> splice.Span | None:
    """Where the one text called ``content`` lies, if there is no other: the usual case, at a tenth of the cost of a search."""
    # Inside a string the quotes would be escaped, and without escapes no key can be spelt in another way.
    at = data.find(b'"content":"')
    if at < 0 or data.count(b'"content"') > 1:
        return None
    span = splice.string_at(data, at + len(b'"content":'))
    return None if b"\\" in data[:at] or data.find(b"\\", span[1]) >= 0 else span
