# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Edits of a configuration file's text: its ``cpus``, and the comment line that holds our record.

Each function takes a text with its document and gives another text; what it does not own it does not touch. What it
puts in it takes out again without a trace.

This file must not import ansible, libvirt or lxml, and must not know what the text means.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from ansible_collections.numa.virt.plugins.module_utils._xl.syntax import (
    Atom,
    Comment,
    Document,
    Items,
    Statement,
    parse_document,
)

PREFIX = "# numa.virt: "
_RECORD = re.compile(r"\{[^\n\r\0]*\}")
_BLANKS = " \t"
_LEADING_BLANKS = re.compile("[ \t]*")


def with_cpus(text: str, document: Document, words: Sequence[str]) -> str:
    """The text where ``words``, one for each vCPU, are all that ``cpus`` says: always as a list.

    The last assignment gets it, in place; what was appended to that goes. Where there is none it is put on a line of
    its own behind the last statement, and the record before it.
    """
    quoted = [f'"{each}"' for each in words]
    value = f"[{', '.join(quoted)}]"
    found = _cpus(document)
    if not found:
        return _moving_record(text, document, lambda rest, parsed: _appended(rest, parsed, f"cpus = {value}"))
    rank = _assignment(found)
    for each in reversed(found[rank + 1 :]):
        text = _without_statement(text, document, each)
    target = found[rank].value
    if isinstance(target, Items) and len(target.values) == len(quoted) and _is_flat(target):
        # What else stands in the list, comments say, stays.
        parts, end = [], 0
        for old, new in zip(target.values, quoted):
            parts += [text[end : old.start], new]
            end = old.end
        return "".join((*parts, text[end:]))
    return _replaced(text, target.start, target.end, value)


def without_cpus(text: str, document: Document) -> str:
    """The text without any ``cpus``. What stood on the same line stays, a comment too."""
    return _moving_record(text, document, _without_cpus)


def without_owned(text: str, document: Document) -> str:
    """The text without ``cpus`` and records."""
    rest = _without_lines(text, record_lines(text, document))
    return _without_cpus(rest, parse_document(rest, ""))


def is_record(record: str) -> bool:
    return _RECORD.fullmatch(record) is not None


def records(text: str, document: Document) -> list[str]:
    """The records in a text, in order. There is one at most, unless somebody has copied it."""
    return [text[each.start : each.end].rstrip(_BLANKS)[len(PREFIX) :] for each in record_lines(text, document)]


def record_lines(text: str, document: Document) -> list[Comment]:
    """The comments that hold them: lines of their own, outside every list."""
    return [each for each in document.comments if each.alone and _holds_record(text[each.start : each.end])]


def with_record(text: str, document: Document, record: str | None) -> str:
    """The text with this record in the place of all that are there, or before ``cpus``, or at the end."""
    lines = record_lines(text, document)
    if record is None or not lines:
        text = _without_lines(text, lines)
        return text if record is None else _with_new_record(text, document, record)
    last = lines[-1]
    return _without_lines(_replaced(text, last.start, last.end, PREFIX + record), lines[:-1])


def _cpus(document: Document) -> list[Statement]:
    return [each for each in document.statements if each.name == "cpus"]


def _assignment(found: Sequence[Statement]) -> int:
    """The rank of the one that counts, and to which all behind it append."""
    return max((rank for rank, each in enumerate(found) if not each.appends), default=0)


def _is_flat(items: Items) -> bool:
    return all(isinstance(each, Atom) for each in items.values)


def _without_cpus(text: str, document: Document) -> str:
    for each in reversed(_cpus(document)):
        text = _without_statement(text, document, each)
    return text


def _appended(text: str, document: Document, statement: str) -> str:
    end = text.find("\n", document.statements[-1].end) + 1
    if not end:
        return f"{text}\n{statement}"
    return _replaced(text, end, end, f"{statement}\n")


def _without_statement(text: str, document: Document, statement: Statement) -> str:
    """Take a statement out. ``document`` is right for all that stands before it."""
    start, end = statement.start, statement.end
    line_start = start - _blanks_before(text, start)
    after = end + _blanks_after(text, end)
    parted = text[after : after + 1] == ";"
    if parted:
        after += 1
        after += _blanks_after(text, after)
    if line_start and text[line_start - 1] == ";":
        return _replaced(text, *((start, after) if parted else (line_start - 1, end)), "")
    if text[after : after + 1] == "#":
        # A comment that now has its line for itself must not become a record.
        rest = text[after : (text + "\n").index("\n", after)]
        return _replaced(text, start, after, "; " if _holds_record(rest) else "")
    if parted:
        return _replaced(text, start, after, "")
    if after < len(text):
        return _replaced(text, line_start, after + 1, "")
    # At the end of a text whose last line does not end. A comment has to.
    comment = any(each.end == line_start - 1 and each.end - each.start > 1 for each in document.comments)
    return text[: line_start if comment else max(line_start - 1, 0)]


def _holds_record(comment: str) -> bool:
    return comment.startswith(PREFIX) and is_record(comment[len(PREFIX) :].rstrip(_BLANKS))


def _without_lines(text: str, lines: Sequence[Comment]) -> str:
    for each in reversed(lines):
        text = _replaced(text, each.start - _blanks_before(text, each.start), each.end + 1, "")
    return text


def _with_new_record(text: str, document: Document, record: str) -> str:
    found = _cpus(document)
    if found:
        place = _line_start(text, document, found[_assignment(found)])
    elif text.endswith("\n"):
        place = len(text)
    else:
        place = _line_start(text, document, document.statements[-1])
    return _replaced(text, place, place, f"{PREFIX}{record}\n")


def _line_start(text: str, document: Document, statement: Statement) -> int:
    """Where the line begins that a statement is on; where that is inside a list, the line of the list."""
    place = text.rfind("\n", 0, statement.start) + 1
    for each in reversed(document.statements):
        if each.start < place < each.end:
            place = text.rfind("\n", 0, each.start) + 1
    return place


def _moving_record(text: str, document: Document, edit: Callable[[str, Document], str]) -> str:
    """Edit a text without its record, and put that back to where it belongs then."""
    found = records(text, document)
    rest = _without_lines(text, record_lines(text, document))
    edited = edit(rest, parse_document(rest, ""))
    return _with_new_record(edited, parse_document(edited, ""), found[-1]) if found else edited


def _blanks_before(text: str, position: int) -> int:
    start = position
    while start and text[start - 1] in _BLANKS:
        start -= 1
    return position - start


def _blanks_after(text: str, position: int) -> int:
    match = _LEADING_BLANKS.match(text, position)
    return len(match[0]) if match else 0


def _replaced(text: str, start: int, end: int, new: str) -> str:
    return text[:start] + new + text[end:]
