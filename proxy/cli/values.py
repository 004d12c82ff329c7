"""Values of arguments: read and checked before anybody is asked, and as the memory API calls them."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote


def given(args: argparse.Namespace, *names: str) -> dict[str, Any]:
    """Those of *names* that have a value."""
    return {name: getattr(args, name) for name in names if getattr(args, name) is not None}


def whose(args: argparse.Namespace) -> dict[str, Any]:
    return given(args, "user", "tenant")


def segment(name: str) -> str:
    """*name* as one part of a path; also of dots alone, which would be taken for a way through folders."""
    return quote(name, safe="").replace(".", "%2E")


def text_of(argument: str) -> str:
    """The argument, or for ``-`` what comes on standard input."""
    return sys.stdin.read() if argument == "-" else argument


# Types of arguments: each raises ``ArgumentTypeError`` with what was wrong.


def time(text: str) -> str:
    """ISO 8601; without an offset it is UTC."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time in ISO 8601, such as 2026-03-01T12:00:00Z") from None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).isoformat()


def time_or_never(text: str) -> str:
    return "never" if text == "never" else time(text)


def share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to 1")
    return value


def number(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        value = int(text) if text.isascii() and text.isdigit() else -1
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least} to {most}")
        return value

    return read


def json_object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError('it must be a JSON object, such as {"ticket": 4711}')
    return value
