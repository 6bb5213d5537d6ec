# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A few words of QMP, the protocol of QEMU's monitor."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any


class MonitorError(Exception):
    """The monitor did not answer, or answered with an error."""


class Monitor:
    """One conversation with a QEMU monitor."""

    def __init__(self, path: Path, timeout: float = 5.0) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout)
        try:
            self._socket.connect(str(path))
            self._stream = self._socket.makefile("rwb")
            self._read()
            self.execute("qmp_capabilities")
        except OSError as error:
            self._socket.close()
            raise MonitorError(f"{path}: {error}") from error

    def __enter__(self) -> Monitor:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def execute(self, command: str, **arguments: object) -> Any:
        """Run one command and return what it answers; events in between are passed over."""
        message: dict[str, object] = {"execute": command}
        if arguments:
            message["arguments"] = arguments
        try:
            self._stream.write(json.dumps(message).encode() + b"\n")
            self._stream.flush()
            while True:
                answer = self._read()
                if "error" in answer:
                    raise MonitorError(f"{command}: {answer['error']['desc']}")
                if "return" in answer:
                    return answer["return"]
        except OSError as error:
            raise MonitorError(f"{command}: {error}") from error

    def _read(self) -> dict[str, Any]:
        line = self._stream.readline()
        if not line:
            raise MonitorError("the monitor closed the connection")
        message: dict[str, Any] = json.loads(line)
        return message
