"""What every command has in common, and those that are too small for a file."""

from __future__ import annotations

import pytest
import yaml

import proxy
from proxy import resources
from proxy.cli import main
from proxy.config import Config, as_dict


def refused(capsys, *arguments):
    """What is printed for *arguments* that are no usage."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    return err


def test_the_version_is_the_packages(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert (caught.value.code, capsys.readouterr().out) == (0, f"memory-proxy {proxy.__version__}\n")


def test_bad_usage_is_one_line(capsys):
    assert refused(capsys) == "memory-proxy: the following arguments are required: COMMAND; see memory-proxy --help\n"
    assert refused(capsys, "serve", "--prot", "1") == "memory-proxy: unrecognized arguments: --prot 1; see memory-proxy --help\n"
    assert refused(capsys, "models", "pull", "--from") == (
        "memory-proxy: argument --from: expected one argument; see memory-proxy models pull --help\n"
    )


class TestConfigShow:
    def test_without_a_file_it_shows_the_defaults(self, folder, capsys):
        assert main(["config", "show"]) == 0
        assert yaml.safe_load(capsys.readouterr().out) == as_dict(Config())

    def test_it_reads_the_file_that_lies_here(self, folder, capsys):
        (folder / "proxy.yaml").write_text("listen: {port: 1}", encoding="utf-8")
        (folder / "other.yaml").write_text("listen: {port: 2}", encoding="utf-8")
        main(["config", "show"])
        assert yaml.safe_load(capsys.readouterr().out)["listen"]["port"] == 1
        main(["config", "show", "--config", "other.yaml"])
        assert yaml.safe_load(capsys.readouterr().out)["listen"]["port"] == 2

    def test_secrets_are_masked(self, folder, capsys, monkeypatch):
        monkeypatch.setenv("MEMORY_PROXY_EMBEDDING__API_KEY", "sk-1")
        main(["config", "show"])
        out = capsys.readouterr().out
        assert "sk-1" not in out
        assert yaml.safe_load(out)["embedding"]["api_key"] == "********"

    def test_a_mistake_is_one_line_and_exit_2(self, folder, capsys):
        (folder / "proxy.yaml").write_text("listen: {prot: 1}", encoding="utf-8")
        assert main(["config", "show"]) == 2
        assert capsys.readouterr() == (
            "",
            "memory-proxy: proxy.yaml: listen.prot: unknown option; allowed here: host, port, grace_s, tls_certificate, tls_key\n",
        )

    def test_a_file_that_was_asked_for_must_be_there(self, folder, capsys):
        assert main(["config", "show", "--config", "none.yaml"]) == 2
        assert capsys.readouterr().err == "memory-proxy: none.yaml: can't be read: No such file or directory\n"


def test_config_default_is_the_commented_file(folder, capsys):
    assert main(["config", "default"]) == 0
    assert capsys.readouterr().out == resources.default_config()
