# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of a module's arguments may be shown, and what is refused because a document stands where none belongs.

An argument specification is Ansible's: option -> its type and suboptions. Beside it stands what the dictionaries of a
free list hold (``entries``: option -> names), and which options are a document or the result of another module,
whatever is in them (``opaque``). This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.numa.virt.plugins.module_utils._secrets import DEEPEST, displayable, hidden, is_document

Spec = Mapping[str, Mapping[str, Any]]

# Keys of a dictionary of sets: {'0-3': '4-7'}
_NUMBERS = re.compile(r"[0-9,^ -]+")


def known_spec(spec: Spec, entries: Mapping[str, Sequence[str]], opaque: Sequence[str]) -> dict[str, Any]:
    """A specification in which each option says what it holds: ``{"options": …}``, ``{"opaque": True}`` or nothing."""
    known: dict[str, Any] = {}
    for name, each in spec.items():
        options = each.get("options") or {key: {} for key in entries.get(name, ())}
        said: dict[str, Any] = {"options": known_spec(options, {}, opaque)} if options else {}
        if name in opaque:
            said = {"opaque": True}
        for called in (name, *each.get("aliases", ())):
            known[called] = said
    return known


def shown_arguments(known: Mapping[str, Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments, with words in place of documents and of all that nobody knows."""
    return {
        str(displayable(str(name))): _shown(known[name], value) if name in known else _unknown(value)
        for name, value in arguments.items()
    }


def misplaced(known: Mapping[str, Any], arguments: Mapping[str, Any]) -> str | None:
    """The first option that holds a document where it takes none: ``domains[0].name``.

    Options that are not known are left to those who refuse them.
    """
    found = (where for name, value in arguments.items() for where in _misplaced(known.get(name), value, name))
    return next(found, None)


def without_values(message: str, arguments: Mapping[str, Any]) -> str:
    """A message of Ansible's about arguments, without the values that may not be shown; it repeats what it refuses."""
    # A text is a list to Ansible, too.
    texts = {each.strip() for text in _texts(arguments) for each in (text, *text.split(","))}
    spelled = {form for text in texts if displayable(text) != text for form in _forms(text)}
    for each in sorted(spelled, key=lambda form: (-len(form), form)):
        message = message.replace(each, hidden(each))
    return message


def documents(arguments: Mapping[str, Any]) -> list[str]:
    """Every document in the arguments, wherever it stands."""
    return [text for text in _texts(arguments) if is_document(text)]


def _forms(text: str) -> tuple[str, ...]:
    """How a text may stand in a message."""
    return text, repr(text)[1:-1], repr(repr(text))[2:-2], json.dumps(text)[1:-1]


def _shown(known: Mapping[str, Any], value: Any, depth: int = 0) -> Any:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if known.get("opaque") or depth > DEEPEST:
        return hidden(value)
    if isinstance(value, Mapping):
        options = known.get("options", {})
        return {
            displayable(key): _shown(options.get(key, {}), each, depth + 1)
            if _is_known(options, key)
            else _unknown(each)
            for key, each in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_shown(known, each, depth + 1) for each in value]
    return displayable(value)


def _is_known(options: Mapping[str, Any], key: Any) -> bool:
    return key in options or (not options and _NUMBERS.fullmatch(str(key)) is not None)


def _unknown(value: Any) -> Any:
    return value if value is None or isinstance(value, bool) else hidden(value)


def _misplaced(known: Mapping[str, Any] | None, value: Any, called: str, depth: int = 0) -> Iterator[str]:
    if known is None or known.get("opaque"):
        return
    if depth > DEEPEST:
        yield called
    elif isinstance(value, str):
        if is_document(value):
            yield called
    elif isinstance(value, Mapping):
        options = known.get("options")
        for key, each in value.items():
            if options is None or key in options:
                yield from _misplaced((options or {}).get(key, {}), each, f"{called}.{displayable(key)}", depth + 1)
            if is_document(str(key)):
                yield called
    elif isinstance(value, (list, tuple)):
        for number, each in enumerate(value):
            yield from _misplaced(known, each, f"{called}[{number}]", depth + 1)


def _texts(value: Any) -> Iterator[str]:
    """Every text in a value, however deep."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, Mapping):
            waiting += [*each.keys(), *each.values()]
        elif isinstance(each, (list, tuple)):
            waiting += each
        elif isinstance(each, str):
            yield each
