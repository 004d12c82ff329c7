"""Who may come in, and to whose memories: asked once for each request that is to be relayed.

``OpenDoors``: everybody, to the memories of one tenant. ``TenantDoors``: everybody, to those of the key that they show.
``ClientDoors``: who shows a key that the proxy handed out, to those of its client; that key ends here.
The proxy's own paths have ``web/admin.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_bytes
from typing import Protocol

from aiohttp import web

from proxy.config import ClientKeys, Config, check_reach, client_keys
from proxy.core.identity import MODE_HEADER, Mode, read_mode
from proxy.core.keys import KeyRing, ShownKey, replace_keys, shown_keys, tenant_of
from proxy.errors import ConfigError, Forbidden, Unauthorized
from proxy.files import write_private

TENANT = "default"
KEYLESS_TENANT = "keyless"
_SECRET_FILE = "tenant.key"  # noqa: S105, a file's name
_SECRET_BYTES = 32

Headers = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Swap:
    """What becomes of the caller's keys on their way upstream: *by* stands in their place, or nothing."""

    by: ShownKey | None


@dataclass(frozen=True, slots=True)
class Caller:
    """One who was let in. Of *modes* the first holds if the request names none; without a *swap* its keys go upstream."""

    tenant: str = TENANT
    modes: tuple[Mode, ...] = tuple(Mode)
    swap: Swap | None = None

    def mode(self, headers: Mapping[str, str]) -> Mode:
        """What memory does for a request. Raises ``IdentityError`` or ``Forbidden``."""
        mode = read_mode(headers, default=self.modes[0])
        if mode not in self.modes:
            allowed = ", ".join(each.value for each in self.modes)
            raise Forbidden(f"{MODE_HEADER}: this key allows {allowed}, not {mode.value}.", param=MODE_HEADER)
        return mode

    def with_upstream_key(self, headers: Headers) -> Headers:
        return headers if self.swap is None else replace_keys(headers, self.swap.by)


class Doors(Protocol):
    def admit(self, request: web.BaseRequest) -> Caller:
        """Raises ``Unauthorized``."""


EVERYBODY = Caller()
DOORS: web.AppKey[Doors] = web.AppKey("doors")


class OpenDoors:
    def admit(self, request: web.BaseRequest) -> Caller:  # noqa: ARG002 (the protocol's)
        return EVERYBODY


class TenantDoors:
    """Keeps callers apart by the hash of their key with *secret*; the key itself is for the upstream to judge."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def admit(self, request: web.BaseRequest) -> Caller:
        shown = shown_keys(request.headers.items())
        return Caller(tenant_of(shown[0].key, self._secret) if shown else KEYLESS_TENANT)


@dataclass(frozen=True, slots=True)
class _Client:
    tenant: str
    modes: tuple[Mode, ...]
    upstream_key: str | None = field(repr=False)

    def showing(self, header: str) -> Caller:
        key = self.upstream_key
        return Caller(self.tenant, self.modes, Swap(None if key is None else ShownKey(header, key)))


class ClientDoors:
    """Lets in whom *keys* name."""

    def __init__(self, keys: Iterable[ClientKeys]) -> None:
        self._ring = KeyRing([(each.key, _client(each)) for each in keys])

    def admit(self, request: web.BaseRequest) -> Caller:
        for shown in shown_keys(request.headers.items()):
            client = self._ring.find(shown.key)
            if client is not None:
                return client.showing(shown.header)
        raise Unauthorized("This proxy needs a key that it knows, as Authorization: Bearer …, api-key or x-api-key.")


def _client(keys: ClientKeys) -> _Client:
    client = keys.client
    return _Client(client.tenant or client.name, tuple(Mode(each) for each in client.modes), keys.upstream_key)


def open_doors(config: Config, environ: Mapping[str, str] | None = None) -> Doors:
    """Those that *config* asks for; makes the tenants' secret if there is none yet. Raises ``ConfigError``."""
    check_reach(config)
    if config.auth.clients:
        return ClientDoors(client_keys(config.auth, environ))
    if config.identity.tenant == "api_key":
        return TenantDoors(_tenant_secret(config))
    return OpenDoors()


def _tenant_secret(config: Config) -> bytes:
    if config.identity.tenant_secret is not None:
        return config.identity.tenant_secret.encode()
    path = Path(config.store.path) / _SECRET_FILE
    try:
        return _kept_secret(path)
    except OSError as exc:
        raise ConfigError(f"identity.tenant: {path}, what keys are hashed with, can't be had: {exc.strerror}") from exc


def _kept_secret(path: Path) -> bytes:
    if not path.exists():
        write_private(path, token_bytes(_SECRET_BYTES))
    secret = path.read_bytes()
    if len(secret) != _SECRET_BYTES:
        # With another secret every tenant would have another name, and lose its memories without a word.
        raise ConfigError(
            f"identity.tenant: {path} must hold {_SECRET_BYTES} bytes, not {len(secret)}; bring it back from a backup"
        )
    return secret
