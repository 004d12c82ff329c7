"""What is wrong with a command line is said before anything is opened, and every command shows an example."""

from __future__ import annotations

import shlex
import subprocess
import sys

import pytest
import shtab

from proxy.cli import make_parser
from proxy.cli.completion import SHELLS, leaves

LEAVES = list(leaves(make_parser()))
HEAVY = {"aiohttp", "httpx", "pydantic", "qdrant_client", "qdrant_edge", "shtab", "structlog", "uvloop"}


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: leaf.prog.removeprefix("memory-proxy "))
def test_every_command_has_an_example_that_is_one(leaf):
    example = leaf.epilog.removeprefix("example: ")
    assert example.startswith(leaf.prog)
    _, *arguments = shlex.split(example)
    assert make_parser().parse_args(arguments).run is not None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["list"], "the following arguments are required: --user"),
        (["list", "--user", "a", "--limit", "0"], "argument --limit: '0' is no whole number from 1 to 1000"),
        (
            ["list", "--user", "a", "--since", "noon"],
            "argument --since: 'noon' is no time in ISO 8601, such as 2026-03-01T12:00:00Z",
        ),
        (["list", "--user", "a", "--all", "--cursor", "c"], "argument --cursor: not allowed with argument --all"),
        (["add", "x", "--user", "a", "--importance", "high"], "argument --importance: 'high' is no number from 0 to 1"),
        (
            ["add", "x", "--user", "a", "--metadata", "[]"],
            'argument --metadata: it must be a JSON object, such as {"ticket": 4711}',
        ),
        (["export", "--user", "a", "--all-users"], "argument --all-users: not allowed with argument --user"),
    ],
)
def test_bad_values_are_one_line_and_exit_2(run, folder, arguments, said):
    refused = run("memories", *arguments)
    assert (refused.status, refused.out) == (2, "")
    assert refused.err == f"memory-proxy: {said}; see memory-proxy memories {arguments[0]} --help\n"


def test_an_address_that_is_none_is_bad_usage(run, folder):
    refused = run("stats", "--url", "localhost:8080")
    assert (refused.status, refused.err.count("\n")) == (2, 1)


def test_help_loads_nothing_heavy(folder):
    code = f"import sys, proxy.cli; proxy.cli.make_parser().format_help(); print(sorted({HEAVY!r} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_completes_commands(run, folder, shell):
    assert shell in shtab.SUPPORTED_SHELLS
    script = run("completion", shell)
    assert (script.status, script.err) == (0, "")
    assert "memories" in script.out


def test_a_completion_is_what_its_shell_can_read(run, folder):
    script = run("completion", "bash").out
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0
