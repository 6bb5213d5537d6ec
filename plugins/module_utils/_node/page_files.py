# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pages of the map as files in a directory: what is there, what would change, and writing it.

Only files that this made before are replaced, which their generator mark tells; nothing is ever removed. Names of
guests are nobody's business but the site's: a new directory is 0750 and a new file 0640; what is there keeps its mode.
This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._node import files
from ansible_collections.numa.virt.plugins.module_utils._node.backup import check_directory

DIRECTORY_MODE = 0o750
FILE_MODE = 0o640
# The mark stands in the head of a page.
_HEAD = 2000


@dataclass(frozen=True)
class PageFile:
    """A page to write. ``before`` is what its file holds now, None where there is none."""

    path: str
    before: str | None
    after: str

    @property
    def changed(self) -> bool:
        return self.before != self.after


def look(
    directory: str, pages: Mapping[str, str], mark: str, beside: Mapping[str, str] = MappingProxyType({})
) -> list[PageFile]:
    """What is in the files of these pages (text by file name), in their order. Changes nothing.

    Raises InputError where the directory could not be written to, or the file of a page is not one of ours: those hold
    ``mark`` near their beginning. Files ``beside`` them, which follow, may hold anything.
    """
    check_directory(directory, "dest")
    found = [PageFile(path, _text(path, mark), text) for path, text in _placed(directory, pages)]
    found += [PageFile(path, _text(path, ""), text) for path, text in _placed(directory, beside)]
    check_directory(
        directory, "dest", sum(len(page.after.encode("utf-8", "surrogateescape")) for page in found if page.changed)
    )
    return found


def write(directory: str, pages: Iterable[PageFile]) -> None:
    """Write the pages that differ, each whole or not at all. Raises InputError."""
    try:
        files.make_directory(directory, DIRECTORY_MODE)
        with files.directory(directory) as folder:
            files.remove_leftovers(folder)
            for page in pages:
                name = os.path.basename(page.path)
                if page.before is None:
                    files.write_file(folder, name, page.after, FILE_MODE)
                elif page.changed:
                    files.replace_file(folder, name, page.after)
    except OSError as error:
        raise InputError(
            "dest", directory, f"cannot be written to: {error.strerror}", "give another directory"
        ) from None


def _placed(directory: str, pages: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(os.path.join(directory, name), text) for name, text in pages.items()]


def _text(path: str, mark: str) -> str | None:
    """What a file of ours holds; None where there is no file."""
    try:
        text = files.read_text(path)
    except FileNotFoundError:
        return None
    except files.UnsafeFileError as error:
        raise InputError("dest", path, str(error.strerror), "give a directory of the map's own") from None
    except OSError as error:
        raise InputError("dest", path, f"cannot be read: {error.strerror}") from None
    if mark not in text[:_HEAD]:
        raise InputError("dest", path, "is no page of this module", "give a directory of the map's own")
    return text
