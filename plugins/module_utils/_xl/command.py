# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Xen's own tool, run on this machine: argument vectors only, never a shell, and every failure as one line.

No decision is made here. What xl prints is only parsed on Xen, and its parser loaded there: Ansible has every module
compiled anew in each run. This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ansible_collections.numa.virt.plugins.module_utils._errors import NumaVirtError
from ansible_collections.numa.virt.plugins.module_utils._secrets import masked_message
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.topology import CpuPool

if TYPE_CHECKING:
    from ansible_collections.numa.virt.plugins.module_utils._values.hypervisor import Pages

# An argument vector -> (exit status, stdout, stderr); raises OSError where it cannot be started
Run = Callable[[Sequence[str]], "tuple[int, str, str]"]

_FOLDERS = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin"
_XEN_VERSION = re.compile(r"^xen_version\s*:\s*\S", re.MULTILINE)
_INFO_ATTEMPTS = 3
# "libxl: error: libxl_dom.c:190:numa_place_domain: Domain 4:Hard affinity …": the place in the source helps nobody
_ERROR = re.compile(r"(?:libxl|xl|libxlu?|xc): error: (?:\w+\.c:\d+:)?(?:\w+: )?(?:Domain \d+:)?\s*(?P<text>.*)")


class XlCallError(NumaVirtError):
    """xl refused something. ``status`` is its exit status. What looks like a secret in its words is masked."""

    code = "xl"

    def __init__(self, action: str, reason: str, status: int) -> None:
        reason = masked_message(reason)
        super().__init__(f"cannot {action}: {reason}", action=action, reason=reason, status=status)


class XlCommand:
    """One xl, which counts its calls."""

    def __init__(self, program: str, run: Run) -> None:
        self.program = program
        self.calls = 0
        self._run = run
        self._pools: tuple[CpuPool, ...] | None = None

    def __call__(self, action: str, *arguments: str) -> str:
        """What it prints. ``action`` says in words what for. Raises XlCallError."""
        return self._call(action, *arguments)[0]

    def info(self) -> str:
        """What ``xl info -n`` prints. Raises XlCallError.

        It leaves out what Xen would not tell it, and ends with 0 all the same. On a busy host (4.17) that was seen once
        of Xen's version, so it is asked again.
        """
        action = "read the host"
        for _attempt in range(_INFO_ATTEMPTS):
            output, errors = self._call(action, "info", "-n")
            if _XEN_VERSION.search(output):
                return output
        raise XlCallError(action, _reason(errors, 0) if errors.strip() else "it leaves out xen_version", 0)

    def _call(self, action: str, *arguments: str) -> tuple[str, str]:
        self.calls += 1
        try:
            status, output, errors = self._run([self.program, *arguments])
        except OSError as error:
            raise XlCallError(action, error.strerror or str(error), 127) from None
        if status != 0:
            raise XlCallError(action, _reason(errors or output, status), status)
        return output, errors

    def pools(self) -> tuple[CpuPool, ...]:
        """The cpupools, that of new guests first; read once. Raises XlCallError."""
        if self._pools is None:
            from ansible_collections.numa.virt.plugins.module_utils._xl import output as xl_output

            found = xl_output.parse_pools(self("read the cpupools", "cpupool-list", "-c"))
            self._pools = tuple(CpuPool(name, cpus) for name, cpus in found.items())
        return self._pools

    def device_cells(self) -> dict[str, int]:
        """The cell of each PCI device of which Xen knows it, by address. Raises XlCallError, XlOutputError."""
        from ansible_collections.numa.virt.plugins.module_utils._xl import output as xl_output

        return {device.address: cell for cell, device in xl_output.parse_info(self.info()).devices if cell is not None}

    def assignable_devices(self) -> dict[str, str]:
        """The addresses of devices that guests may be given, by the names that xl has for them. Raises XlCallError."""
        from ansible_collections.numa.virt.plugins.module_utils._xl import output as xl_output

        text = self("list the devices that guests may be given", "pci-assignable-list", "-n")
        return xl_output.parse_assignable(text)

    def pages(self) -> Pages:
        """KiB of every domain on every cell: the debug key u makes Xen write them to its log.

        None where this user may not, or where the log is too short for all of it.
        """
        from ansible_collections.numa.virt.plugins.module_utils._xl import output as xl_output

        try:
            self("ask for the pages of each cell", "debug-keys", "u")
            found: Pages = xl_output.parse_numa_dump(self("read Xen's log", "dmesg"))
            return found
        except NumaVirtError:
            return None


def find_xl(run: Run) -> XlCommand | None:
    """The xl of this machine, where there is one."""
    program = shutil.which("xl", path=f"{os.environ.get('PATH', '')}:{_FOLDERS}")
    return XlCommand(program, run) if program is not None else None


def run_with(run_command: Callable[..., tuple[int, str, str]]) -> Run:
    """AnsibleModule.run_command() as it has to be called here: nothing is expanded, and words are not translated."""
    environment = {"LC_ALL": "C", "LANG": "C", "PATH": f"{os.environ.get('PATH', '')}:{_FOLDERS}"}

    def run(arguments: Sequence[str]) -> tuple[int, str, str]:
        return run_command(
            list(arguments),
            environ_update=environment,
            errors="surrogate_then_replace",
            expand_user_and_vars=False,
            handle_exceptions=False,
        )

    return run


def _reason(said: str, status: int) -> str:
    """The first of its errors, which caused the others, else its last line; in one line."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    found = [match["text"] for line in lines for match in [_ERROR.match(line)] if match and match["text"]]
    text = found[0] if found else (lines[-1] if lines else f"it ended with status {status}")
    return " ".join(text.split()).rstrip(".!")


def set_text(cpus: CpuSet, everything: CpuSet) -> str:
    """A CPU set as an argument for xl."""
    return "all" if everything <= cpus else str(cpus)
