"""Seeded mischief: a valid exchange with some of its bytes changed, on either side."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

from tests.fakes import ModelAPI
from tests.fuzz.arena import Case
from tests.fuzz.cases import JSON, SSE, request

WORDS = [
    *(
        b'"',
        b"\\",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"<",
        b">",
        b"\r\n",
        b"\n\n",
        b"\r",
        b"\0",
        b"\xff",
        b"\xe4\xb8",
        b"`",
        b"data: ",
    ),
    *(
        b"<memory>",
        b"</memory>",
        b'{"memories":["',
        b'"forget":["m1"]',
        b'"replaces":"m1"',
        b"null",
        b"NaN",
        b"1e400",
        b"-0",
        b"true",
    ),
    *(
        b"\\ud800",
        b"\\u0000",
        b'"content":',
        b'"index":',
        b'"choices":[',
        b"[DONE]",
        b"0\r\n\r\n",
        b"Content-Length: 3\r\n",
        b"chunked",
    ),
]
TEXTS = [
    "Hello",
    "I like tea",
    "Noted.\n```\n<memory>",
    'Ok\n<memory>{"memories":[{"content":"Likes tea"}]}</memory>',
    "中文 🎉",
    "a < b",
]


def cases(seed: int) -> Iterator[Case]:
    """Without end, and the same for the same *seed*."""
    source = random.Random(seed)
    for number in range(1_000_000_000):
        kind = source.choice([_body, _whole_request, _answer, _block])
        yield kind(source, f"{kind.__name__} {number} of seed {seed}")


def _body(source: random.Random, name: str) -> Case:
    body = mutated(source, _chat(source))
    return Case(name, request(body), body=body, answers=_stream(source))


def _whole_request(source: random.Random, name: str) -> Case:
    # A head that promises more than comes is waited for.
    sends = mutated(source, request(_chat(source), "X-Memory-User: ann"))
    return Case(name, sends, answers=_stream(source), leaves_after_s=0.3)


def _answer(source: random.Random, name: str) -> Case:
    return Case(name, request(_chat(source)), answers=_cut(source, mutated(source, _stream(source))))


def _block(source: random.Random, name: str) -> Case:
    block = mutated(source, b'{"memories":[{"content":"Likes tea","category":"fact","replaces":"m1"}],"forget":["m2"]}')
    text = f"Ok\n<memory>{block.decode('utf-8', 'surrogateescape')}</memory>"
    return Case(name, request(_chat(source)), answers=_cut(source, SSE + b"".join(ModelAPI(text=text, size=20).events())))


def _chat(source: random.Random) -> bytes:
    messages = [
        {"role": source.choice(["user", "assistant", "system", "tool"]), "content": _content(source)}
        for _ in range(source.randint(1, 4))
    ]
    fields = {"n": 2, "user": "ann", "max_tokens": 500, "stream_options": {"include_usage": True}, "metadata": {"user_id": "bob"}}
    chosen = {key: fields[key] for key in source.sample(sorted(fields), source.randint(0, 3))}
    return json.dumps({"model": "m", "stream": source.random() < 0.8, "messages": messages, **chosen}).encode()


def _content(source: random.Random) -> object:
    text = source.choice(TEXTS)
    return source.choice([text, [{"type": "text", "text": text}], None])


def _stream(source: random.Random) -> bytes:
    api = ModelAPI(text=source.choice(TEXTS), size=source.randint(1, 9))
    if source.random() < 0.8:
        return SSE + b"".join(api.events(with_usage=True))
    return JSON + json.dumps({"choices": [{"index": 0, "message": {"content": api.text}}]}).encode()


def mutated(source: random.Random, data: bytes) -> bytes:
    """*data* with some of its bytes replaced, doubled, taken out or moved."""
    changed = bytearray(data)
    for _ in range(source.randint(0, 4)):
        at = source.randint(0, len(changed))
        end = min(len(changed), at + source.choice([0, 0, 1, 2, 8, 40]))
        changed[at:end] = source.choice([b"", source.choice(WORDS), bytes(changed[at:end]) * 2, source.randbytes(2)])
    return bytes(changed)


def _cut(source: random.Random, data: bytes) -> list[bytes]:
    marks = sorted(source.randint(0, len(data)) for _ in range(source.randint(0, 5)))
    return [data[start:end] for start, end in zip([0, *marks], [*marks, len(data)], strict=True)]
