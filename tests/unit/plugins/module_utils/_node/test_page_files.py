# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pages as files: modes, what is ours and what is not, and what is left where writing fails."""

from __future__ import annotations

import errno
import os
import stat

import pytest

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._node import page_files
from ansible_collections.numa.virt.plugins.module_utils._node.page_files import PageFile, look, write

MARK = "made by us"
PAGES = {"index.html": f"<{MARK}> 1", "a.html": f"<{MARK}> größer"}


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_new_files_are_for_owner_and_group_whatever_the_umask(tmp_path, umask):
    folder = tmp_path / "site" / "map"
    before = os.umask(umask)
    try:
        found = look(str(folder), PAGES, MARK)
        assert not folder.parent.exists(), "looking changes nothing"
        assert found == [PageFile(str(folder / name), None, text) for name, text in PAGES.items()]
        write(str(folder), found)
    finally:
        os.umask(before)
    assert [mode(path) for path in (folder.parent, folder, folder / "index.html")] == [0o750, 0o750, 0o640]
    assert {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()} == PAGES


def test_what_is_there_keeps_its_mode_and_what_is_the_same_is_not_written(tmp_path):
    os.chmod(tmp_path, 0o755)
    write(str(tmp_path), look(str(tmp_path), PAGES, MARK))
    os.chmod(tmp_path / "a.html", 0o644)
    written = os.stat(tmp_path / "index.html").st_ino
    newer = {**PAGES, "a.html": f"<{MARK}> 2"}
    found = look(str(tmp_path), newer, MARK)
    assert [page.changed for page in found] == [False, True]
    assert found[1].before == PAGES["a.html"]
    write(str(tmp_path), found)
    assert (mode(tmp_path), mode(tmp_path / "a.html")) == (0o755, 0o644)
    assert (tmp_path / "a.html").read_text(encoding="utf-8") == f"<{MARK}> 2"
    assert os.stat(tmp_path / "index.html").st_ino == written
    assert not any(page.changed for page in look(str(tmp_path), newer, MARK))


def test_a_page_that_would_never_end(tmp_path):
    os.mkfifo(tmp_path / "a.html")
    with pytest.raises(InputError, match="is not a regular file"):
        look(str(tmp_path), PAGES, MARK)


def test_files_of_others_stay(tmp_path):
    (tmp_path / "a.html").write_text("mine", encoding="utf-8")
    (tmp_path / "b.html").write_text("mine too", encoding="utf-8")
    with pytest.raises(InputError, match=r"a.html': is no page of this module; give a directory of the map's own$"):
        look(str(tmp_path), PAGES, MARK)
    write(str(tmp_path), look(str(tmp_path), {"index.html": f"{MARK}"}, MARK))
    assert (tmp_path / "b.html").read_text(encoding="utf-8") == "mine too"


def test_links_and_folders_are_not_followed(tmp_path):
    (tmp_path / "target").write_text(MARK, encoding="utf-8")
    (tmp_path / "a.html").symlink_to("target")
    with pytest.raises(InputError, match="is not a regular file"):
        look(str(tmp_path), PAGES, MARK)


def test_a_directory_that_is_none(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match=r"^dest: .*file is not a directory"):
        look(str(tmp_path / "file" / "map"), PAGES, MARK)


def test_a_file_that_cannot_be_read(tmp_path, monkeypatch):
    def refuse(*_arguments):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(page_files.files, "read_text", refuse)
    with pytest.raises(InputError, match=r"index.html': cannot be read: Permission denied$"):
        page_files._text(str(tmp_path / "index.html"), MARK)


def test_a_write_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def fail(*_arguments, **_folders):
        raise OSError(errno.ENOSPC, "No space left on device")

    found = look(str(tmp_path), PAGES, MARK)
    monkeypatch.setattr(os, "rename", fail)
    with pytest.raises(InputError, match=r"^dest: .*: cannot be written to: No space left on device; give another"):
        write(str(tmp_path), found)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_without_room_for_the_pages_is_seen_before_any_is_written(tmp_path):
    with pytest.raises(InputError, match=r"^dest: '.*': .* is on a file system with \d+ KiB free"):
        look(str(tmp_path), {"a.html": Large(PAGES["a.html"])}, MARK)


class Large(str):
    """A page of 1 EiB."""

    def encode(self, *_arguments):
        return range(1 << 60)


def test_a_page_that_became_a_link_meanwhile_is_not_followed(tmp_path):
    write(str(tmp_path), look(str(tmp_path), PAGES, MARK))
    found = look(str(tmp_path), {"a.html": f"<{MARK}> 2"}, MARK)
    (tmp_path / "target").write_text("mine")
    (tmp_path / "a.html").unlink()
    (tmp_path / "a.html").symlink_to("target")
    with pytest.raises(InputError, match="cannot be written to: Too many levels of symbolic links"):
        write(str(tmp_path), found)
    assert (tmp_path / "target").read_text() == "mine"
