"""The long form: ``python -m tests.isolation [users] [requests]``, by default 100 and 10,000. Exit status 1 if anything was foreign."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path

from proxy import logs
from proxy.config import Log
from tests.fakes import memory_proxy, model_api
from tests.isolation.crowd import CLIENTS, KEYS, Figures, gather


async def run(users: int, requests: int) -> Figures:
    os.environ.update(KEYS)
    with tempfile.TemporaryDirectory() as folder:
        async with model_api() as model, memory_proxy(model, Path(folder), auth__clients=CLIENTS) as proxy:
            return await gather(proxy, model, users=users, requests=requests)


def main(users: str = "100", requests: str = "10000") -> int:
    logs.configure(Log(level="error"))
    figures = asyncio.run(run(int(users), int(requests)))
    print(figures)
    return int(bool(figures.foreign_injected or figures.foreign_listed or figures.failed))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
