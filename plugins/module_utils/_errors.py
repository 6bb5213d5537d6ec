# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Errors with structured fields; the only exceptions that lower layers raise on purpose.

This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

from typing import Any, TypeVar

from ansible_collections.numa.virt.plugins.module_utils._secrets import displayable, masked_message

T = TypeVar("T")


def certain(value: T | None) -> T:
    """The value, where the types cannot tell that it is there."""
    if value is None:
        raise AssertionError("a value that has to be there is missing")
    return value


class NumaVirtError(Exception):
    """Base of every error that a user may see: one line, and its parts as data."""

    code = "error"

    def __init__(self, message: str, **fields: Any) -> None:
        super().__init__(message)
        self.message = message
        self.fields = fields
        # Whether something had been changed, and was not put back, when this was raised.
        self.changed = False

    def as_result(self) -> dict[str, Any]:
        """Shape: ``{"msg": str, "changed": bool, "error": {"code": str, ...}}``, plain data only."""
        error: dict[str, Any] = {"code": self.code}
        error.update(self.fields)
        return {"msg": self.message, "changed": self.changed, "error": error}


class InputError(NumaVirtError):
    """An option cannot be met. Says the option, the value, what is wrong and what would be right.

    Nothing has been touched when this is raised. A value that may hold a secret, a document say, is not repeated.
    """

    code = "invalid_input"

    def __init__(self, option: str, value: Any, problem: str, expected: str | None = None) -> None:
        value = displayable(value)
        shown = _shown(value)
        message = f"{option}: {shown}: {problem}" if shown else f"{option}: {problem}"
        if expected:
            message += f"; {expected}"
        super().__init__(message, option=option, value=value, problem=problem, expected=expected)


class CpuSetSyntaxError(InputError):
    """Text is not a CPU set. ``position`` counts characters from 0."""

    code = "cpuset_syntax"

    def __init__(self, option: str, text: str, position: int, problem: str) -> None:
        super().__init__(
            option,
            text,
            f"{problem} at character {position + 1}",
            "a CPU set looks like '0-3,^2,8' or [0, 1, 3, 8]",
        )
        self.text = text
        self.position = position
        self.fields["position"] = position

    def for_option(self, option: str) -> CpuSetSyntaxError:
        """The same error, said of another option."""
        problem = str(self.fields["problem"]).rsplit(" at character ", 1)[0]
        return CpuSetSyntaxError(option, self.text, self.position, problem)


class XmlError(InputError):
    """A document is malformed, unsafe or not a domain. ``line`` and ``column`` count from 1."""

    code = "invalid_xml"

    def __init__(
        self, option: str, problem: str, expected: str | None = None, line: int | None = None, column: int | None = None
    ) -> None:
        if line is not None:
            problem = f"line {line}" + (f", column {column}" if column is not None else "") + f": {problem}"
        # The document itself may hold secrets: it is never part of the error.
        super().__init__(option, None, problem, expected)
        self.fields.update(line=line, column=column)


class DomainNotFoundError(InputError):
    code = "domain_not_found"


class UnsupportedError(NumaVirtError):
    """The driver has no such feature, or this collection does not know the driver."""

    code = "unsupported"

    def __init__(self, driver: str, feature: str, reason: str, option: str | None = None) -> None:
        start = f"{option}: " if option else ""
        super().__init__(
            f"{start}the {driver} driver cannot do this: {reason}",
            driver=driver,
            feature=feature,
            reason=reason,
            option=option,
        )


class ConnectionFailedError(NumaVirtError):
    """The hypervisor cannot be reached."""

    code = "connection_failed"


class LibvirtCallError(NumaVirtError):
    """libvirt refused a call. ``libvirt_code`` is its VIR_ERR number.

    Its words, and those of QEMU in them, quote what they do not like: what looks like a secret in them is masked.
    """

    code = "libvirt"

    def __init__(self, action: str, reason: str, libvirt_code: int | None = None) -> None:
        reason = masked_message(reason)
        super().__init__(f"cannot {action}: {reason}", action=action, reason=reason, libvirt_code=libvirt_code)


class PlacementFailedError(NumaVirtError):
    """The guest could not be started on its cells, or was found elsewhere. The old state was put back."""

    code = "placement_failed"


class DoesNotFitError(NumaVirtError):
    """Guests that were asked for have no place. ``rejections`` say why, one for each; nothing was touched."""

    code = "does_not_fit"


class GuestsFailedError(NumaVirtError):
    """Some guests of a task could not be brought to their place; the others were. ``failures`` say which and why."""

    code = "guests_failed"


class RestartFailedError(NumaVirtError):
    """A restart was allowed, and the guest did not go along."""

    code = "restart_failed"


def _shown(value: Any) -> str:
    if value is None or value == "":
        return ""
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 200 else text[:197] + "..."
