"""``python -m tests.web.api --seconds 600``: strangers at the memory API for so long, each time others."""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import sys
import tempfile
from pathlib import Path

import structlog

from tests.fakes import memory_proxy, model_api
from tests.web.api.strangers import send


async def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.web.api", description=__doc__)
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    asked = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with tempfile.TemporaryDirectory() as folder:
        async with model_api() as model, memory_proxy(model, Path(folder) / "data") as proxy:
            options = ("--max-time", str(asked.seconds), "--seed", str(asked.seed), "--continue-on-failure")
            code, output = await send(proxy.address, Path(folder), *options)
    print(output)
    return code


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
