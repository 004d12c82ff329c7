"""A chat-completion request: read as values, edited as bytes.

Recalled memories are put before the text of a user message and the instruction behind the first system message by insertion
into the body's bytes, so every other byte goes upstream as it came: big integers, number spellings, unknown fields.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from proxy.core import splice

Edit = tuple[splice.Span, bytes]

_SYSTEM_ROLES = ("system", "developer")
# How vLLM, SGLang and llama.cpp are told to force an answer's form.
_GRAMMARS = (
    *("guided_json", "guided_regex", "guided_choice", "guided_grammar", "structured_outputs"),
    *("regex", "ebnf", "grammar", "json_schema"),
)
# Mistral's word for "required" is "any".
_FORCED_CALL = ("required", "any")
_MANY = 1_000_000

_MAX_PARTS = 20_000
"""Fields, messages, and fields and content parts of these, that are read: a body with more would hold everybody up for long."""


@dataclass(frozen=True)
class ChatRequest:
    """*body* is JSON with a list of messages; *value* is what it says. Made by ``parse``."""

    body: bytes
    value: dict[str, Any]

    @classmethod
    def parse(cls, body: bytes) -> ChatRequest | None:
        """The request, or ``None`` for whatever isn't one: it then goes upstream untouched, to be refused there."""
        try:
            value = splice.parse(body)
        except ValueError:
            return None
        messages = value.get("messages") if isinstance(value, dict) else None
        if not isinstance(messages, list) or not messages or not all(isinstance(each, dict) for each in messages):
            return None
        if len(value) + sum(map(_size, messages)) > _MAX_PARTS:
            return None
        return cls(body, value)

    @property
    def messages(self) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = self.value["messages"]
        return messages

    @property
    def model(self) -> str | None:
        model = self.value.get("model")
        return model if isinstance(model, str) else None

    @property
    def choices(self) -> int:
        n = self.value.get("n")
        return int(min(n, _MANY)) if isinstance(n, (int, float)) and n > 1 else 1

    @property
    def has_tools(self) -> bool:
        return bool(self.value.get("tools") or self.value.get("functions"))

    @property
    def wants_usage_chunk(self) -> bool:
        options = self.value.get("stream_options")
        return isinstance(options, dict) and options.get("include_usage") is True

    @cached_property
    def user_messages(self) -> list[int]:
        """The places of the user's messages."""
        return [i for i, each in enumerate(self.messages) if each.get("role") == "user"]

    @property
    def latest_user(self) -> int | None:
        """The place of the latest user message."""
        return self.user_messages[-1] if self.user_messages else None

    def texts_of(self, *roles: str) -> list[str]:
        """The texts of the messages of these roles, in order."""
        return [self.text(i) for i, each in enumerate(self.messages) if each.get("role") in roles]

    def text(self, index: int) -> str:
        """The text of one message, without its images and the like."""
        return "\n".join(_texts(self.messages[index].get("content")))

    @cached_property
    def fingerprints(self) -> list[str]:
        """For each message, a hash of the conversation up to and with it."""
        so_far, found = hashlib.blake2b(digest_size=16), []
        for start, end in self._spans:
            so_far.update(self.body[start:end])
            so_far.update(b"\0")
            found.append(so_far.hexdigest())
        return found

    @property
    def session(self) -> str:
        """A name for the conversation that stays while it grows: a hash of its messages up to the first of the user's."""
        first = next((i for i, each in enumerate(self.messages) if each.get("role") == "user"), 0)
        return self.fingerprints[first]

    def harm_of_instruction(self, *, min_output_tokens: int, max_choices: int) -> str | None:
        """Why the instruction must not be sent, as a slug, or ``None``: a block would break the answer, or not fit into it."""
        rules = {
            "response_format": self._wants_a_form,
            "tool_choice": self._wants_a_call,
            "logprobs": bool(self.value.get("logprobs") or self.value.get("top_logprobs")),
            "audio": bool(self.value.get("audio")) or self._answers_aloud,
            "max_tokens": any(0 <= limit < min_output_tokens for limit in self._output_limits),
            "prefill": self.messages[-1].get("role") == "assistant",
            "choices": self.choices > max_choices,
        }
        return next((slug for slug, harms in rules.items() if harms), None)

    def edited(self, contexts: Mapping[int, str], instruction: str | None) -> bytes:
        """The body with *contexts* before the texts of the user messages at those places, and *instruction* for the system."""
        edits = [self._context_edit(i, text) for i, text in contexts.items()]
        if instruction is not None:
            edits.append(self._instruction_edit(instruction))
        return splice.replace(self.body, edits)

    @property
    def _wants_a_form(self) -> bool:
        form = self.value.get("response_format")
        return (isinstance(form, dict) and form.get("type") != "text") or any(self.value.get(key) for key in _GRAMMARS)

    @property
    def _wants_a_call(self) -> bool:
        choices = self.value.get("tool_choice"), self.value.get("function_call")
        return any(choice in _FORCED_CALL or isinstance(choice, dict) for choice in choices)

    @property
    def _answers_aloud(self) -> bool:
        modalities = self.value.get("modalities")
        return isinstance(modalities, list) and "audio" in modalities

    @property
    def _output_limits(self) -> Iterator[int | float]:
        """Local servers take a negative number for "no limit"."""
        for key in ("max_tokens", "max_completion_tokens"):
            limit = self.value.get(key)
            if isinstance(limit, (int, float)):
                yield limit

    # Each look for a span reads all the bytes in it, which may be an image's: none is looked for twice.

    @cached_property
    def _messages_span(self) -> splice.Span:
        return splice.find(self.body, ("messages",))

    @cached_property
    def _spans(self) -> list[splice.Span]:
        return list(splice.elements(self.body, self._messages_span))

    def _content_span(self, index: int) -> splice.Span:
        return dict(splice.members(self.body, self._spans[index]))["content"]

    def _context_edit(self, index: int, text: str) -> Edit:
        content, at = self.messages[index]["content"], self._content_span(index)[0] + 1
        if isinstance(content, str):
            return _insert(at, splice.quote(text)[1:-1])
        return _insert(at, _text_part(text) + b"," if content else _text_part(text))

    def _instruction_edit(self, instruction: str) -> Edit:
        for i, each in enumerate(self.messages):
            if each.get("role") in _SYSTEM_ROLES and isinstance(each.get("content"), (str, list)):
                return self._behind(i, instruction)
        return _insert(self._messages_span[0] + 1, b'{"role":"system","content":' + splice.quote(instruction) + b"},")

    def _behind(self, index: int, text: str) -> Edit:
        content, at = self.messages[index]["content"], self._content_span(index)[1] - 1
        if isinstance(content, str):
            return _insert(at, splice.quote("\n\n" + text)[1:-1])
        return _insert(at, b"," + _text_part(text) if content else _text_part(text))


def _size(message: dict[str, Any]) -> int:
    content = message.get("content")
    return len(message) + (len(content) if isinstance(content, list) else 0)


def _text_part(text: str) -> bytes:
    return b'{"type":"text","text":' + splice.quote(text) + b"}"


def _insert(at: int, data: bytes) -> Edit:
    return (at, at), data


def _texts(content: Any) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for part in content:
            if isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str):
                yield part["text"]
