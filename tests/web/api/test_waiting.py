"""Large work is done in pieces: nobody else is kept waiting for it."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import thread_time

import pytest

from tests.fakes import RunningProxy
from tests.web.api.conftest import API
from tests.web.api.test_transfer import LINES, lines, record

pytestmark = pytest.mark.asyncio(loop_scope="package")


@asynccontextmanager
async def turns() -> AsyncIterator[list[float]]:
    """How many seconds of work this thread did between two turns of the loop; other processes don't count."""
    found: list[float] = []

    async def watch() -> None:
        last = thread_time()
        while True:
            await asyncio.sleep(0)
            now = thread_time()
            found.append(now - last)
            last = now

    gc.collect()
    gc.freeze()  # as ``serve`` does: else the collector may look at everything that the tests have made, in between
    watching = asyncio.get_running_loop().create_task(watch())
    try:
        yield found
    finally:
        watching.cancel()
        gc.unfreeze()


async def test_a_bad_import_is_found_out_in_pieces(api: API, proxy: RunningProxy, ada: str) -> None:
    """The client is in the same loop, so its one piece is the body: what is compared is the share of the longest."""
    data = lines(*(record(user=ada, content=f"Number {n} of many", metadata={"n": n}) for n in range(4000))) + b"\n{"
    async with turns() as found:
        response = await api.post("/import", content=data, headers=LINES)
    assert response.status_code == 400
    assert max(found) < sum(found) / 4
    assert len(json.dumps(response.json())) < 1000
