"""Folders and files where somebody else has laid links."""

import os
import stat
from pathlib import Path

import pytest

from common.errors import ConfigError
from deploy.stack import folders
from deploy.stack.accounts import SystemUser

OTHER = SystemUser("other", 60_805, 60_805)
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A folder with a file in it that must stay as they are."""
    folder = tmp_path / "victim"
    folder.mkdir()
    folder.chmod(0o755)
    (folder / "file").write_text("untouched")
    (folder / "file").chmod(0o644)
    return folder


def test_a_folder_is_ours_and_closed_whatever_the_umask_and_whatever_it_was(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        assert mode(folders.make_folder(tmp_path / "new")) == 0o700
        (tmp_path / "old").mkdir(mode=0o777)
        assert mode(folders.make_folder(tmp_path / "old", 0o711)) == 0o711
    finally:
        os.umask(before)


def test_a_folder_that_is_a_link_is_refused_and_its_end_left_alone(
    tmp_path: Path, victim: Path
) -> None:
    # What broke: root gave the end of `uwsgi` away, which the front door's account had laid.
    link = tmp_path / "link"
    for end in (victim, victim / "file", tmp_path / "nowhere"):
        link.unlink(missing_ok=True)
        link.symlink_to(end)
        for attempt in (folders.make_folder, folders.remove_folder):
            with pytest.raises(ConfigError, match="is a link"):
                attempt(link)
        with pytest.raises(ConfigError, match="is a link"):
            folders.hand_over(link, OTHER)
    assert (mode(victim), (victim / "file").read_text()) == (0o755, "untouched")
    assert victim.stat().st_uid == os.geteuid()


def test_a_file_takes_the_place_of_a_link(tmp_path: Path, victim: Path) -> None:
    # What broke: root wrote nginx.conf through a link into a file of its own.
    for name in ("nginx.conf", "nginx.conf.new"):
        (tmp_path / name).symlink_to(victim / "file")
    folders.write_file(tmp_path / "nginx.conf", b"ours", 0o640)
    assert not (tmp_path / "nginx.conf").is_symlink()
    assert (tmp_path / "nginx.conf").read_bytes() == b"ours"
    assert mode(tmp_path / "nginx.conf") == 0o640
    assert ((victim / "file").read_text(), mode(victim / "file")) == ("untouched", 0o644)


def test_a_secret_is_read_from_a_file_of_ours_alone(tmp_path: Path, victim: Path) -> None:
    (tmp_path / "link").symlink_to(victim / "file")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe"):
        with pytest.raises(ConfigError):
            folders.read_own(tmp_path / name)
    assert folders.read_own(victim / "file") == b"untouched"


@needs_root
def test_a_folder_or_secret_of_somebody_else_is_refused(tmp_path: Path, victim: Path) -> None:
    os.chown(victim, OTHER.uid, OTHER.gid)
    os.chown(victim / "file", OTHER.uid, OTHER.gid)
    with pytest.raises(ConfigError, match="belongs to uid 60805"):
        folders.make_folder(victim)
    with pytest.raises(ConfigError, match="belongs to uid 60805"):
        folders.read_own(victim / "file")


@needs_root
def test_a_tree_is_handed_over_and_links_in_it_are_not_followed(
    tmp_path: Path, victim: Path
) -> None:
    tree = tmp_path / "tree"
    (tree / "inner").mkdir(parents=True)
    (tree / "inner" / "file").write_text("x")
    (tree / "inner" / "link").symlink_to(victim)
    (tree / "link").symlink_to(victim / "file")
    folders.hand_over(tree, OTHER)
    assert {path.lstat().st_uid for path in (tree, *tree.rglob("*"))} == {OTHER.uid}
    assert {victim.stat().st_uid, (victim / "file").stat().st_uid} == {0}
    assert mode(tree) == 0o700


@needs_root
def test_a_file_with_a_second_name_is_not_handed_over(tmp_path: Path, victim: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    os.link(victim / "file", tree / "file")
    with pytest.raises(ConfigError, match="second name"):
        folders.hand_over(tree, OTHER)
    assert (victim / "file").stat().st_uid == 0
