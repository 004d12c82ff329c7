"""Two directories that take turns, whenever a process may be killed."""

from pathlib import Path

import pytest

from proxy.errors import StoreError
from proxy.memory.shard_folder import ShardFolder


def fill(directory: Path, content: str) -> None:
    directory.mkdir()
    (directory / "data").write_text(content)


def held(path: Path) -> str:
    return (ShardFolder(path).current / "data").read_text()


def test_a_new_store_is_in_the_directory_itself(tmp_path: Path) -> None:
    folder = ShardFolder(tmp_path / "edge")
    assert (folder.current, folder.spare) == (tmp_path / "edge", tmp_path / "edge.2")


def test_the_directories_take_turns(tmp_path: Path) -> None:
    path = tmp_path / "edge"
    fill(path, "0")
    for turn in range(1, 4):
        folder = ShardFolder(path)
        fill(folder.spare, str(turn))
        folder.switch()
        assert held(path) == str(turn)
        folder.clear_spare()
        assert (held(path), folder.spare.exists()) == (str(turn), False)


def test_a_copy_that_is_not_whole_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "edge"
    fill(path, "whole")
    fill(ShardFolder(path).spare, "half")
    ShardFolder(path).clear_spare()
    ShardFolder(path).clear_spare()
    assert held(path) == "whole"
    assert [each.name for each in tmp_path.iterdir()] == ["edge"]


def test_a_directory_that_stands_alone_is_the_store_whatever_the_pointer_says(tmp_path: Path) -> None:
    fill(tmp_path / "edge.2", "restored")
    assert held(tmp_path / "edge") == "restored"
    (tmp_path / "edge.current").write_text("edge")
    assert held(tmp_path / "edge") == "restored"
    (tmp_path / "edge.2").rename(tmp_path / "edge")
    (tmp_path / "edge.current").write_text("edge.2")
    assert held(tmp_path / "edge") == "restored"


@pytest.mark.parametrize("damage", [b"", b"\xff\xfe", b"edge.3", b"../edge"])
def test_a_pointer_that_makes_no_sense_is_one_line(tmp_path: Path, damage: bytes) -> None:
    fill(tmp_path / "edge", "whole")
    (tmp_path / "edge.current").write_bytes(damage)
    with pytest.raises(StoreError) as caught:
        _ = ShardFolder(tmp_path / "edge").current
    assert str(caught.value) == f"{tmp_path}/edge can't be opened: edge.current is damaged"


def test_a_debt_is_remembered_until_it_is_settled(tmp_path: Path) -> None:
    folder = ShardFolder(tmp_path / "edge")
    for _ in range(2):
        folder.owe()
        assert ShardFolder(tmp_path / "edge").is_owed
    for _ in range(2):
        folder.settle()
        assert not ShardFolder(tmp_path / "edge").is_owed
