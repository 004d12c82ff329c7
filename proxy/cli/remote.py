"""A running proxy, asked by its memory API; every way in which that can fail becomes one line."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import httpx

from proxy.errors import ConfigError, RemoteError
from proxy.options import address

BASE = "/memory/v1"
_TIMEOUT_S = 30.0
_ADVICE = {401: " Use --token, or the variable MEMORY_PROXY_AUTH__ADMIN_TOKEN."}


class Remote:
    """The proxy at *url*, which may be its base URL for clients too. A context that closes its connection.

    Its methods take a path such as ``/config``, give what the answer's JSON says, and raise ``RemoteError``.
    """

    def __init__(self, url: str, token: str | None = None, *, timeout_s: float = _TIMEOUT_S) -> None:
        self.url = _root(url)
        headers = {} if token is None else {"Authorization": f"Bearer {_sendable(token)}"}
        # Not what HTTP_PROXY or .netrc say: the token is for this address alone. SSL_CERT_FILE goes for the context.
        self._client = httpx.Client(
            base_url=self.url + BASE, headers=headers, timeout=timeout_s, trust_env=False, verify=ssl.create_default_context()
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        self._client.close()

    def get(self, path: str, **query: str | int | float | None) -> Any:
        return self._ask("GET", path, query)

    def post(self, path: str, body: object, **query: str | int | float | None) -> Any:
        return self._ask("POST", path, query, json=body)

    def patch(self, path: str, body: object, **query: str | int | float | None) -> Any:
        return self._ask("PATCH", path, query, json=body)

    def delete(self, path: str, **query: str | int | float | None) -> Any:
        return self._ask("DELETE", path, query)

    def _ask(self, method: str, path: str, query: Mapping[str, Any], **body: Any) -> Any:
        given = {name: value for name, value in query.items() if value is not None}
        try:
            answer = self._client.request(method, path, params=given, **body)
        except httpx.TimeoutException:
            raise RemoteError(f"{self.url}: no answer in time") from None
        except httpx.HTTPError as exc:
            raise RemoteError(f"{self.url}: can't be asked: {exc}; is the proxy running there?") from exc
        return self._read(answer)

    def _read(self, answer: httpx.Response) -> Any:
        try:
            tree = answer.json()
        except ValueError:
            tree = None
        if answer.is_success and tree is not None:
            return tree
        said = _said(tree) or f"{self.url}: is no memory-proxy (status {answer.status_code})"
        raise RemoteError(f"{said}{_ADVICE.get(answer.status_code, '')}", status=answer.status_code)


def _said(tree: Any) -> str | None:
    """The message of an error in OpenAI's shape."""
    error = tree.get("error") if isinstance(tree, dict) else None
    message = error.get("message") if isinstance(error, dict) else None
    return message if isinstance(message, str) else None


def _root(url: str) -> str:
    try:
        return address(url).removesuffix(BASE).removesuffix("/v1").rstrip("/")
    except ValueError as exc:
        raise ConfigError(f"--url: {url!r} is not allowed; use {exc}") from None


def _sendable(token: str) -> str:
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise ConfigError("--token: must be one word of ASCII characters")
    return token
