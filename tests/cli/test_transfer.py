"""``memories export`` and ``import``."""

from __future__ import annotations

import json
import socket
import stat
import threading

import pytest

from proxy.cli.transfer import SLICE_BYTES, SLICE_LINES, _slices

somewhere = pytest.mark.usefixtures("somewhere")


def fill(run, user, *contents):
    for content in contents:
        run("memories", "add", content, "--user", user)


def lines_of(run, count):
    """An export of *count* memories."""
    fill(run, "ada", "Likes tea")
    line = json.loads(run("memories", "export", "--user", "ada").out)
    return [json.dumps(line | {"id": f"7b0c5f0e-52a1-4a0f-8d25-{n:012x}", "content": f"Number {n}"}) for n in range(count)]


@somewhere
def test_an_export_that_is_imported_is_exported_the_same(run, folder):
    fill(run, "ada", "Likes tea")
    fill(run, "ben", "Plays chess")
    exported = run("memories", "export", "--all-users", "--output", "all.jsonl")
    assert (exported.status, exported.out, exported.err) == (0, "", "Exported memories to all.jsonl: 2.\n")
    file = folder / "all.jsonl"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    data = file.read_text()
    assert run("memories", "import", "all.jsonl").err == "Imported memories: 2, new: 0, updated: 2.\n"
    assert run("memories", "export", "--all-tenants").out == data
    assert run("memories", "import", "-", "--user", "cleo", "--json", stdin=data).json["created"] == 2
    assert run("memories", "export", "--user", "cleo", "--vectors").out.count('"vector":') == 2


def test_a_bad_line_is_named_by_its_number_in_the_file(run, proxy, folder):
    lines = lines_of(run, SLICE_LINES + 1)
    (folder / "bad.jsonl").write_text("\n".join([*lines, "{}"]), encoding="utf-8")
    failed = run("memories", "import", "bad.jsonl")
    assert (failed.status, failed.out) == (1, "")
    assert failed.err == (
        f"memory-proxy: line {SLICE_LINES + 2}: user: is missing (1 more) "
        f"(stored before: {SLICE_LINES}; the same file can be imported again)\n"
    )
    (folder / "good.jsonl").write_text("\n".join(lines), encoding="utf-8")
    assert run("memories", "import", "good.jsonl").err == f"Imported memories: 501, new: 1, updated: {SLICE_LINES}.\n"


def test_slices_are_short_and_a_long_line_goes_alone():
    long = b"x" * SLICE_BYTES + b"\n"
    lines = [*[b"a\n"] * (SLICE_LINES + 1), long, b"b\n"]
    assert [(each.before, len(each.lines)) for each in _slices(lines)] == [
        (0, SLICE_LINES),
        (SLICE_LINES, 1),
        (SLICE_LINES + 1, 1),
        (SLICE_LINES + 2, 1),
    ]


def test_a_file_that_cannot_be_read_or_written_is_one_line(run, proxy):
    unread = run("memories", "import", "nowhere.jsonl")
    assert (unread.status, unread.err) == (2, "memory-proxy: nowhere.jsonl: can't be read: No such file or directory\n")
    unwritten = run("memories", "export", "--user", "ada", "--output", "nowhere/ada.jsonl")
    assert (unwritten.status, unwritten.err) == (1, "memory-proxy: nowhere/ada.jsonl: No such file or directory\n")


def test_an_export_must_say_whose(run, proxy, monkeypatch):
    assert run("memories", "export").err == "memory-proxy: whose memories? --user U, --all-users or --all-tenants\n"
    fill(run, "ada", "Likes tea")
    fill(run, "ben", "Plays chess")
    monkeypatch.setenv("MEMORY_PROXY_USER", "ada")
    assert len(run("memories", "export").out.splitlines()) == 1
    assert len(run("memories", "export", "--all-users").out.splitlines()) == 2


def test_what_is_no_file_is_written_to_and_not_replaced(run, proxy, folder):
    assert run("memories", "export", "--user", "ada", "--output", "/dev/null").status == 0


def break_off(listener):
    """Answer one request with the beginning of an export."""
    connection, _ = listener.accept()
    with connection:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{}\n\r\n")


def test_an_export_that_breaks_off_leaves_no_file(run, folder):
    (folder / "ada.jsonl").write_text("as it was", encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=break_off, args=[listener])
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        failed = run("memories", "export", "--user", "ada", "--output", "ada.jsonl", "--url", url)
        thread.join()
    assert (failed.status, failed.err.count("\n"), failed.err.startswith(f"memory-proxy: {url}: the answer broke off")) == (
        1,
        1,
        True,
    )
    assert [(each.name, each.read_text()) for each in folder.iterdir()] == [("ada.jsonl", "as it was")]
