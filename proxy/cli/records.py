"""What the memory API gives, as commands print it: JSON if it was asked for, else in the form that suits people."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TextIO

from proxy.cli.output import Row, note, show_fields, show_json, show_rows, time_of

Record = Mapping[str, Any]


def show_memories(
    args: argparse.Namespace, answer: Record, memories: Iterable[Record], row: Callable[[Record], Row] | None = None
) -> None:
    """*memories* are those in the *answer*."""
    if args.json:
        show_json(answer)
    else:
        show_rows(("ID", "CONTENT"), map(row or _memory_row, memories))


def show_memory(memory: Record, file: TextIO) -> None:
    show_rows(("ID", "CONTENT"), [_memory_row(memory)], file)


def show_facts(args: argparse.Namespace, answer: Record, facts: Iterable[Record]) -> None:
    if args.json:
        show_json(answer)
    else:
        show_rows(("KEY", "VALUE"), map(_fact_row, facts))


def show_record(args: argparse.Namespace, record: Record) -> None:
    """Everything that it says."""
    if args.json:
        show_json(record)
    else:
        show_fields(record)


def show_done(args: argparse.Namespace, answer: Record, said: str) -> None:
    if args.json:
        show_json(answer)
    else:
        note(said)


def found_row(memory: Record) -> Row:
    """With its score, and how that came about."""
    parts = [f"{name} {value:.3f}" if value else "" for name, value in memory["scores"].items()]
    details = (f"{memory['score']:.3f}", memory["category"], time_of(memory["created_at"]))
    return Row([(memory["id"],), details, parts[:2], parts[2:4], parts[4:]], memory["content"])


def _memory_row(memory: Record) -> Row:
    details = (time_of(memory["created_at"]), memory["category"], f"{memory['importance']:.2f}")
    return Row([(memory["id"],), details, (_end(memory),)], memory["content"])


def _fact_row(fact: Record) -> Row:
    return Row([(fact["key"],), (time_of(fact["valid_from"]),), (_end(fact),)], fact["value"])


def _end(record: Record) -> str:
    return f"until {time_of(record['valid_until'])}" if record["valid_until"] else ""
