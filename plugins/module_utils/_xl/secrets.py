# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of a configuration file is secret, and where it stands. What a secret is says _secrets.

This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ansible_collections.numa.virt.plugins.module_utils._secrets import (
    XL_SECRET_LISTS,
    is_for_qemu,
    secret_argument,
    suspect,
    suspect_name,
    takes_arguments,
)
from ansible_collections.numa.virt.plugins.module_utils._xl import edit as xl_edit
from ansible_collections.numa.virt.plugins.module_utils._xl.syntax import Atom, Comment, Document, Statement, atoms

# Lists of strings "name=value,name=value", whose values hold no comma (MATCH_OPTION and strtok() in xl_parse.c).
_OPTION_LISTS = ("vfb", "vnc", "vif", "usbctrl", "usbdev", "vdispl", "vkb")
# They name the guest, whatever they are.
_NAMES = ("name", "uuid")
_COMMENTED = re.compile(r"=[\s'\"]*([^\s'\"]+)")


@dataclass(frozen=True)
class Secret:
    """``text`` is what must not be shown, ``start`` and ``end`` say what of the file is to be masked."""

    text: str
    start: int
    end: int


def find_secrets(text: str, document: Document) -> list[Secret]:
    """Every secret, in order."""
    found = [secret for each in document.statements for secret in _of_statement(text, each)]
    own = {each.start for each in xl_edit.record_lines(text, document)}
    found += [secret for each in document.comments if each.start not in own for secret in _of_comment(text, each)]
    return sorted(found, key=lambda secret: secret.start)


def _of_statement(text: str, statement: Statement) -> Iterator[Secret]:
    name = statement.name
    whole = suspect_name(name) or name in XL_SECRET_LISTS
    before = ""
    for each in atoms(statement.value):
        if whole or (takes_arguments(name) and secret_argument(before, each.text, is_for_qemu(name))):
            yield _whole(text, each)
        elif name not in _NAMES and suspect(each.text):
            yield from _options(text, each) if name in _OPTION_LISTS else (_whole(text, each),)
        before = each.text


def _options(text: str, atom: Atom) -> Iterator[Secret]:
    """The values of suspect options in a string; all of it where they cannot be told from the rest."""
    written = _written(text, atom)
    start = atom.start + text[atom.start : atom.end].index(written)
    found, rest = [], []
    for part in written.split(","):
        name, sign, value = part.partition("=")
        if sign and suspect(name + sign):
            found.append(Secret(value, start + len(part) - len(value), start + len(part)))
        else:
            rest.append(part)
        start += len(part) + 1
    if written != atom.text or suspect(",".join(rest)):
        yield _whole(text, atom)
    else:
        yield from (each for each in found if each.text)


def _written(text: str, atom: Atom) -> str:
    """What stands in the file, without quotes."""
    written = text[atom.start : atom.end]
    return written[1:-1] if written[0] in "'\"" else written


def _whole(text: str, atom: Atom) -> Secret:
    quoted = text[atom.start] in "'\""
    return Secret(atom.text, atom.start + quoted, atom.end - quoted)


def _of_comment(text: str, comment: Comment) -> Iterator[Secret]:
    """An option that somebody has commented out, say. All of it is masked; its value is the secret."""
    said = text[comment.start + 1 : comment.end]
    if suspect(said):
        value = _COMMENTED.search(said)
        yield Secret(value[1] if value else "", comment.start + 1, comment.end)
