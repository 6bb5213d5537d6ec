# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""JSON that is kept with a guest, where anybody who may edit the guest can have put something else.

What is read is bounded, whatever the text: in size, in depth, and in what a number can be.
This file must not import ansible, libvirt or lxml, and must not know what the text means.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

MAX_TEXT = 1 << 16
MAX_DEPTH = 16
MAX_NUMBER = (1 << 63) - 1

_HALF = re.compile("[\ud800-\udfff]")
_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


class StoredTextError(ValueError):
    """A text that cannot be read; what is wrong with it, in words."""


def read_json(text: str, longest: int = MAX_TEXT) -> Any:
    """The value. Raises StoredTextError, and nothing else."""
    if len(text) > longest:
        raise StoredTextError(f"it is longer than {longest} characters")
    if _depth(text) > MAX_DEPTH:
        raise StoredTextError(f"it is nested deeper than {MAX_DEPTH}")
    try:
        return json.loads(
            text, parse_int=_whole, parse_float=_finite, parse_constant=_no_number, object_pairs_hook=_object
        )
    except StoredTextError:
        raise
    except ValueError:
        raise StoredTextError("it is no JSON") from None


def _depth(text: str) -> int:
    deepest = depth = 0
    for match in _BRACKETS.finditer(text):
        if match[0] in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif match[0] in "]}":
            depth -= 1
    return deepest


def _whole(text: str) -> int:
    # int() of thousands of digits takes its time, and is refused by some Pythons.
    if len(text) > 20 or abs(int(text)) > MAX_NUMBER:
        raise StoredTextError("a number in it is too large")
    return int(text)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise StoredTextError("a number in it is too large")
    return number


def _no_number(text: str) -> NoReturn:
    raise StoredTextError(f"{text} is no number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise StoredTextError("it says something twice")
    if any(_HALF.search(part) for each in pairs for part in each if isinstance(part, str)):
        raise StoredTextError("it holds half a character")
    return found
