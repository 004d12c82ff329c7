"""Every exception that the proxy raises.

MemoryProxyError
 ├─ ConfigError       the configuration is wrong: names the option and what is allowed
 ├─ SettingsError     settings were to be kept for the next start, and could not be written
 ├─ StoreError        the store could not do what it was asked
 │   ├─ StoreLocked     another process owns the embedded store
 │   └─ StoreMismatch   what is stored does not fit the configuration: retrying won't help
 ├─ EmbedError        a text could not be turned into a vector
 ├─ JournalError      the journal's disk, or its file, did not do its part
 ├─ ModelError        the embedding model could not be fetched or built
 ├─ RemoteError       a running proxy that a command asked was not to be reached, or said no
 └─ ProxyError        answered to the client, in OpenAI's error shape
     ├─ BadRequest              400: the caller's own header or body is wrong
     ├─ Unauthorized            401: no key that the proxy knows
     │   └─ TokenNeeded           401: not ``auth.admin_token``, where it is needed
     ├─ Forbidden               403: not from there, or not with this key
     ├─ NotFound                404: nothing of our own is there
     ├─ MethodNotAllowed        405: a path of our own that is asked for in another way
     ├─ Conflict                409: it is not, or no longer, in the state for that
     ├─ HasChanged              412: somebody else has changed it since it was read
     ├─ RequestTooLarge         413: beyond ``limits.request_bytes``
     ├─ WrongMediaType          415: a change of ours that is not asked for in JSON
     ├─ NotWritten              500: settings that were to be kept
     ├─ TooBusy                 503: beyond ``limits.requests``
     ├─ OutOfOrder              503: the store, the embedder or the journal, where it can't be done without
     ├─ UpstreamUnreachable     502: no connection, so nothing was processed
     ├─ UpstreamBroken          502: the connection died before an answer began
     └─ UpstreamTimeout         504: no answer began in time
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager


class MemoryProxyError(Exception):
    """The root of the tree."""


class ConfigError(MemoryProxyError):
    """The message is one line: the option's full path, what was wrong, what is allowed. *option* is that path, if there is one."""

    def __init__(self, message: str, *, option: str | None = None) -> None:
        super().__init__(message)
        self.option = option


class SettingsError(MemoryProxyError):
    """Nothing was changed."""


class StoreError(MemoryProxyError):
    """The store failed; the chat goes on without it."""


class StoreLocked(StoreError):
    """The embedded store is open in another process."""


class StoreMismatch(StoreError):
    """The collection has other vectors than the embedding model makes; an operator has to choose."""


class EmbedError(MemoryProxyError):
    """The embedder failed; the chat goes on without it."""


class JournalError(MemoryProxyError):
    """The journal failed; what was to be written waits in memory."""


class ModelError(MemoryProxyError):
    """The embedding model is not there and could not be made."""


class RemoteError(MemoryProxyError):
    """*status* is that of its answer, if there was one."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class ProxyError(MemoryProxyError):
    """An answer of our own, in the shape that OpenAI's clients parse.

    ``retry`` goes out as ``x-should-retry``: true only where the upstream can't have processed the request.
    ``challenge`` goes out as ``WWW-Authenticate``, ``retry_after_s`` as ``Retry-After``,
    ``allow`` as ``Allow``.
    """

    status = 500
    type = "proxy_error"
    code: str | None = None
    retry = False
    challenge: str | None = None
    retry_after_s: int | None = None
    allow: str | None = None

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param

    def body(self) -> dict[str, dict[str, str | None]]:
        return {"error": {"message": str(self), "type": self.type, "param": self.param, "code": self.code}}


class BadRequest(ProxyError):
    status = 400
    type = "invalid_request_error"
    code = "bad_request"


class Unauthorized(ProxyError):
    status = 401
    type = "invalid_request_error"
    code = "invalid_api_key"
    challenge = "Bearer"


class TokenNeeded(Unauthorized):
    code = "invalid_admin_token"
    challenge = 'Basic realm="memory-proxy", charset="UTF-8"'


class Forbidden(ProxyError):
    status = 403
    type = "invalid_request_error"
    code = "forbidden"


class NotFound(ProxyError):
    status = 404
    type = "invalid_request_error"
    code = "not_found"


class MethodNotAllowed(ProxyError):
    """*allow*: the methods that there are, as in the header of that name."""

    status = 405
    type = "invalid_request_error"
    code = "method_not_allowed"

    def __init__(self, message: str, *, allow: str) -> None:
        super().__init__(message)
        self.allow = allow


class Conflict(ProxyError):
    status = 409
    type = "invalid_request_error"
    code = "conflict"


class HasChanged(ProxyError):
    status = 412
    type = "invalid_request_error"
    code = "has_changed"


class RequestTooLarge(ProxyError):
    status = 413
    type = "invalid_request_error"
    code = "request_too_large"


class WrongMediaType(ProxyError):
    status = 415
    type = "invalid_request_error"
    code = "unsupported_media_type"


class NotWritten(ProxyError):
    code = "not_written"


class TooBusy(ProxyError):
    status = 503
    code = "too_busy"
    retry = True
    retry_after_s = 1


class OutOfOrder(ProxyError):
    status = 503
    code = "out_of_order"
    retry = True
    retry_after_s = 1


class UpstreamUnreachable(ProxyError):
    status = 502
    code = "upstream_unreachable"
    retry = True


class UpstreamBroken(ProxyError):
    status = 502
    code = "upstream_broken"


class UpstreamTimeout(ProxyError):
    status = 504
    code = "upstream_timeout"


@contextmanager
def map_exceptions(names: Mapping[type[Exception], type[MemoryProxyError]]) -> Iterator[None]:
    """Rename the errors of a foreign library where it is called: the first of *names* that fits; our own pass unchanged."""
    try:
        yield
    except MemoryProxyError:
        raise
    except tuple(names) as exc:
        ours = next(ours for foreign, ours in names.items() if isinstance(exc, foreign))
        raise ours(f"{type(exc).__name__}: {exc}") from exc
