# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keeps what Python makes of the sources in zip files, which it does not by itself, by a digest of each source.

Every Ansible module comes as a zip file of a hundred sources. To compile them takes an emulated CPU longer than all
that the module does. Only root writes here; what cannot be read or written is compiled as ever. In tracebacks, files
have the names they had when they were first compiled.
"""

import marshal
import os
import sys
import zipimport
from _imp import source_hash

FOLDER = f"/var/cache/lab-compiled/{sys.implementation.cache_tag}"
_KEY = 0x6E756D61

_compile = zipimport._compile_source


def _kept(pathname, source):
    path = f"{FOLDER}/{source_hash(_KEY, source).hex()}-{len(source)}"
    try:
        with open(path, "rb") as file:
            return marshal.load(file)
    except (OSError, EOFError, ValueError, TypeError):
        pass  # there is none yet, or no whole one
    code = _compile(pathname, source)
    draft = f"{path}.{os.getpid()}"
    try:
        os.makedirs(FOLDER, 0o755, exist_ok=True)
        with open(draft, "wb") as file:
            marshal.dump(code, file)
        os.replace(draft, path)
    except OSError:
        pass
    return code


if os.geteuid() == 0:
    zipimport._compile_source = _kept
