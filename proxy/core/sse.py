"""bytes → server-sent events, as raw bytes.

Lines end with LF, CRLF or CR, and an empty line ends an event (WHATWG HTML, section 9.2.5 and 9.2.6).
All work is on bytes: ``str.splitlines`` would split inside JSON texts that hold U+2028 or U+0085.
"""

from __future__ import annotations

import re

_EOL = rb"(?>\r\n|\r|\n)"
_EVENT_END = re.compile(_EOL + _EOL)
_LF_EVENT_END = re.compile(rb"\n\n")
_LINE_END = re.compile(rb"[\r\n]")
_LINE = re.compile(rb"([^\r\n]*+)(" + _EOL + rb"|\Z)")
# A CR at the very end may be half of a CRLF.
_COMMENTS = re.compile(rb"(?:(?::[^\r\n]*+)?(?>\r\n|\r(?!\Z)|\n))+")
_LONGEST_END = 4
_BOM = b"\xef\xbb\xbf"


class EventSplitter:
    """Keeps the beginning of an event that has not come whole."""

    def __init__(self) -> None:
        self._tail = bytearray()

    @property
    def empty(self) -> bool:
        return not self._tail

    @property
    def held_bytes(self) -> int:
        return len(self._tail)

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """(whole events, comment lines behind them that can go at once); what comes whole is not copied."""
        searched = max(0, len(self._tail) - _LONGEST_END + 1)
        if self._tail:
            self._tail += data
            data = self._cut(_last_event_end(self._tail, searched))
        elif (end := _last_event_end(data, 0)) != len(data):
            self._tail += data[end:]
            data = data[:end]
        return data, self._comments(0 if data else searched) if self._tail else b""

    def flush(self) -> bytes:
        """What is left when the stream ends: an event without its empty line, or a piece of one."""
        return self._cut(len(self._tail))

    def _cut(self, end: int) -> bytes:
        data = bytes(self._tail[:end])
        del self._tail[:end]
        return data

    def _comments(self, searched: int) -> bytes:
        # A comment may be as long as it likes: only what is new in it can end its line.
        if self._tail[0] not in b":\r\n" or not _LINE_END.search(self._tail, searched):
            return b""
        found = _COMMENTS.match(self._tail)
        return self._cut(found.end()) if found else b""


def _last_event_end(data: bytes | bytearray, start: int) -> int:
    if data.find(b"\r", start) < 0:
        at = data.rfind(b"\n\n", start)
        return at + 2 if at >= 0 else 0
    end = 0
    for found in _EVENT_END.finditer(data, start):
        if found.end() == len(data) and data.endswith(b"\n\r"):
            break  # The other half of this CRLF is on its way.
        end = found.end()
    return end


def event_ends(data: bytes) -> list[int]:
    """Where each event of *data* ends, its empty line included."""
    ends = [found.end() for found in (_EVENT_END if b"\r" in data else _LF_EVENT_END).finditer(data)]
    if not ends or ends[-1] < len(data):
        ends.append(len(data))
    return ends


def split_comments(event: bytes) -> tuple[bytes, bytes]:
    """(the comment and empty lines that an event begins with, the rest of it)."""
    found = _COMMENTS.match(event) if event[0] in b":\r\n" else None
    return (event[: found.end()], event[found.end() :]) if found else (b"", event)


def _is_usual(event: bytes) -> bool:
    """One line of data, and the empty one."""
    return event.startswith(b"data: ") and event.endswith(b"\n\n") and event.find(b"\n") == len(event) - 2 and b"\r" not in event


def event_data(event: bytes) -> bytes | None:
    """The values of the event's ``data`` lines, joined by LF; ``None`` without such a line."""
    if _is_usual(event):
        return event[6:-2]
    fields = [line.partition(b":") for line, _ in _LINE.findall(event.removeprefix(_BOM))]
    values = [value.removeprefix(b" ") for name, _, value in fields if name == b"data"]
    return b"\n".join(values) if values else None


def with_data(event: bytes, data: bytes) -> bytes:
    """The same event with other data, in the place of its first ``data`` line; line ends stay as they were."""
    if _is_usual(event):
        return b"data: " + data + b"\n\n"
    lines: list[bytes] = []
    for found in _LINE.finditer(event):
        line, end = found.groups()
        name, _, value = line.partition(b":")
        if name.removeprefix(_BOM) != b"data":
            lines.append(found[0])
        elif data:
            lines.append(name + b":" + value[: value.startswith(b" ")] + data.replace(b"\n", b" ") + end)
            data = b""
    return b"".join(lines)
