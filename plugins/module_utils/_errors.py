# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Errors with structured fields; the only exceptions that lower layers raise on purpose.

This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

import math
import os
import re
import traceback
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from ansible_collections.numa.virt.plugins.module_utils._secrets import displayable, masked_message

T = TypeVar("T")

# What any text of somebody else's may take of a line, and a line of a screen.
MAX_QUOTED = 200
MAX_LINE = 1000
_MOST_LINES = 20
_MOST_ITEMS = 64
# Line ends of any kind, what moves a terminal's cursor or turns its direction of writing, and halves of characters.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def cut(text: str, longest: int = MAX_QUOTED) -> str:
    """A text that is not longer than that: where it is, its end is left out."""
    return text if len(text) <= longest else text[: longest - 3] + "..."


def one_line(text: str, longest: int = MAX_LINE) -> str:
    """A text as one line of bounded length that can be shown on any terminal. What ends it, advice say, is kept."""
    text = _CONTROL.sub(_escaped, text)
    if len(text) <= longest:
        return text
    half = (longest - 5) // 2
    return f"{text[:half]} ... {text[-half:]}"


def shown(name: str) -> str:
    """A guest's name for a message, which stays one short line whatever the name holds."""
    return cut(name if name.isprintable() else name[: 4 * MAX_QUOTED].encode("unicode_escape").decode("ascii"))


def few(names: Sequence[str], most: int = 3) -> str:
    """Some names for a message: "db1, db2, db3 and 4 more"."""
    text = ", ".join(shown(name) for name in names[:most])
    return text if len(names) <= most else f"{text} and {len(names) - most} more"


def few_lines(lines: Iterable[str]) -> list[str]:
    """Warnings: the first ones, each as one line, and how many more there are."""
    found = list(lines)
    more = [f"(and {len(found) - _MOST_LINES} more warnings)"] * (len(found) > _MOST_LINES)
    return [*(one_line(each) for each in found[:_MOST_LINES]), *more]


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")


def required(value: T | None) -> T:
    """The value, where the types cannot tell that it is there."""
    if value is None:
        raise AssertionError("a value that has to be there is missing")
    return value


class NumaVirtError(Exception):
    """Base of every error that a user may see: one line of bounded length, and its parts as data."""

    code = "error"

    def __init__(self, message: str, **fields: Any) -> None:
        self.message = one_line(message)
        super().__init__(self.message)
        self.fields = fields
        # Whether something had been changed, and was not put back, when this was raised.
        self.changed = False
        # The domain's state then, "unknown" where nobody could look; None where nothing was touched.
        self.state: str | None = None
        # The file with the definition from before, where one was written.
        self.backup_file: str | None = None

    def add(self, words: str) -> None:
        """Let the line go on with what came of it."""
        self.message += words
        self.args = (self.message,)

    def as_result(self) -> dict[str, Any]:
        """Shape: ``{"msg": str, "changed": bool, "error": {"code": str, ...}}``, plain data only; with ``state`` and
        ``backup_file`` where they are known."""
        error: dict[str, Any] = {"code": self.code}
        error.update(self.fields)
        result: dict[str, Any] = {"msg": self.message, "changed": self.changed, "error": error}
        if self.state is not None:
            result["state"] = self.state
        if self.backup_file is not None:
            result["backup_file"] = self.backup_file
        return result


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
        super().__init__(message, option=option, value=_bounded(value), problem=cut(problem), expected=expected)


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


class UnreadableError(InputError):
    """A domain whose definition or record cannot be read. It is left alone; the others on its host are not."""


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
    """The guest could not be started on its cells, or was found elsewhere. The line says what was put back."""

    code = "placement_failed"


class DoesNotFitError(NumaVirtError):
    """Guests that were asked for have no place. ``rejections`` say why, one for each; nothing was touched."""

    code = "does_not_fit"


class GuestsFailedError(NumaVirtError):
    """Some guests of a task could not be brought to their place; the others were. ``failures`` say which and why.

    ``result`` is what the task returns of those that were, as if nothing had failed.
    """

    code = "guests_failed"

    def __init__(self, message: str, result: dict[str, Any] | None = None, **fields: Any) -> None:
        super().__init__(message, **fields)
        self.result = result or {}

    def as_result(self) -> dict[str, Any]:
        return {**self.result, **super().as_result()}


class NotMovedError(NumaVirtError):
    """A guest was left as it is, because another one still has what it was to get."""

    code = "waits"


class InternalError(NumaVirtError):
    """A defect of this collection: one line without anything of what it was about, which could be a secret."""

    code = "internal"

    def __init__(self, error: BaseException) -> None:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        kind, where = type(error).__name__, f"{os.path.basename(frame.filename)}:{frame.lineno}"
        super().__init__(
            f"internal error in numa.virt ({kind} at {where}): please report it",
            type=kind,
            where=where,
        )


class CutShortError(NumaVirtError):
    """A signal ended the run in the middle of a guest."""

    code = "interrupted"


class GivenTwiceError(NumaVirtError):
    """Somebody else gave CPUs to a guest while they were given to one of ours. ``overlaps`` say which, to whom."""

    code = "given_twice"


class RestartFailedError(NumaVirtError):
    """A restart was allowed, and the guest did not go along."""

    code = "restart_failed"


class ChangedMeanwhileError(NumaVirtError):
    """Somebody else has changed a domain between the look and the first write. Nothing was touched."""

    code = "changed_meanwhile"


class SavedImageError(NumaVirtError):
    """A domain has a managed save image that cannot be given another place. Nothing was touched, unless it is said."""

    code = "saved_image"


class NotRunningError(NumaVirtError):
    """A guest that shall run was brought to its place, and does not run: it ended at once, or somebody stopped it."""

    code = "not_running"


def reason_of(error: NumaVirtError) -> str:
    """What the hypervisor said, in one line."""
    return " ".join(str(error.fields.get("reason") or error).split())


def _shown(value: Any) -> str:
    if value is None or value == "":
        return ""
    if isinstance(value, str):
        # Escapes make a text longer, so it is cut again.
        return cut(repr(cut(value)))
    return cut(str(_bounded(value)))


def _bounded(value: Any) -> Any:
    """A value of an option as it may stand in a result: what is long is cut."""
    if isinstance(value, str):
        return cut(value, MAX_LINE)
    if isinstance(value, int):
        return value if value.bit_length() <= 64 else f"a number of {value.bit_length()} bits"
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        few_of_them = [_bounded(each) for each in list(value)[:_MOST_ITEMS]] + ["..."] * (len(value) > _MOST_ITEMS)
        return tuple(few_of_them) if isinstance(value, tuple) else few_of_them
    if isinstance(value, dict):
        return {cut(str(key)): _bounded(each) for key, each in list(value.items())[:_MOST_ITEMS]}
    return value if value is None else cut(str(value), MAX_LINE)
