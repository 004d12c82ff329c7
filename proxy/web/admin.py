"""Before the proxy's own paths: who may look at what is remembered, and change it.

With ``auth.admin_token`` whoever shows it: as ``Authorization: Bearer …``, or as the password that a browser asks for.
Without one, only who is on this machine. That a connection comes from here is not enough, as a web page in a browser here
may send requests too: to ``localhost`` (then they say where they come from), or to a name of its own that it has led here (DNS
rebinding; then they say so in ``Host``). Nor is it from here if it came through another proxy.
With ``auth.clients`` not all who are here are trusted alike, so there is no way in without the token.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler

from proxy.config import Auth
from proxy.core.keys import KeyRing
from proxy.errors import Forbidden, TokenNeeded, WrongMediaType

_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Via")
_OWN_SITES = frozenset({"same-origin", "none"})
"""``none``: typed into the address bar. A page on another port of localhost is of the ``same-site``."""
_ONLY_READ = frozenset({"GET", "HEAD", "OPTIONS"})
# No form can send these, and no page may send them to another origin unasked.
_JSON = frozenset({"application/json", "application/x-ndjson", "application/jsonl"})


class AdminDoor:
    """Stands before handlers. Raises ``TokenNeeded``, ``Forbidden`` or ``WrongMediaType`` instead of calling them."""

    def __init__(self, auth: Auth) -> None:
        self._token = KeyRing([] if auth.admin_token is None else [(auth.admin_token, True)])
        self._needs_token = auth.admin_token is not None or bool(auth.clients)

    def before(self, handler: Handler, *, methods: Collection[str] | None = None) -> Handler:
        """*handler*, for those who may read and change memories. *methods*: all that it takes, if it refuses the others itself."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            self._check(request)
            if methods is None or request.method in methods:
                _check_json(request)
            return await handler(request)

        return guarded

    def before_figures(self, handler: Handler) -> Handler:
        """*handler*, which tells of nobody: for those, and for whoever is on this machine, token or not."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            if _why_not_local(request) is not None:
                self._check(request)
            return await handler(request)

        return guarded

    def _check(self, request: web.Request) -> None:
        scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._token.find(credentials.strip()):
            return
        if self._needs_token:
            if scheme.lower() != "basic" or not self._token.find(_password(credentials)):
                raise TokenNeeded("This needs the proxy's auth.admin_token, as Authorization: Bearer … or as a password.")
            why = _why_foreign(request)  # a browser adds a password that it knows to requests of any page
        else:
            why = _why_not_local(request)
        if why is not None:
            raise Forbidden(why)


def _check_json(request: web.Request) -> None:
    deletes_by_name = request.method == "DELETE" and not request.body_exists
    if request.method not in _ONLY_READ and not deletes_by_name and request.content_type not in _JSON:
        raise WrongMediaType("Changes are asked for in JSON, with Content-Type: application/json.")


def _password(credentials: str) -> str:
    try:
        return base64.b64decode(credentials.strip(), validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeError):
        return ""


def _why_not_local(request: web.Request) -> str | None:
    if not _is_loopback(request.remote) or any(name in request.headers for name in _FORWARDED):
        return "Without auth.admin_token this answers to this machine only."
    hosts = request.headers.getall("Host", ())
    if len(hosts) != 1 or _host_name(hosts[0]) not in _LOCAL_NAMES:
        return "Without auth.admin_token this answers under localhost, 127.0.0.1 and [::1] only."
    return _why_foreign(request)


def _why_foreign(request: web.Request) -> str | None:
    """``None`` unless a browser says that the request is another page's."""
    origin = request.headers.get("Origin")
    if origin is not None and _authority(origin) != request.headers.get("Host", "").lower():
        return "A page of another origin has no business here."
    if request.headers.get("Sec-Fetch-Site", "none") not in _OWN_SITES:
        return "A page of another site has no business here."
    return None


def _is_loopback(peer: str | None) -> bool:
    try:
        address = ipaddress.ip_address(peer or "")
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def _host_name(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _authority(origin: str) -> str | None:
    """What ``Host`` must be for a page of *origin* to be ours; an opaque origin (``null``) has none."""
    scheme, _, authority = origin.lower().partition("://")
    return authority if scheme in ("http", "https") and authority else None
