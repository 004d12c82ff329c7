"""The short form. Ten seconds say nothing about memory, but files that are left open show."""

from __future__ import annotations

from pathlib import Path

from tests.soak.__main__ import MAX_MORE_FILES
from tests.soak.soak import soak


async def test_after_some_hundred_chats_as_many_files_are_open_as_before(tmp_path: Path):
    report = await soak(tmp_path, warm_up_s=3, seconds=7, rate=20)
    assert (dict(report.failed), report.complaints) == ({}, [])
    assert report.after.open_files <= report.before.open_files + MAX_MORE_FILES
