"""The bytes that the benchmarks send and answer: what OpenAI's client and OpenAI's servers put on the wire."""

from __future__ import annotations

import json
import re

PROSE = """\
Moving a service to another region is mostly a question of order. First copy the data that never changes, such as images and
old invoices, and let that run for a day. Then set up replication for the database and watch the lag until it stays below a second.

When both sides agree, lower the time to live of the DNS records, wait until the old value has expired everywhere, and switch the
writers before the readers. A short pause of writes, ten seconds or so, is easier to explain than two histories that have to be merged.

1. Freeze schema changes a week before.
2. Rehearse the switch on a copy, with a stopwatch.
3. Keep the old region warm for a week, because that is how long it takes until someone finds the forgotten cron job.

It's worth writing down who decides to go back, and by when. Most failed moves were not wrong, they were undecided for an hour too long.
"""
TOKENS = re.findall(r" ?[A-Za-z]{1,7}|[a-z]+|\.\n+|\n+|.", PROSE)
"""Cut about as a tokenizer does; a full stop and the line breaks behind it are one token."""

QUESTION = "How would you move our billing service from Frankfurt to Ireland without losing a single payment on the way?"
CONVERSATION = [
    {"role": "system", "content": "You are a helpful assistant of a company that sells bicycles."},
    {"role": "user", "content": "How does one move a service to another region?"},
    {"role": "assistant", "content": PROSE},
    {"role": "user", "content": "Which of these steps is the one that people forget?"},
    {"role": "assistant", "content": PROSE[:400]},
    {"role": "user", "content": QUESTION},
]
"""Six messages, 2.3 KB."""

FOR_ANN = b"X-Memory-User: ann\r\n"

_REQUEST = (
    b"POST %b HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\nContent-Type: application/json\r\n"
    b"User-Agent: OpenAI/Python 3.52.0\r\nAuthorization: Bearer sk-benchmark\r\nX-Stainless-Lang: python\r\n"
    b"X-Stainless-Retry-Count: 0\r\nAccept-Encoding: gzip, deflate\r\n%bContent-Length: %d\r\n\r\n%b"
)
_ANSWER_HEAD = (
    b"HTTP/1.1 200 OK\r\nDate: Fri, 20 Nov 2026 16:00:00 GMT\r\nServer: upstream\r\nx-request-id: req_3f0c5b2ad1e94b0f\r\n"
    b"openai-organization: org\r\nopenai-processing-ms: 41\r\nopenai-version: 2020-10-01\r\nx-ratelimit-limit-requests: 10000\r\n"
    b"x-ratelimit-remaining-requests: 9999\r\nx-ratelimit-reset-requests: 6ms\r\n"
)
EMBEDDING = b'{"object":"list","data":[{"object":"embedding","index":0,"embedding":[%b]}]}' % b",".join([b"0.0123"] * 100)


def request(path: bytes, body: bytes, headers: bytes = b"") -> bytes:
    return _REQUEST % (path, headers, len(body), body)


def embeddings_request() -> bytes:
    body = {"model": "text-embedding-3-small", "input": "The quick brown fox jumps over the lazy dog", "encoding_format": "float"}
    return request(b"/v1/embeddings", json.dumps(body).encode())


def question(text: str, headers: bytes = b"", *, stream: bool = False) -> bytes:
    """A new conversation that begins with *text*."""
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": text}], "stream": stream}
    return request(b"/v1/chat/completions", json.dumps(body).encode(), headers)


def chat_request(*, stream: bool = False, headers: bytes = b"") -> bytes:
    body = {"model": "gpt-4o", "messages": CONVERSATION, "temperature": 0.7, "stream": stream}
    return request(b"/v1/chat/completions", json.dumps(body).encode(), headers)


def whole(body: bytes) -> bytes:
    """A whole answer of JSON."""
    return _ANSWER_HEAD + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def completion() -> bytes:
    message: dict[str, object] = {"role": "assistant", "content": PROSE, "refusal": None, "annotations": []}
    choices = [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}]
    usage = {"prompt_tokens": 900, "completion_tokens": 250, "total_tokens": 1150}
    return json.dumps({**_ENVELOPE, "object": "chat.completion", "choices": choices, "usage": usage}).encode()


STREAM_HEAD = _ANSWER_HEAD + b"Content-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
_ENVELOPE = {
    "id": "chatcmpl-CqT8g1mZ0e4yQ2m7vJfR3hWcX5bLk",
    "object": "chat.completion.chunk",
    "created": 1795190400,
    "model": "gpt-4o-2024-08-06",
    "service_tier": "default",
    "system_fingerprint": "fp_a7d06e42a7",
}


def event(text: str) -> bytes:
    """One chunk of a streamed completion, as OpenAI writes it."""
    choice = {"index": 0, "delta": {"content": text}, "logprobs": None, "finish_reason": None}
    chunk = {**_ENVELOPE, "choices": [choice], "usage": None}
    return b"data: " + json.dumps(chunk, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"


def small_event(text: str) -> bytes:
    """The least that is a chunk: nothing but the text around which a server could spare bytes."""
    chunk = {"choices": [{"delta": {"content": text}}]}
    return b"data: " + json.dumps(chunk, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"
LAST_CHUNK = b"0\r\n\r\n"


def http_chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)
