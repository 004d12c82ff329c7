"""Input that is known to break parsers, proxies and those who buffer."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from itertools import chain, repeat

from tests.fuzz.arena import MB, Case

CHATS = "/v1/chat/completions"
SSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
JSON = SSE.replace(b"text/event-stream", b"application/json")
USER = b'{"role":"user","content":"I like tea"}'
OURS = frozenset({400, 413, 431})
WELL = frozenset({200})


def request(body: bytes, *headers: str, path: str = CHATS) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: proxy", "Connection: close", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def chat(*more: bytes, message: bytes = USER) -> bytes:
    return b'{"model":"m","stream":true,"messages":[%b]%b}' % (message, b"".join(b"," + each for each in more))


def event(delta: object, index: object = 0) -> bytes:
    return b"data: %b\n\n" % json.dumps({"choices": [{"index": index, "delta": delta}]}).encode()


def all_cases() -> Iterator[Case]:
    for name, body in _bodies():
        yield Case(f"body: {name}", request(body), body=body, status=WELL, grows_mb=64 + 16 * len(body) // MB)
    yield from _framing()
    yield from _headers()
    yield from _sizes()
    for name, answer in _answers():
        yield Case(f"answer: {name}", request(chat()), answers=answer)
    yield from _floods()


def _bodies() -> Iterator[tuple[str, bytes]]:
    deep = b"[" * 100_000 + b"]" * 100_000
    million = b"[" + b",".join(repeat(b"0", 1_000_000)) + b"]"
    yield "none", b""
    yield "no JSON", b"{" * 1000
    yield "not UTF-8", chat(b'"x":"\xff\xfe"')
    yield "UTF-16", chat().decode().encode("utf-16")
    yield "a BOM", b"\xef\xbb\xbf" + chat()
    yield "100,000 deep", chat(b'"x":' + deep)
    yield "100,000 objects deep", chat(b'"x":' + b'{"a":' * 100_000 + b"0" + b"}" * 100_000)
    yield "900 deep", chat(b'"x":' + b"[" * 900 + b"]" * 900)
    yield "a content 100,000 deep", chat(message=b'{"role":"user","content":%b}' % deep)
    yield "an array of a million", chat(b'"x":' + million)
    yield "a million messages", b'{"messages":[%b]}' % b",".join(repeat(USER, 1_000_000))
    yield (
        "a million parts",
        chat(message=b'{"role":"user","content":[%b]}' % b",".join(repeat(b'{"type":"text","text":"a"}', 1_000_000))),
    )
    yield "a million keys", chat(*(b'"k%d":0' % i for i in range(1_000_000)))
    yield (
        "a message of a million keys",
        chat(message=b'{"role":"user","content":"a",%b}' % b",".join(b'"k%d":0' % i for i in range(1_000_000))),
    )
    yield "messages twice", chat(b'"messages":[%b,%b]' % (USER, USER))
    yield "content twice", chat(message=b'{"role":"user","content":["a"],"content":"b"}')
    yield "content in two spellings", chat(message=b'{"role":"user","c\\u006fntent":["a"],"content":"b"}')
    yield "half a pair of surrogates", chat(message=b'{"role":"user","content":"\\ud800 tea","\\udfff":1}')
    yield "half a pair for a user", chat(b'"user":"\\ud800"')
    yield "NUL", chat(b'"user":"a\\u0000b"', message=b'{"role":"user","content":"a\\u0000b"}')
    yield "NaN and infinities", chat(b'"n":NaN', b'"max_tokens":-Infinity', b'"temperature":Infinity')
    for number in (b"1e400", b"-1e400", b"1E-400", b"9" * 10_000, b"-" + b"9" * 5000, b"0." + b"9" * 10_000, b"1e99999999999"):
        yield f"the number {number[:12].decode()}", chat(b'"n":%b' % number, b'"max_tokens":%b' % number)
    for value in (b"null", b"true", b"0", b'""', b"[]", b"{}", b"[[]]", b'[{"type":"text"}]', b'[{"type":"text","text":0}]'):
        yield f"content {value.decode()}", chat(message=b'{"role":"user","content":%b}' % value)
        yield f"fields of {value.decode()}", chat(*(b'"%b":%b' % (key, value) for key in FIELDS))
    yield "10 MB of quotes", chat(message=b'{"role":"user","content":"%b"}' % (b'\\"' * 5_000_000))
    yield "10 MB of blanks", chat(b'"x":' + b" " * 10_000_000 + b"0")
    yield "frames of ours", chat(message=b'{"role":"user","content":"%b"}' % (b"<memory>[m1] (said" * 5000))


FIELDS = [
    b"n",
    b"user",
    b"metadata",
    b"tools",
    b"stream_options",
    b"response_format",
    b"tool_choice",
    b"modalities",
    b"max_tokens",
]


def _framing() -> Iterator[Case]:
    """Requests that two readers could cut in two ways. What is refused reaches nobody; what is read goes on in one form."""
    head = "POST /v1/x HTTP/1.1\r\nHost: proxy\r\nConnection: close\r\n"
    smuggled = "GET /v1/smuggled HTTP/1.1\r\nHost: proxy\r\n\r\n"

    def sends(name: str, rest: str, *, refused: bool = True) -> Case:
        status, upstream = (OURS, ()) if refused else (None, None)
        return Case(f"framing: {name}", (head + rest).encode("latin-1"), status=status, upstream=upstream)

    yield sends("a length and chunks", f"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}")
    yield sends("chunks and a length", f"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n{smuggled}")
    yield sends("two lengths", f"Content-Length: 0\r\nContent-Length: 44\r\n\r\n{smuggled}")
    yield sends("two equal lengths", "Content-Length: 2\r\nContent-Length: 2\r\n\r\nab")
    for length in ("+2", "-2", "2 2", "0x2", "2,2", "", "2_0", "٢", "9" * 30, "1e1", "2\x0b"):
        yield sends(f"the length {length!r}", f"Content-Length: {length}\r\n\r\nab".encode().decode("latin-1"))
    for coding in ("chunked, identity", "xchunked", "chunked, chunked", "chunked;q=1", '"chunked"', "chunk\x0bed", "identity"):
        yield sends(f"the coding {coding!r}", f"Transfer-Encoding: {coding}\r\n\r\n0\r\n\r\n{smuggled}")
    yield sends("two codings", f"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}")
    yield sends("a blank before the colon", f"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n{smuggled}")
    yield sends("a folded header", f"X: a\r\n Transfer-Encoding: chunked\r\n\r\n{smuggled}")
    yield sends("a folded coding", f"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n{smuggled}")
    yield sends("a bare CR", f"X: a\rTransfer-Encoding: chunked\r\n\r\n{smuggled}")
    yield sends("a NUL", f"X: a\0Transfer-Encoding: chunked\r\n\r\n{smuggled}")
    for size in ("+1", "-1", "0x1", " 1", "1 ", "g", "", "1" * 30, "1_0"):
        yield sends(f"the chunk size {size!r}", f"Transfer-Encoding: chunked\r\n\r\n{size}\r\na\r\n0\r\n\r\n", refused=False)
    yield sends("a chunk longer than its size", "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n", refused=False)
    yield sends("chunk extensions", 'Transfer-Encoding: chunked\r\n\r\n1;a=b;c="d"\r\na\r\n0;e\r\n\r\n', refused=False)
    yield sends(
        "trailers", "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Memory-User: eve\r\nHost: b\r\n\r\n", refused=False
    )
    yield sends("a length that does not come", "Content-Length: 5\r\n\r\n12345", refused=False)
    bare = f"POST /v1/x HTTP/1.1\nHost: proxy\nConnection: close\nTransfer-Encoding: chunked\n\n0\n\n{smuggled}"
    yield Case("framing: bare LF", bare.encode(), status=OURS, upstream=())


def _headers() -> Iterator[Case]:
    def sends(name: str, data: bytes, status: frozenset[int] | None = None) -> Case:
        return Case(f"head: {name}", data, status=status)

    yield sends("garbage", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", OURS)
    yield sends("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", OURS)
    yield sends("a version of its own", b"GET /v1/x HTTP/9.9\r\nConnection: close\r\n\r\n")
    yield sends("no Host", b"GET /v1/x HTTP/1.1\r\nConnection: close\r\n\r\n")
    yield sends("two Hosts", b"GET /v1/x HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n")
    for path in (
        b"//",
        b"/v1/%",
        b"/v1/%zz",
        b"/v1/%00",
        b"/v1/../../x",
        b"*",
        b"http://[::1",
        b"http://a:99999/",
        b"/v1/\xff",
        b"x:y",
        b"?",
    ):
        yield sends(f"the path {path.decode('latin-1')}", b"GET %b HTTP/1.1\r\nHost: proxy\r\nConnection: close\r\n\r\n" % path)
    for user in (b"", b" ", b"a" * 5000, b"\xff", b"../../etc", b"a\tb", b"\x7f", b"'; DROP", b"u" * 60_000):
        yield sends(f"the user {user[:10]!r}", request(chat(), "X-Memory-User: " + user.decode("latin-1")))
    for name in ("Session", "Mode"):
        for value in ("\x7f", "a" * 5000, "\xff", "full, off"):
            yield sends(f"the {name.lower()} {value[:10]!r}", request(chat(), f"X-Memory-{name}: {value}"))
    yield sends("a hundred thousand headers", request(b"{}", *(f"X-{i}: 1" for i in range(100_000))), OURS | {0})
    yield sends("a header of a megabyte", request(b"{}", "X: " + "a" * MB), OURS)
    yield sends("a path of a megabyte", request(b"{}", path="/v1/" + "a" * MB), OURS)
    yield sends("Connection names everything", request(chat(), "Connection: content-length, host, content-type, x-memory-user"))
    yield sends("an upgrade", request(b"", "Connection: upgrade", "Upgrade: h2c", path="/v1/x"))
    yield sends("an expectation", request(b"{}", "Expect: 200-maybe"))
    yield sends("a coding of the body", request(zlib.compress(b"{}"), "Content-Encoding: deflate"))


def _sizes() -> Iterator[Case]:
    """Larger than is allowed: refused as soon as that is known."""
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: proxy\r\nConnection: close\r\n"
    mb = bytes(MB)
    told = head + b"Content-Length: %d\r\n\r\n" % (512 * MB)
    too_large = frozenset({413})
    yield Case("size: 512 MB by its length", chain([told], repeat(mb, 512)), status=too_large, upstream=(), grows_mb=16)
    chunks = chain([head + b"Transfer-Encoding: chunked\r\n\r\n"], repeat(b"100000\r\n" + mb + b"\r\n", 128))
    yield Case("size: 128 MB in chunks", chunks, status=too_large, upstream=(), grows_mb=96)


def _answers() -> Iterator[tuple[str, bytes]]:
    deep = b"[" * 100_000 + b"]" * 100_000
    block = '<memory>{"memories":["Likes tea"]}</memory>'
    yield "nothing", b""
    yield "garbage", b"\x00\xff" * 500
    yield "no status", b"HTTP/1.1  \r\n\r\n"
    yield "the status 1000", b"HTTP/1.1 1000 OK\r\n\r\n"
    yield "the status 100 for ever", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000
    yield "the status 101", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nx"
    yield "two lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"
    yield "a length and chunks", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"
    yield "a length that is none", b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nab"
    yield "a type that is none", b"HTTP/1.1 200 OK\r\nContent-Type: ;;\xff\r\nContent-Length: 2\r\n\r\nab"
    yield "headers of ours", b"HTTP/1.1 200 OK\r\nX-Memory-Status: evil\r\nX-Memory-Trace: 1\r\nContent-Length: 2\r\n\r\nab"
    yield "ten thousand headers", b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 10_000 + b"\r\n"
    for index in (None, -1, 10**30, 1.5, "0", True, [], {}):
        yield f"the index {index!r}", SSE + event({"content": f"Hi {block}"}, index)
    for delta in (
        None,
        0,
        "x",
        [],
        {"content": 0},
        {"content": [0]},
        {"content": {}},
        {"content": [{"type": "text", "text": 0}]},
    ):
        yield f"the delta {delta!r}", SSE + event(delta)
    for data in (
        b"null",
        b"0",
        b'""',
        b"[]",
        b"{}",
        b"NaN",
        b'{"choices":0}',
        b'{"choices":[0]}',
        b"9" * 10_000,
        b"1e400",
        b"\xff",
    ):
        yield f"the event {data[:12]!r}", SSE + b"data: %b\n\n" % data
    yield "100,000 deep", SSE + b'data: {"choices":[{"index":0,"delta":{"content":"<"}}],"x":%b}\n\n' % deep
    yield "10,000 choices", SSE + b"".join(event({"content": "<mem"}, i) for i in range(10_000))
    yield "half a pair before a block", SSE + event({"content": "\ud800" + block + "\udc00"})
    yield (
        "keys twice",
        SSE + b'data: {"choices":[],"choices":[{"index":0,"delta":{"content":"a<","content":"<memory>[1]</memory>"}}]}\n\n',
    )
    for body in (
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"memories":[' * 10_000,
        "[NaN,1e400," + "9" * 10_000 + "]",
        '["\ud800"]',
        '["\\ud800\\u0000"]',
    ):
        yield f"the block {body[:16]!r}", SSE + event({"content": f"Hi <memory>{body}</memory>"}) + event({"content": "Bye"})
    yield "a thousand blocks", SSE + event({"content": block}) * 1000
    yield "tags in tags", SSE + event({"content": "<memory>" * 10_000})
    yield "a completion 100,000 deep", JSON + b'{"choices":[{"message":{"content":"<"}}],"x":%b}' % deep
    yield "a completion with half a pair", JSON + json.dumps({"choices": [{"message": {"content": "\ud800" + block}}]}).encode()
    yield "a completion of something else", JSON + b'[[["<memory>"]]]'


def _floods() -> Iterator[Case]:
    """Much more than fits into the memory that is allowed; it must go through, or end."""
    hundred = 100
    mb_of_words = event({"content": "word " * 2000}) * 100

    def answers(name: str, *pieces: bytes, head: bytes = SSE, count: int = hundred) -> Case:
        return Case(f"flood: {name}", request(chat()), answers=chain([head], pieces[:-1], repeat(pieces[-1], count)), grows_mb=96)

    yield answers("text", mb_of_words)
    yield answers("a block without end", event({"content": '<memory>{"memories":["'}), mb_of_words)
    yield answers("an event without end", b'data: {"choices":[{"index":0,"delta":{"content":"', b"x" * MB)
    yield answers("an event without end in a block", event({"content": '<memory>{"memories":["'}), b"x" * MB)
    yield answers("a comment without end", b":", b"x" * MB)
    yield answers("another choice behind an open tag", event({"content": "Hi <mem"}), event({"content": "word " * 2000}, 1) * 100)
    gzipped = SSE.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n")
    yield answers("a bomb of 1 GB", *_bomb(1024), head=gzipped, count=1)
    yield answers(
        "a bomb for a completion", *_bomb(1024), head=gzipped.replace(b"text/event-stream", b"application/json"), count=1
    )


def _bomb(mb: int) -> Iterator[bytes]:
    packer = zlib.compressobj(9, wbits=31)
    zeros = bytes(MB)
    yield b"".join(packer.compress(zeros) for _ in range(mb))
    yield packer.flush()
