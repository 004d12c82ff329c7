"""A server that answers as an upstream and as an embeddings API, and a folder to run commands in."""

from __future__ import annotations

import asyncio
import io
import json
import os
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from proxy.app import new_event_loop
from proxy.cli import main
from tests.fakes import memory_proxy, model_api


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.paths.append(self.path)
        self._answer(401, {"error": {"message": "no key"}})

    def do_POST(self):
        texts = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["input"]
        data = [{"object": "embedding", "index": i, "embedding": [0.6, 0.8]} for i, _ in enumerate(texts)]
        self._answer(200, {"object": "list", "model": "tiny", "data": data, "usage": {}})

    def _answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


@pytest.fixture
def api():
    """The paths that were asked for are in ``api.paths``."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.paths = []
        server.url = f"http://127.0.0.1:{server.server_port}/v1"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working folder, and an environment that sets no option; processes started there find this package."""
    for name in os.environ:
        if name.startswith("MEMORY_PROXY_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def configured(folder, api):
    """A ``proxy.yaml`` whose upstream and embeddings are *api*."""
    (folder / "proxy.yaml").write_text(
        f"upstream: {{base_url: {api.url}}}\nembedding: {{provider: openai, model: tiny, url: {api.url}}}\n", encoding="utf-8"
    )
    return folder


@dataclass(frozen=True)
class Result:
    status: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def cells(self):
        """The cells of each line."""
        return [line.split("\t") for line in self.out.splitlines()]


@contextmanager
def in_thread(serving):
    """What the asynchronous context *serving* gives, open in a thread with an event loop of its own."""
    ready, stop = Future(), asyncio.Event()

    async def serve():
        async with serving() as opened:
            ready.set_result(opened)
            await stop.wait()

    with asyncio.Runner(loop_factory=new_event_loop) as runner, ThreadPoolExecutor(1) as thread:
        loop, served = runner.get_loop(), thread.submit(runner.run, serve())
        served.add_done_callback(lambda done: None if ready.done() else ready.set_exception(done.exception()))
        try:
            yield ready.result()
        finally:
            loop.call_soon_threadsafe(stop.set)
            served.result()


@pytest.fixture
def run(capsys, monkeypatch):
    """Runs a command in this process, with *stdin* for it to read."""

    def run(*arguments, stdin=""):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        try:
            status = main(arguments)
        except SystemExit as exc:
            status = exc.code
        out, err = capsys.readouterr()
        return Result(status, out, err)

    return run


@pytest.fixture
def words(folder):
    """A model API that makes vectors of words, and a ``proxy.yaml`` that names it."""
    with in_thread(model_api) as model:
        (folder / "proxy.yaml").write_text(
            f"upstream: {{base_url: {model.url}}}\n"
            f"embedding: {{provider: openai, model: words, url: {model.url}}}\n"
            "recall: {deadline_ms: 10000}\n",
            encoding="utf-8",
        )
        yield model


@pytest.fixture
def proxy(folder, words, monkeypatch):
    """A running proxy, which commands find by the environment."""
    with in_thread(lambda: memory_proxy(words, folder / "elsewhere")) as proxy:
        monkeypatch.setenv("MEMORY_PROXY_URL", proxy.address)
        yield proxy


@pytest.fixture(params=["a running proxy", "a store on the disk"])
def somewhere(request):
    """Whatever a command works on: it does the same on both."""
    request.getfixturevalue("proxy" if request.param == "a running proxy" else "words")
