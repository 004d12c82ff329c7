"""Around every handler: errors become answers that OpenAI's clients parse; each request is counted, and leaves one line in the log.

One middleware for all of that: each costs every request some microseconds.
"""

from __future__ import annotations

import orjson
import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from proxy.core.routing import origin_form
from proxy.errors import BadRequest, ProxyError, RequestTooLarge
from proxy.web.metrics import METRICS
from proxy.web.passage import passage_of

# nginx's number for "the client closed the connection": nobody is sent it, but a log needs one.
CLIENT_LEFT = 499

logger = structlog.get_logger()


@web.middleware
async def log_and_answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    passage = passage_of(request)
    response: web.StreamResponse | None = None
    try:
        response = await _answered(request, handler)
    finally:
        passage.end(CLIENT_LEFT if response is None else response.status)
        metrics = request.app.get(METRICS)
        if metrics is not None:
            metrics.requests.ended(passage)
        logger.info(
            "request",
            method=request.method,
            path=_path(request),
            status=passage.status,
            upstream=passage.upstream,
            ms=round(passage.seconds * 1000, 1),
            bytes=_sent_bytes(response),
            **passage.line(),
        )
    return response


def _path(request: web.Request) -> str:
    """Without the query, in which some send a key, or the name and password of a forward proxy's user.

    Of our own paths only the form: they name users.
    """
    path = origin_form(request.raw_path).partition("?")[0]
    resource = request.match_info.route.resource
    return resource.canonical if path.startswith("/memory/") and resource is not None else path


def _sent_bytes(response: web.StreamResponse | None) -> int:
    """The size of the body that went to the client; one of our own is only about to go."""
    sent = getattr(response, "sent_bytes", None)
    return sent if sent is not None else getattr(response, "content_length", None) or 0


async def _answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ProxyError as exc:
        return render_error(exc)
    except web.HTTPRequestEntityTooLarge:
        return render_error(RequestTooLarge("The request's body is larger than limits.request_bytes allows."))
    except web.HTTPException as exc:
        return _render(exc.status, BadRequest(exc.reason))
    except ConnectionError:
        # The client left while we were writing. Nobody gets this; of the error itself, aiohttp would make a traceback.
        return web.Response(status=CLIENT_LEFT)
    except Exception:
        logger.exception("unexpected error", method=request.method, path=_path(request))
        return render_error(ProxyError("The proxy failed; its log says why."))


def render_error(exc: ProxyError) -> web.Response:
    """*exc* as OpenAI would say it; ``x-should-retry`` is what its clients obey."""
    return _render(exc.status, exc)


def _render(status: int, exc: ProxyError) -> web.Response:
    headers = {"x-should-retry": "true" if exc.retry else "false"}
    if exc.challenge is not None:
        headers["WWW-Authenticate"] = exc.challenge
    if exc.retry_after_s is not None:
        headers["Retry-After"] = str(exc.retry_after_s)
    if exc.allow is not None:
        headers["Allow"] = exc.allow
    return web.Response(status=status, headers=headers, body=orjson.dumps(exc.body()), content_type="application/json")
