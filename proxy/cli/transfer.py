"""``memory-proxy memories export`` and ``import``: JSON Lines, one memory a line."""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from proxy.cli.arguments import USER_VARIABLE, add_api_command, add_named_user, add_tenant
from proxy.cli.output import Advance, note, progress, show_json
from proxy.cli.values import whose
from proxy.errors import ConfigError, MemoryProxyError, RemoteError

if TYPE_CHECKING:
    from proxy.cli.arguments import Commands
    from proxy.cli.remote import Remote

SLICE_LINES = 500
SLICE_BYTES = 1024 * 1024
_LINE = re.compile(r"line (\d+): ")


def add(actions: Commands) -> None:
    _add_export(actions)
    _add_import(actions)


# Export.


def _add_export(actions: Commands) -> None:
    parser = add_api_command(
        actions, "export", _export, help_="export memories as JSON Lines", example="--user ada --turns --output ada.jsonl"
    )
    whose_ = parser.add_mutually_exclusive_group()
    whose_.add_argument("--user", metavar="U", help=f"whose memories; default: the variable {USER_VARIABLE}")
    whose_.add_argument("--all-users", action="store_true", help="everybody's of the tenant")
    whose_.add_argument("--all-tenants", action="store_true", help="everybody's")
    add_tenant(parser)
    parser.add_argument("--turns", action="store_true", default=None, help="also the users' own messages")
    parser.add_argument(
        "--vectors", action="store_true", default=None, help="with vectors, so that an import need not embed anew"
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="default: standard output")


def _export(proxy: Remote, args: argparse.Namespace) -> int:
    query = {**_exported(args), "turns": args.turns, "vectors": args.vectors}
    with (
        progress("exporting", None) as advance,
        proxy.stream("/export", **query) as data,
        _destination(args.output) as file,
    ):
        count = _copy(data, file, advance)
    if args.output is not None:
        note(f"Exported memories to {args.output}: {count}.")
    return 0


def _exported(args: argparse.Namespace) -> dict[str, str | bool | None]:
    if args.all_tenants:
        return {"all": True}
    user = None if args.all_users else args.user or os.environ.get(USER_VARIABLE) or None
    if user is None and not args.all_users:
        raise ConfigError("whose memories? --user U, --all-users or --all-tenants")
    return {"user": user, "tenant": args.tenant}


def _copy(data: Iterable[bytes], file: IO[bytes], advance: Advance) -> int:
    count = 0
    for each in data:
        file.write(each)
        lines = each.count(b"\n")
        advance(lines)
        count += lines
    return count


@contextmanager
def _destination(path: Path | None) -> Iterator[IO[bytes]]:
    """Standard output, or a file that is there when it is whole, and for no other account to read."""
    if path is None:
        yield sys.stdout.buffer
    elif path.exists() and not path.is_file():
        with _told(path), path.open("wb") as file:  # such as /dev/stdout, that nothing may take the place of
            yield file
    else:
        with _told(path), _whole(path.resolve()) as file:
            yield file


@contextmanager
def _whole(path: Path) -> Iterator[IO[bytes]]:
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise MemoryProxyError(f"{path}: {exc.strerror}") from exc


# Import.


def _add_import(actions: Commands) -> None:
    parser = add_api_command(
        actions, "import", _import, help_="import memories; what is there already is updated", example="ada.jsonl --user ada"
    )
    parser.add_argument("file", metavar="FILE", help="as export writes it; -: standard input")
    add_named_user(parser, help_="give them to this user, whoever's they were")


@dataclass(frozen=True, slots=True)
class _Slice:
    """Lines of a file, as they are; *before*: how many there are before them."""

    before: int
    lines: list[bytes]


def _import(proxy: Remote, args: argparse.Namespace) -> int:
    sums = {"imported": 0, "created": 0, "updated": 0}
    with _opened(args.file) as file, progress("importing", _count(file)) as advance:
        for each in _slices(file):
            try:
                answer = proxy.post_lines("/import", b"".join(each.lines), **whose(args))
            except RemoteError as exc:
                raise _failed(exc, each.before, sums["imported"]) from exc
            sums = {name: count + answer[name] for name, count in sums.items()}
            advance(len(each.lines))
    if args.json:
        show_json({"object": "import", **sums})
    else:
        note(f"Imported memories: {sums['imported']}, new: {sums['created']}, updated: {sums['updated']}.")
    return 0


def _failed(exc: RemoteError, before: int, stored: int) -> RemoteError:
    """The line counts from the beginning of the whole file."""
    said = _LINE.sub(lambda found: f"line {before + int(found[1])}: ", str(exc), count=1)
    return RemoteError(f"{said} (stored before: {stored}; the same file can be imported again)", status=exc.status)


@contextmanager
def _opened(name: str) -> Iterator[IO[bytes]]:
    if name == "-":
        yield sys.stdin.buffer
        return
    with ExitStack() as stack:
        try:
            file = stack.enter_context(Path(name).open("rb"))
        except OSError as exc:
            raise ConfigError(f"{name}: can't be read: {exc.strerror}") from exc
        yield file


def _count(file: IO[bytes]) -> int | None:
    """The lines of a file that can be read twice."""
    if not (file.seekable() and sys.stderr.isatty()):
        return None
    count = sum(1 for _ in file)
    file.seek(0)
    return count


def _slices(file: Iterable[bytes]) -> Iterator[_Slice]:
    """So many lines at a time that a proxy that chats goes on with it; a line longer than that goes alone."""
    before, lines, size = 0, list[bytes](), 0
    for line in file:
        if lines and (len(lines) == SLICE_LINES or size + len(line) > SLICE_BYTES):
            yield _Slice(before, lines)
            before, lines, size = before + len(lines), [], 0
        lines.append(line)
        size += len(line)
    if lines:
        yield _Slice(before, lines)
