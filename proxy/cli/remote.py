"""A running proxy, asked by its memory API; every way in which that can fail becomes one line."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import httpx

from proxy.errors import ConfigError, RemoteError
from proxy.options import address

BASE = "/memory/v1"
LINES = "application/x-ndjson"
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

    def read(self, path: str, **query: str | int | float | None) -> tuple[Any, str | None]:
        """As ``get``, with the version that this is (its ``ETag``)."""
        answer = self._request("GET", path, query)
        return self._read(answer), answer.headers.get("ETag")

    def post(self, path: str, body: object, **query: str | int | float | None) -> Any:
        return self._ask("POST", path, query, json=body)

    def post_lines(self, path: str, lines: bytes, **query: str | int | float | None) -> Any:
        """JSON Lines, as they are."""
        return self._ask("POST", path, query, content=lines, headers={"Content-Type": LINES})

    def put(self, path: str, body: object, **query: str | int | float | None) -> Any:
        return self._ask("PUT", path, query, json=body)

    def patch(self, path: str, body: object, *, if_match: str | None = None, **query: str | int | float | None) -> Any:
        """*if_match*: the version that is to be changed, and no other."""
        return self._ask("PATCH", path, query, json=body, headers=_if_match(if_match))

    def delete(self, path: str, *, if_match: str | None = None, **query: str | int | float | None) -> Any:
        return self._ask("DELETE", path, query, headers=_if_match(if_match))

    def health(self) -> Any:
        """What ``/health/ready`` says, be it good or bad."""
        with self._renamed_errors():
            answer = self._client.get(f"{self.url}/health/ready")
        tree = _json(answer)
        if not isinstance(tree, dict) or not {"checks", "upstreams"} <= tree.keys():
            raise RemoteError(f"{self.url}: what answers is no memory-proxy of this version; correct --url")
        return tree

    @contextmanager
    def stream(self, path: str, **query: str | int | float | None) -> Iterator[Iterator[bytes]]:
        """What the answer holds, as it comes; an answer that breaks off is a ``RemoteError``."""
        with self._renamed_errors(), self._client.stream("GET", path, params=_given(query)) as answer:
            if not answer.is_success:
                answer.read()
                raise self._refusal(answer)
            yield self._pieces(answer)

    def _pieces(self, answer: httpx.Response) -> Iterator[bytes]:
        try:
            yield from answer.iter_bytes()
        except httpx.TransportError as exc:
            raise RemoteError(f"{self.url}: the answer broke off: {exc}") from exc

    def _ask(self, method: str, path: str, query: Mapping[str, Any], **body: Any) -> Any:
        return self._read(self._request(method, path, query, **body))

    def _request(self, method: str, path: str, query: Mapping[str, Any], **body: Any) -> httpx.Response:
        with self._renamed_errors():
            return self._client.request(method, path, params=_given(query), **body)

    @contextmanager
    def _renamed_errors(self) -> Iterator[None]:
        try:
            yield
        except httpx.TimeoutException:
            raise RemoteError(f"{self.url}: no answer in time") from None
        except httpx.HTTPError as exc:
            raise RemoteError(f"{self.url}: can't be asked: {exc}; is the proxy running there?") from exc

    def _read(self, answer: httpx.Response) -> Any:
        tree = _json(answer)
        if answer.is_success and isinstance(tree, dict) and "object" in tree:
            return tree
        raise self._refusal(answer)

    def _refusal(self, answer: httpx.Response) -> RemoteError:
        status = answer.status_code
        said = _said(_json(answer)) or f"{self.url}: is no memory-proxy (status {status})"
        return RemoteError(f"{said}{_ADVICE.get(status, '')}", status=status)


def _given(query: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in query.items() if value is not None}


def _if_match(version: str | None) -> dict[str, str]:
    return {} if version is None else {"If-Match": version}


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None


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
