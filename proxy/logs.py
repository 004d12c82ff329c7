"""How the log looks: coloured lines on a terminal, else one JSON object a line; on standard error, either way.

A traceback holds places in the code only. What an exception of a library says, and the values of variables, may be what
somebody told a model, or a key: parsers quote what they can't read.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, TextIO

import orjson
import structlog
from structlog.types import EventDict, ExcInfo, Processor, WrappedLogger

from proxy.config import Log
from proxy.errors import MemoryProxyError

_STAMPED: list[Processor] = [structlog.processors.add_log_level, structlog.processors.TimeStamper(fmt="iso", utc=True)]
_SPEAK_FOR_THEMSELVES = (MemoryProxyError, OSError)
"""Whose messages may be logged: ours, and the system's."""
_JSON_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS


_Logger = type("_Logger", (structlog.make_filtering_bound_logger(logging.INFO),), {})
"""Its base leaves out what is below the level, and is replaced with it: loggers in use follow, and no line pays for that."""


class _ForeignHandler(logging.StreamHandler[TextIO]):
    """Writes what libraries have to say."""


def configure(options: Log) -> None:
    """Set up structlog, and the standard library's logging for what aiohttp has to say."""
    if options.format == "json" or (options.format == "auto" and not sys.stderr.isatty()):
        _configure_json()
    else:
        _configure_console()
    set_level(options)


def set_level(options: Log) -> None:
    """From the next line on, of whichever logger; where ``configure`` has not been called, nothing changes."""
    level = logging.getLevelNamesMapping()[options.level.upper()]
    _Logger.__bases__ = (structlog.make_filtering_bound_logger(level),)
    for handler in logging.getLogger().handlers:
        if isinstance(handler, _ForeignHandler):
            handler.setLevel(max(level, logging.WARNING))


def _configure_json() -> None:
    _configure([_json_line], structlog.BytesLoggerFactory(sys.stderr.buffer))
    _configure_foreign(_format_exc_info, structlog.processors.JSONRenderer(serializer=_dumps))


def _json_line(logger: WrappedLogger, level: str, event: EventDict) -> bytes:
    """Everything in one step: each request pays for a line, and a chain of structlog's own steps costs three times as much."""
    event["level"] = level
    event["timestamp"] = datetime.now(UTC)
    if "exc_info" in event:
        event = _format_exc_info(logger, level, event)
    return orjson.dumps(event, default=repr, option=_JSON_OPTIONS)


def _configure_console() -> None:
    console = structlog.dev.ConsoleRenderer(exception_formatter=_write_traceback)
    _configure([*_STAMPED, console], structlog.PrintLoggerFactory(sys.stderr))
    _configure_foreign(console)


def _configure(processors: list[Processor], factory: Any) -> None:
    structlog.configure(
        processors=processors,
        wrapper_class=_Logger,
        logger_factory=factory,
        cache_logger_on_first_use=True,
    )


def _configure_foreign(*render: Processor) -> None:
    handler = _ForeignHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render], foreign_pre_chain=_STAMPED
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


def configure_for_command() -> None:
    """For a command, which says itself what went wrong: only the tracebacks of what nobody expected."""
    configure(Log(level="error", format="console"))
    structlog.configure(processors=[_only_traceback, *structlog.get_config()["processors"]])


def _only_traceback(_logger: WrappedLogger, _level: str, event: EventDict) -> EventDict:
    if "exc_info" not in event:
        raise structlog.DropEvent
    return event


def _without_contents(exc_info: ExcInfo) -> str:
    return "\n".join(_lines(exc_info[1]))


def _lines(exc: BaseException | None) -> Iterator[str]:
    """Where *exc* came from, below what it came of."""
    if exc is None:
        return
    cause = exc.__cause__ or (None if exc.__suppress_context__ else exc.__context__)
    yield from _lines(cause)
    yield from "".join(traceback.format_tb(exc.__traceback__)).splitlines()
    said = str(exc) if isinstance(exc, _SPEAK_FOR_THEMSELVES) else ""
    yield f"{type(exc).__qualname__}: {said}" if said else type(exc).__qualname__


_format_exc_info = structlog.processors.ExceptionRenderer(_without_contents)


def _write_traceback(stream: TextIO, exc_info: ExcInfo) -> None:
    stream.write(_without_contents(exc_info))


def _dumps(tree: Any, **options: Any) -> str:
    return orjson.dumps(tree, **options).decode()
