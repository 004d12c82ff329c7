"""``memory-proxy models pull``, and the progress display of everything that needs the model."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, TaskID

from proxy.cli.arguments import add_command, add_config, load_config
from proxy.config import Embedding
from proxy.errors import ModelError

if TYPE_CHECKING:
    from proxy.cli.arguments import Commands

Report = Callable[[str, int, int | None], None]


def add(commands: Commands) -> None:
    group = commands.add_parser("models", help="the embedding model")
    actions = group.add_subparsers(metavar="ACTION", required=True)
    pull = add_command(actions, "pull", _pull, help_="get the embedding model, unless it is there", example="--from /media/usb")
    add_config(pull)
    pull.add_argument("--from", dest="source", type=Path, metavar="DIR", help="take it from this folder, without a network")


def _pull(args: argparse.Namespace) -> int:
    embedding = load_config(args).embedding
    path = fetch(embedding, args.source)
    print(f"{embedding.model}: {path or 'is asked for over HTTP, nothing to pull'}")
    return 0


def fetch(embedding: Embedding, source: Path | None = None) -> Path | None:
    """The folder of the model, pulled if need be, with a progress bar on a terminal; raises ``ModelError``."""
    if embedding.provider != "fastembed":
        return None
    from proxy.memory.models import ensure_model

    with progress(Console(stderr=True)) as report:
        return ensure_model(embedding, progress=report, source=source)


def expect_model(embedding: Embedding) -> None:
    """Raise ``ModelError`` instead of fetching a model that is not there: not what is expected of a small command."""
    from proxy.memory.models import has_model, model_folders

    if embedding.provider == "fastembed" and not has_model(embedding):
        raise ModelError(f"{embedding.model} is not in {model_folders(embedding)[-1]}; run: memory-proxy models pull")


@contextmanager
def progress(console: Console) -> Iterator[Report]:
    """Takes ``(step, done, total)``: a bar for each step on a terminal, a line for each elsewhere."""
    if not console.is_terminal:
        yield _Lines(console)
        return
    with Progress(console=console) as bars:
        yield _Bars(bars)


class _Lines:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._said = ""

    def __call__(self, step: str, *_amounts: int | None) -> None:
        if step != self._said:
            self._said = step
            self._console.print(step, markup=False, highlight=False, soft_wrap=True)


class _Bars:
    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, step: str, done: int, total: int | None) -> None:
        if step not in self._tasks:
            self._tasks[step] = self._bars.add_task(escape(step), total=None)
        self._bars.update(self._tasks[step], completed=done, total=total)
