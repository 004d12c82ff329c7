"""What commands print: tables for people, tab-separated lines for pipes, JSON for programs; progress on standard error.

What is remembered was written by anybody: nothing in it may steer the terminal that it is shown on.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TextIO

_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, those that turn the direction of writing, and halves of pairs, which no encoding takes."""

Advance = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Row:
    """*lines*: cells, which a terminal shows in that many lines beside the *text*. The first cell names the row."""

    lines: Sequence[Sequence[str]]
    text: str


def show_json(value: Any) -> None:
    """One document."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    print(_STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}" if found[0] >= " " else found[0], text))


def show_rows(titles: tuple[str, str], rows: Iterable[Row], file: TextIO | None = None) -> None:
    """A table on a terminal; elsewhere a line for each row, its cells and its text between tabs."""
    file = file or sys.stdout
    if file.isatty():
        _show_table(titles, rows, file)
        return
    for row in rows:
        cells = [*(cell for line in row.lines for cell in line), row.text]
        print("\t".join(" ".join(clean(cell).split()) for cell in cells), file=file)


def show_fields(fields: Mapping[str, Any]) -> None:
    """Everything that one record says, a line for each field; what is empty is left out."""
    rows = [Row([[name]], _spelled(value)) for name, value in _flat(fields) if value not in (None, "", [], {})]
    show_rows(("FIELD", "VALUE"), rows)


def show_text(text: str) -> None:
    print(clean(text))


def note(text: str) -> None:
    """What is no data goes to standard error."""
    print(clean(text), file=sys.stderr)


def clean(text: str) -> str:
    return _STEERING.sub("\N{REPLACEMENT CHARACTER}", text)


def time_of(text: str | None) -> str:
    """To the minute, in UTC."""
    return "" if text is None else text[:16].replace("T", " ")


def _show_table(titles: tuple[str, str], rows: Iterable[Row], file: TextIO) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column(titles[0], no_wrap=True)
    table.add_column(titles[1], overflow="fold")
    for row in rows:
        first, *others = [clean("  ".join(filter(None, line))) for line in row.lines]
        head = Text(first, "cyan")
        for line in filter(None, others):
            head.append(f"\n{line}", "dim")
        table.add_row(head, Text(clean(row.text)))
    Console(file=file, highlight=False).print(table)


def _flat(fields: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """One level of mappings opened, but for the caller's own."""
    for name, value in fields.items():
        if isinstance(value, dict) and name != "metadata":
            yield from ((f"{name}.{each}", inner) for each, inner in value.items())
        else:
            yield name, value


def _spelled(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@contextmanager
def progress(step: str, total: int | None) -> Iterator[Advance]:
    """Takes how many lines were done since it was last called: a bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("lines"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        task = bars.add_task(step, total=total)
        yield lambda count: bars.advance(task, count)
