"""Which headers travel on (RFC 9110 §7.6.1)."""

import pytest

from proxy.core.headers import for_client, for_upstream, render_head, tokens, upgrade_wanted

HOP_BY_HOP = [
    "Connection",
    "Keep-Alive",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "Proxy-Connection",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
]


@pytest.mark.parametrize("name", [*HOP_BY_HOP, *map(str.lower, HOP_BY_HOP), "Host", "Expect"])
def test_what_ends_here_does_not_go_upstream(name):
    """Pitfalls 25 and 26."""
    assert for_upstream([("A", "1"), (name, "x"), ("B", "2")]) == [("A", "1"), ("B", "2")]


@pytest.mark.parametrize("name", HOP_BY_HOP)
def test_what_ends_here_does_not_go_to_the_client(name):
    """Pitfall 26."""
    assert for_client([(b"A", b"1"), (name.encode(), b"x"), (b"B", b"2")]) == [(b"A", b"1"), (b"B", b"2")]


def test_headers_nominated_by_connection_end_here_too():
    """Pitfall 26."""
    sent = [("X-Hop", "1"), ("Connection", "close, x-HOP"), ("Connection", "x-other"), ("X-Other", "2"), ("X-Kept", "3")]
    assert for_upstream(sent, ["close, x-HOP", "x-other"]) == [("X-Kept", "3")]
    raw = [(name.encode(), value.encode()) for name, value in sent]
    assert for_client(raw, ["close, x-HOP", "x-other"]) == [(b"X-Kept", b"3")]


def test_a_nominated_name_that_is_not_utf_8_ends_here_as_well():
    raw = [(b"X-\xff", b"1"), (b"X-Kept", b"2")]
    assert for_client(raw, [b"close, x-\xff".decode("utf-8", "surrogateescape")]) == [(b"X-Kept", b"2")]


def test_headers_for_us_stay_with_us():
    assert for_upstream([("X-Memory-User", "ada"), ("x-memory-mode", "off"), ("x-memo", "kept")]) == [("x-memo", "kept")]


def test_order_spelling_and_duplicates_survive():
    """Pitfall 26: ``dict(headers)`` would lose a cookie."""
    raw = [(b"Set-Cookie", b"a=1"), (b"X-Name", b"caf\xe9"), (b"set-COOKIE", b"b=2")]
    assert for_client(raw) == raw


def test_a_caller_may_drop_more():
    assert for_upstream([("Accept-Encoding", "br"), ("A", "1")], drop={"accept-encoding"}) == [("A", "1")]
    assert for_client([(b"Content-Length", b"3"), (b"A", b"1")], drop={b"content-length"}) == [(b"A", b"1")]


def test_tokens_are_split_trimmed_and_lowered():
    assert tokens(["Keep-Alive , Upgrade", "X"]) == {"keep-alive", "upgrade", "x"}


@pytest.mark.parametrize(
    ("connection", "upgrade", "wanted"),
    [
        (["Upgrade"], "websocket", True),
        (["keep-alive, upgrade"], "WebSocket", True),
        (["Upgrade"], "anything/1", True),
        ([], "websocket", False),
        (["keep-alive"], "websocket", False),
        (["Upgrade, HTTP2-Settings"], "h2c", False),
    ],
)
def test_an_upgrade_needs_both_headers_and_is_never_http2(connection, upgrade, wanted):
    assert upgrade_wanted(connection, upgrade) is wanted


def test_a_head_is_rendered_byte_for_byte():
    head = render_head("HTTP/1.1 200 Gr\udcfc\udcdfe", [(b"x-Latin", b"caf\xe9"), (b"X-Empty", b"")])
    assert head == b"HTTP/1.1 200 Gr\xfc\xdfe\r\nx-Latin: caf\xe9\r\nX-Empty: \r\n\r\n"


@pytest.mark.parametrize("value", [b"a\r\nSet-Cookie: b", b"a\nb", b"a\rb"])
def test_a_line_break_never_becomes_a_header(value):
    with pytest.raises(ValueError, match="line break"):
        render_head("HTTP/1.1 200 OK", [(b"X", value)])
