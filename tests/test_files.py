"""Files that are whole, whatever happens."""

from __future__ import annotations

import stat

import pytest

from proxy.files import write_private


def test_a_file_is_written_with_its_folder_for_no_other_account_to_read(tmp_path):
    path = tmp_path / "a" / "b" / "file.yaml"
    write_private(path, b"one")
    write_private(path, b"two")
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"two", 0o600)
    assert list(path.parent.iterdir()) == [path]


def test_what_a_crash_left_is_written_over(tmp_path):
    (tmp_path / "file.new").write_bytes(b"hal")
    write_private(tmp_path / "file.yaml", b"whole")
    assert [each.name for each in tmp_path.iterdir()] == ["file.yaml"]


def test_what_can_t_be_written_leaves_what_was_there(tmp_path):
    path = tmp_path / "file.yaml"
    write_private(path, b"one")
    (tmp_path / "file.new").mkdir()
    with pytest.raises(OSError):
        write_private(path, b"two")
    assert path.read_bytes() == b"one"
