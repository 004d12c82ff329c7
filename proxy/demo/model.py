"""A model server that needs no model: OpenAI's wire format, with a script where the neural network would be.

What the user tells of themselves it puts into a memory block, if it was asked for one; what it is asked it answers from the
recalled notes that it was shown. Streams token by token.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

MODEL = "scripted-1"
_NOTE = re.compile(r"^\[m\d+\] \(\w+\) (.+)$", re.MULTILINE)
_FRAME = re.compile(r"<recalled_notes>.*?</recalled_notes>\s*", re.DOTALL)
_TOKEN = re.compile(r"\s*\S+|\s+")
_TOLD = re.compile(r"\b(I'm|I am|I|My)\s+(.+?)(?:[.!;]|,? and (?=(?:I|my)\b)|$)", re.IGNORECASE | re.MULTILINE)
_IRREGULAR = {"have": "has", "do": "does", "go": "goes", "never": "never", "always": "always", "really": "really"}
_WANTS_BLOCK = "<memory>"
_PREFERENCES = ("prefer", "like", "love", "hate", "enjoy", "always", "never")
_CONTEXTS = ("working on", "building", "migrating", "planning", "learning")

Script = Callable[[list[dict[str, Any]]], str]


class ModelServer:
    """``seen`` holds each request body that arrived, as parsed JSON, and ``said`` each whole answer.

    *script* makes an answer of a conversation's messages; ``compose`` unless another is given.
    """

    def __init__(self, script: Script | None = None, *, token_delay_s: float = 0.01) -> None:
        self.seen: list[dict[str, Any]] = []
        self.said: list[str] = []
        self._script = script or compose
        self._token_delay_s = token_delay_s

    @asynccontextmanager
    async def listening(self, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
        """Serve until the block is left. Yields the base URL."""
        app = web.Application()
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/chat/completions", self._complete)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
            yield f"http://{host}:{runner.addresses[0][1]}/v1"
        finally:
            await runner.cleanup()

    async def _models(self, _: web.Request) -> web.Response:
        model = {"id": MODEL, "object": "model", "created": 0, "owned_by": "memory-proxy"}
        return web.json_response({"object": "list", "data": [model]})

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        answer = self._script(body["messages"])
        self.seen.append(body)
        self.said.append(answer)
        if body.get("stream"):
            return await self._stream(request, body, answer)
        message = {"role": "assistant", "content": answer}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        return web.json_response({**_head("chat.completion"), "choices": [choice], "usage": _usage(body, answer)})

    async def _stream(self, request: web.Request, body: dict[str, Any], answer: str) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        deltas: list[dict[str, str]] = [{"role": "assistant", "content": ""}]
        deltas += [{"content": token} for token in _TOKEN.findall(answer)]
        for delta in deltas:
            await response.write(_chunk([{"index": 0, "delta": delta, "finish_reason": None}]))
            await asyncio.sleep(self._token_delay_s)
        await response.write(_chunk([{"index": 0, "delta": {}, "finish_reason": "stop"}]))
        if (body.get("stream_options") or {}).get("include_usage"):
            await response.write(_chunk([], usage=_usage(body, answer)))
        await response.write_eof(b"data: [DONE]\n\n")
        return response


def compose(messages: list[dict[str, Any]]) -> str:
    """The answer to a conversation: notes if it was shown any that fit, thanks for what it was told, and the block."""
    text = next(_text(each) for each in reversed(messages) if each["role"] == "user")
    asked = _FRAME.sub("", text).strip()
    told = told_by(asked)
    if told:
        answer = "Thank you, I'll keep that in mind."
    elif notes := _NOTE.findall(text):
        answer = "From what you told me before: " + "; ".join(note.rstrip(".") for note in notes) + "."
    else:
        answer = "I don't know anything about you yet."
    if told and any(_WANTS_BLOCK in _text(each) for each in messages if each["role"] in ("system", "developer")):
        answer += "\n\n<memory>" + json.dumps({"memories": told}, ensure_ascii=False) + "</memory>"
    return answer


def told_by(text: str) -> list[dict[str, str]]:
    """What *text* tells of the person who wrote it, as memories."""
    if text.rstrip().endswith("?"):
        return []
    return [{"content": _about_the_user(*found), "category": _category(found[1])} for found in _TOLD.findall(text)]


def _about_the_user(subject: str, rest: str) -> str:
    rest = re.sub(r"\bmy\b", "their", re.sub(r"\bI\b", "they", rest))
    if subject.lower() == "my":
        return f"Their {rest}"
    if subject.lower() != "i":
        return f"Is {rest}"
    verb, _, object_ = rest.partition(" ")
    return f"{_IRREGULAR.get(verb.lower(), verb + 's').capitalize()} {object_}".strip()


def _category(text: str) -> str:
    low = text.lower()
    if any(word in low for word in _PREFERENCES):
        return "preference"
    return "context" if any(word in low for word in _CONTEXTS) else "fact"


def _text(message: dict[str, Any]) -> str:
    content = message.get("content") or ""
    return content if isinstance(content, str) else "\n".join(part.get("text", "") for part in content)


def _head(kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-demo", "object": kind, "created": 1750000000, "model": MODEL}


def _chunk(choices: list[dict[str, Any]], **more: Any) -> bytes:
    value = {**_head("chat.completion.chunk"), "choices": choices, **more}
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"


def _usage(body: dict[str, Any], answer: str) -> dict[str, int]:
    asked = sum(len(_text(each).split()) for each in body["messages"])
    said = len(answer.split())
    return {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}
