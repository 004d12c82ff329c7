"""Which upstream a request goes to, and under which URL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Protocol
from urllib.parse import urlsplit

import orjson

# Groq's client puts /openai/v1 where everybody else puts /v1.
_BASE_PATHS = ("/v1", "/openai/v1")
_OPEN_ENDS = ("", "/", "?")


class Named(Protocol):
    """One of several upstreams; what ``config.NamedUpstream`` offers."""

    @property
    def name(self) -> str: ...
    @property
    def base_url(self) -> str: ...
    @property
    def prefix(self) -> str | None: ...
    @property
    def models(self) -> Sequence[str]: ...


@dataclass(frozen=True, slots=True)
class Destination:
    """Where one request goes: the upstream's name, for the log, and the whole URL."""

    name: str
    url: str


class Routes:
    """Chooses by path prefix, else by model pattern, else the default; the first that fits is taken."""

    def __init__(self, default_base_url: str, named: Sequence[Named] = ()) -> None:
        self._default = default_base_url
        self._names = [each.name for each in named]
        self._by_prefix = [(each.prefix, each) for each in named if each.prefix is not None]
        self._by_model = [(pattern, each) for each in named for pattern in each.models]

    @property
    def names(self) -> list[str]:
        """Those of all upstreams, the default first."""
        return ["default", *self._names]

    def by_path(self, raw_path: str) -> Destination | None:
        """The upstream whose prefix *raw_path* starts with; the prefix itself is not sent on."""
        for prefix, each in self._by_prefix:
            if _starts_with(raw_path, prefix):
                return Destination(each.name, target_url(each.base_url, raw_path[len(prefix) :]))
        return None

    @property
    def reads_models(self) -> bool:
        """Whether a body's model can make a difference; if not, nobody needs to look for it."""
        return bool(self._by_model)

    def choose(self, raw_path: str, model: str | None = None) -> Destination:
        """The destination of a request for *raw_path* (as sent, with its query) that names *model* in its body."""
        raw_path = origin_form(raw_path)
        return self.by_path(raw_path) or self._by_model_or_default(raw_path, model)

    def _by_model_or_default(self, raw_path: str, model: str | None) -> Destination:
        if model is not None:
            for pattern, each in self._by_model:
                if fnmatchcase(model, pattern):
                    return Destination(each.name, target_url(each.base_url, raw_path))
        return Destination("default", target_url(self._default, raw_path))


def target_url(base_url: str, raw_path: str) -> str:
    """*raw_path* at the upstream, nothing re-encoded: ``/v1`` and ``/openai/v1`` stand for *base_url*, other paths for its origin."""
    for base_path in _BASE_PATHS:
        if _starts_with(raw_path, base_path):
            return base_url.rstrip("/") + raw_path[len(base_path) :]
    parts = urlsplit(base_url)
    return f"{parts.scheme}://{parts.netloc}{raw_path}"


def origin_form(target: str) -> str:
    """The path and query of a request target; a client that takes us for a forward proxy puts scheme and host before it."""
    if target.startswith("/"):
        return target
    return "/" + target.partition("://")[2].partition("/")[2]


def is_chat(method: str, raw_path: str) -> bool:
    """Whether a request asks for a chat completion, under any prefix (Azure's deployments, Groq's ``/openai``)."""
    return method == "POST" and raw_path.partition("?")[0].rstrip("/").endswith("/chat/completions")


def model_of(body: bytes) -> str | None:
    """The model that a JSON body names, if it is one and names one."""
    try:
        tree = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    model = tree.get("model") if isinstance(tree, dict) else None
    return model if isinstance(model, str) else None


def _starts_with(raw_path: str, prefix: str) -> bool:
    return raw_path.startswith(prefix) and raw_path[len(prefix) : len(prefix) + 1] in _OPEN_ENDS
