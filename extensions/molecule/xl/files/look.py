# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tell as JSON what has become of the files of prepare.py, without the code under test.

Shape: ``{"files": {"promised.cfg": {"same": bool, "rest_same": bool, "cpus": str | null, "records": int, "mode": str,
"owner": str, "group": str}}, "calls": [str], "first_start": [str]}``. ``rest_same`` is about every byte but the value
of ``cpus`` and whole lines that hold a record; ``calls`` are the arguments of each call of xl, ``first_start`` those
from a guest's paused start on until it was let go.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

FOLDER = Path("/root/numa-virt")
BEFORE = FOLDER / "before"
CPUS = re.compile(rb"""^([ \t]*cpus[ \t]*=[ \t]*)("[^"\n]*"|\[[^]]*\])""", re.MULTILINE)
RECORD = re.compile(rb"^# numa\.virt: .*\n", re.MULTILINE)


def rest(text: bytes) -> bytes:
    return CPUS.sub(rb"\1", RECORD.sub(b"", text))


def look(path: Path, before: Path) -> dict:
    text, old = path.read_bytes(), before.read_bytes()
    cpus = CPUS.search(text)
    return {
        "same": text == old,
        "rest_same": rest(text) == rest(old),
        "cpus": cpus[2].decode() if cpus else None,
        "records": len(RECORD.findall(text)),
        "mode": f"{path.stat().st_mode & 0o7777:04o}",
        "owner": path.owner(),
        "group": path.group(),
    }


def first_start(calls: list[str]) -> list[str]:
    """The calls from the first paused start of promised to the guest's being let go."""
    start = "create -q -p /etc/xen/promised.cfg"
    found = calls[calls.index(start) :] if start in calls else []
    end = next((number for number, call in enumerate(found) if call.startswith("unpause ")), 0)
    return found[:end]


def main() -> None:
    copies = [each for each in BEFORE.rglob("*") if each.is_file()]
    files = {each.name: look(Path("/") / each.relative_to(BEFORE), each) for each in copies}
    written = FOLDER / "calls"
    calls = written.read_text().splitlines() if os.path.exists(written) else []
    print(json.dumps({"files": files, "calls": calls, "first_start": first_start(calls)}))


main()
