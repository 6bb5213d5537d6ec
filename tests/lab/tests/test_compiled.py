# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What hosts keep of compiled modules is what Python would have made of their sources."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

PACKAGES = Path(__file__).resolve().parent.parent / "images" / "common" / "usr" / "lib" / "python3" / "dist-packages"

#: Imports ``inside`` from a zip file, and prints its value and how many sources were compiled.
LOOK = """\
import sys, zipimport
packages, folder, archive = sys.argv[1:]
compiled = []
plain = zipimport._compile_source
zipimport._compile_source = lambda *words: compiled.append(words) or plain(*words)
sys.path[:0] = [archive, packages]
import lab_compiled
lab_compiled.FOLDER = folder
zipimport._compile_source = lab_compiled._kept
import inside
print(inside.VALUE, len(compiled))
"""


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    return tmp_path / "kept"


def look(folder: Path, source: str) -> str:
    archive = folder.parent / "archive.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("inside.py", source)
    words = [sys.executable, "-S", "-c", LOOK, str(PACKAGES), str(folder), str(archive)]
    return subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def test_a_source_is_compiled_once(folder: Path) -> None:
    assert look(folder, "VALUE = 1") == "1 1"
    assert look(folder, "VALUE = 1") == "1 0"
    assert look(folder, "VALUE = 2") == "2 1"


@pytest.mark.parametrize("content", [b"", b"c", b"nonsense"])
def test_what_cannot_be_read_is_compiled_again(folder: Path, content: bytes) -> None:
    look(folder, "VALUE = 1")
    [kept] = folder.iterdir()
    kept.write_bytes(content)
    assert look(folder, "VALUE = 1") == "1 1"
    assert look(folder, "VALUE = 1") == "1 0"


def test_where_nothing_can_be_kept_it_is_compiled_as_ever(folder: Path) -> None:
    folder.write_text("a file, where a folder is wanted")
    # Python itself compiles each twice: for its name, and for its code.
    assert look(folder, "VALUE = 1") == "1 2"


def test_it_is_loaded_when_python_starts() -> None:
    assert (PACKAGES / "lab_compiled.pth").read_text() == "import lab_compiled\n"
