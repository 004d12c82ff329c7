"""What comes in and is not HTTP: aiohttp refuses it with a 400, and would write a traceback for each."""

from __future__ import annotations

import logging

from aiohttp.http_exceptions import HttpProcessingError

SERVER_LOG = logging.getLogger("proxy.server")


class _OneLine(logging.Filter):
    """Anybody can send garbage, as fast as they like: of that, a warning without its bytes is enough."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and isinstance(record.exc_info[1], HttpProcessingError):
            record.msg, record.args, record.exc_info = "refused what is not HTTP", (), None
            record.levelno, record.levelname = logging.WARNING, "WARNING"
        return True


SERVER_LOG.addFilter(_OneLine())
