"""schemathesis in front of a running proxy: requests that fit the document and such that don't, by the thousand.

It knows nothing but the document. No answer may be a 500, have a status, media type, header or form that is not in it, take what
the document forbids, or refuse what it allows.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[2]


async def send(address: str, folder: Path, *options: str) -> tuple[int, str]:
    """Its exit code and what it said; *folder* is for what it notes."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "schemathesis.cli", "--config-file", str(HERE / "schemathesis.toml")),
        *("run", f"{address}/memory/v1/openapi.json", "--no-color", *options),
        cwd=folder,
        env={**os.environ, "SCHEMATHESIS_HOOKS": "tests.web.api.hooks", "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    return process.returncode or 0, output.decode()
