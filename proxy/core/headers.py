"""Which headers travel on, in both directions (RFC 9110 §7.6.1).

Requests are text pairs, as aiohttp's client takes them.
Responses are the bytes that came: spelling, order, duplicates such as ``Set-Cookie`` and bytes beyond ASCII survive.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set

HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
# ``Host`` names us, and ``Expect: 100-continue`` was answered by us: passed on, both sides would wait (aio-libs/aiohttp#287).
_NOT_UPSTREAM = HOP_BY_HOP | {"host", "expect"}
_NOT_TO_CLIENT = frozenset(name.encode() for name in HOP_BY_HOP)
_OURS = "x-memory-"

RawHeaders = Sequence[tuple[bytes, bytes]]


def for_upstream(
    headers: Iterable[tuple[str, str]], connection: Sequence[str] = (), *, drop: Set[str] = frozenset()
) -> list[tuple[str, str]]:
    """What of a client's *headers* goes upstream: not what ends here, not what is for us, and not *drop* (lower case).

    *connection* holds the values of the ``Connection`` headers, which may nominate more that ends here.
    """
    ending = _NOT_UPSTREAM | drop | tokens(connection) if connection or drop else _NOT_UPSTREAM
    return [(name, value) for name, value in headers if (low := name.lower()) not in ending and low[:9] != _OURS]


def for_client(
    headers: RawHeaders, connection: Sequence[str] = (), *, drop: Set[bytes] = frozenset()
) -> list[tuple[bytes, bytes]]:
    """What of an upstream's *headers* goes to the client: not what ends here, and not *drop* (lower case).

    *connection* as in ``for_upstream``.
    """
    ending = _NOT_TO_CLIENT
    if connection or drop:
        ending = ending | drop | {word.encode("utf-8", "surrogateescape") for word in tokens(connection)}
    return [header for header in headers if header[0].lower() not in ending]


def tokens(values: Iterable[str]) -> frozenset[str]:
    """The comma-separated words of *values*, in lower case."""
    return frozenset([word.strip().lower() for value in values for word in value.split(",")])


def upgrade_wanted(connection: Iterable[str], upgrade: str) -> bool:
    """Whether a request asks for another protocol that may go through untouched.

    Not for HTTP/2: Java's client offers ``h2c`` on every plain request, and what follows would still be HTTP.
    """
    return upgrade.lower() not in ("h2c", "h2") and "upgrade" in tokens(connection)


def render_head(start_line: str, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The head of a response, ready to be sent. A line break inside a header is a ``ValueError``, never a second header."""
    lines = [start_line.encode("utf-8", "surrogateescape"), *map(b": ".join, headers)]
    head = b"\r\n".join(lines)
    if head.count(b"\r") != len(lines) - 1 or head.count(b"\n") != len(lines) - 1:
        raise ValueError("a response header holds a line break")
    return head + b"\r\n\r\n"
