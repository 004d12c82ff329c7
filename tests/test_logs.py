"""What a line of the log looks like."""

import json
import logging

import pytest
import structlog

from proxy import logs
from proxy.config import Log
from proxy.errors import StoreError


@pytest.fixture
def configured():
    """Sets the log up as ``serve`` does, and leaves it as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield logs.configure
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def lines(capfd):
    return [json.loads(line) for line in capfd.readouterr().err.splitlines()]


def test_away_from_a_terminal_each_line_is_json(configured, capfd):
    configured(Log())
    structlog.get_logger().info("request", path="/v1/x", status=200)
    (line,) = lines(capfd)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "request", "level": "info", "path": "/v1/x", "status": 200}


def test_a_traceback_is_part_of_its_line(configured, capfd):
    configured(Log(format="json"))
    structlog.get_logger().error("failed", exc_info=ZeroDivisionError())
    (line,) = lines(capfd)
    assert (line["level"], line["exception"].splitlines()[-1]) == ("error", "ZeroDivisionError")


@pytest.mark.parametrize("kind", ["json", "console"])
def test_a_traceback_holds_no_values(configured, capfd, kind):
    def parse(secret):
        try:
            int(secret)
        except ValueError as exc:
            raise StoreError("the store failed") from exc

    configured(Log(format=kind))
    try:
        parse("-".join(("what", "ann", "said")))
    except StoreError:
        structlog.get_logger().exception("failed")
        logging.getLogger("aiohttp.server").exception("failed")
    written = capfd.readouterr().err
    assert "what-ann-said" not in written
    assert [written.count(each) for each in ("in parse", "ValueError", "StoreError: the store failed")] == [4, 2, 2]


def test_what_libraries_log_looks_the_same(configured, capfd):
    configured(Log(format="json"))
    logging.getLogger("aiohttp.server").error("odd: %s", 1, exc_info=ZeroDivisionError())
    (line,) = lines(capfd)
    assert (line["event"], line["level"], line["exception"]) == ("odd: 1", "error", "ZeroDivisionError")


def test_what_is_below_the_level_is_not_written(configured, capfd):
    configured(Log(level="warning", format="json"))
    structlog.get_logger().info("request")
    logging.getLogger("aiohttp.server").info("chatter")
    assert lines(capfd) == []


def test_the_level_changes_for_loggers_in_use(configured, capfd):
    configured(Log(format="json"))
    ours, bound, theirs = structlog.get_logger(), structlog.get_logger().bind(part="store"), logging.getLogger("aiohttp.server")

    def write(text):
        ours.debug(text)
        bound.info(text)
        theirs.warning(text)
        ours.error(text)

    for level in ("info", "debug", "error", "warning"):
        logs.set_level(Log(level=level))
        write(f"at {level}")
    levels = ["debug", "info", "warning", "error"]
    assert [(line["event"], line["level"]) for line in lines(capfd)] == [
        *[("at info", each) for each in levels[1:]],
        *[("at debug", each) for each in levels],
        *[("at error", each) for each in levels[3:]],
        *[("at warning", each) for each in levels[2:]],
    ]


def test_where_the_log_is_not_ours_its_level_stays(monkeypatch):
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [logging.StreamHandler()])
    before = [root.level, *(each.level for each in root.handlers)]
    logs.set_level(Log(level="error"))
    assert [root.level, *(each.level for each in root.handlers)] == before


def test_on_a_terminal_lines_are_for_people(configured, capfd):
    configured(Log(format="console"))
    structlog.get_logger().info("listening", address="http://127.0.0.1:8080")
    assert "http://127.0.0.1:8080" in capfd.readouterr().err


def test_of_a_command_only_tracebacks_are_logged(configured, capsys):
    logs.configure_for_command()
    structlog.get_logger().error("out of order")
    assert capsys.readouterr().err == ""
    try:
        int("a" * 3)
    except ValueError:
        structlog.get_logger().exception("unexpected")
    err = capsys.readouterr().err
    assert ("unexpected" in err, "ValueError" in err, "aaa" in err) == (True, True, False)
