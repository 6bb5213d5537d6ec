# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The language of xl's configuration files: text into statements, each with its place in the text.

The grammar is that of libxlu_cfg_l.l and libxlu_cfg_y.y in Xen's tools/libs/util, read in 4.17 and compared with the
library over generated texts. Positions count characters of the text from 0, lines count from 1.

Where this differs from xl, on purpose:
- lists nest at most MAX_DEPTH deep; no option nests deeper than two;
- xl passes over one wrong character that is the very last of the file; here only a "#" may stand there.

This file must not import ansible, libvirt or lxml, and must know no option by its name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import Union

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError

MAX_DEPTH = 32

_TOKEN = re.compile(
    r"""(?P<blank>[ \t]+)
    |(?P<newline>\n|\#[^\n]*\n|\#\Z)
    |(?P<name>[a-z][._0-9a-z]*)
    |(?P<number>[0-9][0-9a-fx]*)
    |(?P<string>'(?:[^'\\\n]|\\[^\n])*'|"(?:[^"\\\n]|\\[^\n])*")
    |(?P<sign>\+=|[\[\],=;])""",
    re.VERBOSE,
)
# After an octal digit xlu__cfgl_dequote() has strtoul() read up to three more characters, wants at least two to be
# read, and drops them all. No \\x ever satisfies it.
_DROPPED = r"[0-7](?:[0-9]{2,3}|[ \t\v\f\r+-][0-9]{1,2}|[ \t\v\f\r][ \t\v\f\r+-][0-9])"
_ESCAPE = re.compile(rf"""\\(?:(?P<plain>["'\\abfnrtv])|(?P<dropped>{_DROPPED})|.)""")
_PLAIN = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


class XlConfigError(InputError):
    """A file is not one that xl takes, or says what cannot be. ``line`` counts from 1, or is None.

    Values are shown only where they cannot be secret: the file itself may hold passwords.
    """

    code = "invalid_xl_config"

    def __init__(self, source: str, problem: str, expected: str | None = None, line: int | None = None) -> None:
        if line is not None:
            problem = f"line {line}: {problem}"
        super().__init__(source, None, problem, expected)
        self.fields.update(line=line)


@dataclass(frozen=True)
class Atom:
    """A string or a number; xl keeps a number as the text that was written. ``text`` is without quotes and escapes."""

    text: str
    start: int
    end: int
    line: int


@dataclass(frozen=True)
class Items:
    """A list."""

    values: tuple[Value, ...]
    start: int
    end: int
    line: int


Value = Union[Atom, Items]


@dataclass(frozen=True)
class Statement:
    """``name = value``, or with ``appends`` ``name += value``. ``start`` and ``end`` enclose all of it, no blanks."""

    name: str
    appends: bool
    value: Value
    start: int
    end: int
    line: int


@dataclass(frozen=True)
class Comment:
    """A comment, its newline not included. ``alone`` says that it has its line for itself, outside every list."""

    start: int
    end: int
    alone: bool


@dataclass(frozen=True)
class Document:
    """The statements and comments of a text, in its order."""

    statements: tuple[Statement, ...]
    comments: tuple[Comment, ...]


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    start: int
    end: int
    line: int


def parse_document(text: str, source: str) -> Document:
    """Raises XlConfigError, which names ``source``, for what xl refuses to read."""
    return _Parser(text, source).document()


def merged(statements: tuple[Statement, ...], source: str) -> dict[str, Statement]:
    """What counts in the end, by name: the last assignment, with all that was appended to it (xlu__cfg_set_store).

    A merged statement keeps the place, the line and ``appends`` of the last one that it is made of. Raises
    XlConfigError where a list is appended to a string, or the reverse.
    """
    runs: dict[str, list[Statement]] = {}
    for each in statements:
        if each.appends and each.name in runs:
            runs[each.name].append(each)
        else:
            runs[each.name] = [each]
    return {name: run[0] if len(run) == 1 else _joined(run, source) for name, run in runs.items()}


def atoms(value: Value) -> Iterator[Atom]:
    """Every string and number in a value, in order."""
    if isinstance(value, Atom):
        yield value
    else:
        for each in value.values:
            yield from atoms(each)


def _joined(run: list[Statement], source: str) -> Statement:
    """An assignment with all that is appended to it, in one go: each may be long."""
    last = run[-1]
    for each in run:
        if isinstance(each.value, Atom) != isinstance(run[0].value, Atom):
            raise XlConfigError(
                source,
                f"{each.name} += mixes a list with a single value",
                "append a list to a list and a string to a string",
                each.line,
            )
    if isinstance(last.value, Atom):
        text = "".join(atom.text for each in run for atom in atoms(each.value))
        return replace(last, value=replace(last.value, text=text))
    values = chain.from_iterable(each.value.values for each in run if isinstance(each.value, Items))
    return replace(last, value=replace(last.value, values=tuple(values)))


class _Parser:
    """One pass over one text."""

    def __init__(self, text: str, source: str) -> None:
        self.text = text
        self.source = source
        self.comments: list[Comment] = []
        self.depth = 0
        self.fresh = True  # nothing but blanks so far on this line
        self.tokens = self._tokens()
        self.token = self._next()

    def document(self) -> Document:
        statements = []
        while self.token.kind != "end":
            if self._ends_statement():
                self._advance()
                continue
            statements.append(self._statement())
            if not self._ends_statement() and self.token.kind != "end":
                raise self._unexpected("a new line or ';'")
        return Document(tuple(statements), tuple(self.comments))

    def _ends_statement(self) -> bool:
        return self.token.kind in ("newline", ";")

    def _statement(self) -> Statement:
        name = self._take("name", "an option's name in lower-case letters")
        if self.token.kind not in ("=", "+="):
            raise self._unexpected("'=' or '+='")
        appends = self._advance().kind == "+="
        value = self._value()
        return Statement(name.text, appends, value, name.start, value.end, name.line)

    def _value(self) -> Value:
        if self.token.kind == "[":
            return self._items()
        if self.token.kind not in ("string", "number"):
            raise self._unexpected("a string in quotes, a number or a list")
        token = self._advance()
        text = self._unquoted(token) if token.kind == "string" else token.text
        return Atom(text, token.start, token.end, token.line)

    def _items(self) -> Items:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self._error(f"lists are nested more than {MAX_DEPTH} deep", None)
        opening = self._advance()
        self._skip_newlines()
        values: list[Value] = []
        while self.token.kind != "]":
            values.append(self._value())
            self._skip_newlines()
            if self.token.kind != "]":
                self._take(",", "',' or ']'")
                self._skip_newlines()
        self.depth -= 1
        closing = self._advance()
        return Items(tuple(values), opening.start, closing.end, opening.line)

    def _skip_newlines(self) -> None:
        while self.token.kind == "newline":
            self._advance()

    def _take(self, kind: str, expected: str) -> _Token:
        if self.token.kind != kind:
            raise self._unexpected(expected)
        return self._advance()

    def _advance(self) -> _Token:
        token, self.token = self.token, self._next()
        return token

    def _next(self) -> _Token:
        token = next(self.tokens)
        if token.kind == "newline":
            if token.text[0] == "#":
                end = token.end - token.text.endswith("\n")
                self.comments.append(Comment(token.start, end, alone=self.fresh and not self.depth))
            self.fresh = True
        else:
            self.fresh = False
        return token

    def _tokens(self) -> Iterator[_Token]:
        position, line = 0, 1
        while position < len(self.text):
            match = _TOKEN.match(self.text, position)
            if match is None or "\0" in match[0]:
                raise self._no_token(position, line)
            kind = str(match.lastgroup)
            if kind != "blank":
                yield _Token(match[0] if kind == "sign" else kind, match[0], match.start(), match.end(), line)
            line += match[0].count("\n")
            position = match.end()
        while True:
            yield _Token("end", "", position, position, line)

    def _unquoted(self, token: _Token) -> str:
        def plain(match: re.Match[str]) -> str:
            if match["plain"]:
                return _PLAIN.get(match["plain"], match["plain"])
            if match["dropped"]:
                return ""
            raise XlConfigError(
                self.source,
                "a string with an escape that xl does not read",
                "after a backslash stands one of \" ' \\ a b f n r t v",
                token.line,
            )

        return _ESCAPE.sub(plain, token.text[1:-1])

    def _unexpected(self, expected: str) -> XlConfigError:
        at = self.token
        shown = {"newline": "the end of the line", "end": "the end of the file", "string": "a string"}
        return XlConfigError(
            self.source, f"{shown.get(at.kind, repr(at.text))} stands there", f"xl expects {expected}", at.line
        )

    def _error(self, problem: str, expected: str | None) -> XlConfigError:
        return XlConfigError(self.source, problem, expected, self.token.line)

    def _no_token(self, position: int, line: int) -> XlConfigError:
        character = self.text[position]
        problem, expected = "a character that is no part of the language", "strings stand in quotes"
        if "\0" in self.text[position:].split("\n", 1)[0]:
            problem, expected = "a NUL byte", "it is no text file"
        elif character == "#":
            problem, expected = "the last line is a comment that no line end follows", "end the file with a new line"
        elif character in "'\"":
            problem, expected = "a string that does not end on its line", "close its quotes"
        elif character == "\r":
            problem, expected = "a carriage return", "end lines with a line feed alone (dos2unix does it)"
        elif character in "+-.():":
            expected = "xl reads no Python: strings stand in quotes, numbers are whole and not negative"
        elif character in "ABCDEFGHIJKLMNOPQRSTUVWXYZ_":
            expected = "options are written in lower-case letters, and strings stand in quotes"
        return XlConfigError(self.source, problem, expected, line)
