"""``serve``, as a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import urllib.request
from contextlib import contextmanager

from proxy.cli import main


@contextmanager
def serving(*flags):
    """The process once it listens, and its log up to there."""
    command = [sys.executable, "-m", "proxy", "serve", "--port", "0", *flags]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        guard = threading.Timer(60, process.kill)
        guard.start()
        try:
            log = []
            for line in process.stderr:
                log.append(line)
                if '"listening"' in line:
                    break
            yield process, log
        finally:
            process.terminate()
            process.communicate()
            guard.cancel()


def test_it_listens_and_ends_when_told(configured, api):
    with serving("--upstream", api.url, "--data", "elsewhere") as (process, log):
        address = json.loads(log[-1])["address"]
        with urllib.request.urlopen(f"{address}/health/live", timeout=30) as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0


def test_without_its_model_it_goes_on_and_says_so(configured, monkeypatch):
    (configured / "file").touch()
    monkeypatch.setenv("MEMORY_PROXY_EMBEDDING__PROVIDER", "fastembed")
    monkeypatch.setenv("MEMORY_PROXY_EMBEDDING__MODEL", "sentence-transformers/all-MiniLM-L6-v2")
    monkeypatch.setenv("MEMORY_PROXY_EMBEDDING__MODELS_DIR", str(configured / "file" / "models"))
    with serving() as (_, log):
        assert log[0].startswith("memory-proxy: going on without memory: ")


def test_a_flag_that_is_wrong_is_one_line_and_exit_2(folder, capsys):
    assert main(["serve", "--port", "http"]) == 2
    assert capsys.readouterr() == ("", "memory-proxy: command line: listen.port: 'http' is not allowed; use a whole number\n")


def test_an_address_that_is_taken_is_one_line_and_exit_2(configured, api, capsys):
    assert main(["serve", "--port", str(api.server_port)]) == 2
    out, err = capsys.readouterr()
    assert (out, err.startswith("memory-proxy: listen: can't listen on 127.0.0.1:"), err.count("\n")) == ("", True, 1)
