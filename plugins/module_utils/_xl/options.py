# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of a guest's configuration file that matter for placing it, as xl reads them.

The rules are those of parse_config_data() and parse_vnuma_config() in Xen's tools/xl/xl_parse.c, read in 4.17 and tried
on a real host (tests/unit/fixtures/xl/dry_run.jsonl). Where xl only warns and goes on without an
option whose value it cannot read, this raises an error: the guest would not be what its file says.

This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ansible_collections.numa.virt.plugins.module_utils._values.devices import FUNCTIONS, NAMED, called, pci_address
from ansible_collections.numa.virt.plugins.module_utils._xl.syntax import Atom, Items, Statement, XlConfigError

_SPACE = " \t\n\v\f\r"
# C's strtol() with base 0.
_LONG = re.compile(
    rf"[{_SPACE}]*(?P<sign>[+-]?)(?:0x(?P<hex>[0-9a-f]+)|(?P<octal>0[0-7]*)|(?P<decimal>[1-9][0-9]*))", re.IGNORECASE
)
_UUID = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_LEADING = re.compile(r"\+?([0-9]{1,9})(?![0-9])")
_RANGE = re.compile(rf"[{_SPACE}]*([0-9]{{1,6}})(?:-[{_SPACE}]*([0-9]{{1,6}}))?")
# [DDDD:]BB:SS.F, where F may be a star; what stands behind it in a value of bdf= is passed over.
_BDF = re.compile(
    r"(?:(?P<domain>[0-9a-f]{1,8}):)?(?P<bus>[0-9a-f]{1,8}):(?P<slot>[0-9a-f]{1,8})\.(?P<function>\*|[0-9a-f]{1,8})",
    re.IGNORECASE,
)
_BDF_FIRST = re.compile(r"(?P<bdf>[0-9a-f:]+\.(?:\*|[0-9a-f]+))(?:@[0-9a-f]+)?(?:,(?P<rest>.*))?", re.IGNORECASE)

# MAX_VIRT_CPUS of x86 (xen/include/public/arch-x86/xen.h), for PV guests; others have fewer.
MAX_VCPUS = 8192
_LONG_MAX = (1 << 63) - 1


@dataclass(frozen=True)
class VirtualCell:
    """One cell of the guest (an element of ``vnuma``), the host's cell that its memory is on, and KiB."""

    pnode: int
    vcpus: int
    memory: int
    names_pnode: bool


class Reader:
    """Single options, as parse_config_data() reads them."""

    def __init__(self, settings: dict[str, Statement], source: str) -> None:
        self.settings = settings
        self.source = source

    def error(self, option: str, problem: str, expected: str | None = None) -> XlConfigError:
        statement = self.settings.get(option)
        return XlConfigError(self.source, problem, expected, statement.line if statement else None)

    def string(self, option: str) -> str | None:
        statement = self.settings.get(option)
        if statement is None:
            return None
        if isinstance(statement.value, Items):
            raise self.error(option, f"{option} is a list", "give a single value")
        return statement.value.text

    def number(self, option: str) -> int | None:
        """Not negative. None where the option is not there."""
        text = self.string(option)
        if text is None:
            return None
        match = _LONG.fullmatch(text)
        if match is not None and len(text) < 100 and match["sign"] != "-" and not self.settings[option].appends:
            base = 16 if match["hex"] else 8 if match["octal"] else 10
            number = int(match["hex"] or match["octal"] or match["decimal"], base)
            if number <= _LONG_MAX:
                return number
        raise self.error(option, f"{option} is not a number that xl takes", "write a whole number, and no +=")

    def count(self, option: str) -> int:
        """A number of vCPUs; 0 where the option is not there."""
        number = self.number(option) or 0
        if number > MAX_VCPUS:
            raise self.error(option, f"{option} is more than Xen can do", f"a guest has {MAX_VCPUS} vCPUs at most")
        return number

    def size(self, option: str) -> int | None:
        """KiB of an option in MiB."""
        number = self.number(option)
        return None if number is None else number * 1024

    def name(self) -> str:
        name = self.string("name")
        if not name:
            raise self.error("name", "the guest has no name", 'add name = "…"')
        if name.endswith(" "):
            # xl list fills names up with blanks: the running guest would have another name.
            raise self.error("name", "the guest's name ends with a blank", "take it out: xl itself cannot show it")
        return name

    def uuid(self) -> str | None:
        text = self.string("uuid")
        if text is None:
            return None
        if not _UUID.fullmatch(text):
            raise self.error("uuid", "uuid is not a UUID", "leave it out to let xl make one at each start")
        return text.lower()

    def kind(self) -> str:
        """pv, pvh or hvm. xl takes the beginning of a word for the word, and an empty one for hvm."""
        kinds = [
            self._choice("type", {"hvm": "hvm", "pv": "pv", "pvh": "pvh"}),
            self._choice("builder", {"hvm": "hvm", "generic": "pv"}),
        ]
        said = [each for each in kinds if each is not None]
        if len(set(said)) > 1:
            raise self.error("builder", "builder and type contradict each other", "leave builder out: type replaces it")
        return said[0] if said else "pv"

    def _choice(self, option: str, words: Mapping[str, str]) -> str | None:
        text = self.string(option)
        if text is None:
            return None
        for word, meaning in words.items():
            if word.startswith(text):
                return meaning
        raise self.error(option, f"{option} is a kind of guest that xl does not know", f"it knows {', '.join(words)}")

    def devices(self) -> tuple[str, ...]:
        """xlu_pci_parse_spec_string() of libxlu_pci.c, for each string of ``pci``.

        What cannot be read here is named by its place in the list: it may be a device all the same.
        """
        statement = self.settings.get("pci")
        if statement is None or isinstance(statement.value, Atom):
            return ()
        found = []
        for number, each in enumerate(statement.value.values):
            if isinstance(each, Items):
                break  # there xl ends, too
            found.append(_device(each.text) or called("entry", f"{number} of pci"))
        return tuple(dict.fromkeys(found))

    def virtual_cells(self) -> tuple[VirtualCell, ...]:
        """parse_vnuma_config(): a list for each cell of the guest, of strings such as "pnode=0"."""
        statement = self.settings.get("vnuma")
        if statement is None or isinstance(statement.value, Atom):
            return ()
        return tuple(self._virtual_cell(each) for each in statement.value.values)

    def _virtual_cell(self, value: Atom | Items) -> VirtualCell:
        if isinstance(value, Atom):
            raise XlConfigError(self.source, "vnuma: a cell is not a list", 'write ["pnode=0", …]', value.line)
        pnode, vcpus, memory, names_pnode = 0, 0, 0, False
        for each in value.values:
            if isinstance(each, Items):
                continue
            name, sign, text = (part.strip(_SPACE) for part in each.text.partition("="))
            if not (name and sign and text):
                raise XlConfigError(self.source, "vnuma: no option=value in a cell", 'write "pnode=0"', each.line)
            if name == "pnode":
                pnode, names_pnode = self._leading(text, each), True
            elif name == "size":
                memory = self._leading(text, each) * 1024
            elif name == "vcpus":
                vcpus += self._count(text, each)
        return VirtualCell(pnode, vcpus, memory, names_pnode)

    def _leading(self, text: str, atom: Atom) -> int:
        """strtoul(): the number that a text begins with."""
        match = _LEADING.match(text)
        if match is None:
            raise XlConfigError(self.source, "vnuma: a number is missing", None, atom.line)
        return int(match[1])

    def _count(self, text: str, atom: Atom) -> int:
        """How many vCPUs "0-3,6" are."""
        count = 0
        for part in text.split(","):
            match = _RANGE.fullmatch(part)
            if match is None or int(match[2] or match[1]) < int(match[1]):
                raise XlConfigError(self.source, "vnuma: vcpus are no range", 'write "vcpus=0-3"', atom.line)
            count += int(match[2] or match[1]) - int(match[1]) + 1
        return count


def _device(spec: str) -> str | None:
    """The device of a PCI_SPEC_STRING: [BDF[@vslot],][key=value,]*, with bdf= or name= where it begins with no BDF."""
    match = _BDF_FIRST.fullmatch(spec)
    pairs = match["rest"] if match is not None else spec
    device = _address(match["bdf"]) if match is not None else None
    name = None
    for pair in pairs.split(",") if pairs else ():
        key, sign, value = pair.partition("=")
        if not sign and pair:
            return None
        if key == "bdf":
            device = _address(value)
        elif key == "name":
            name = value
    if (device is None) == (name is None):
        return None
    return device if device is not None else called(NAMED, str(name))


def _address(text: str) -> str | None:
    match = _BDF.match(text)
    if match is None:
        return None
    domain, bus, slot = (int(match[part] or "0", 16) for part in ("domain", "bus", "slot"))
    function = 0 if match["function"] == "*" else int(match["function"], 16)
    if domain > 0xFFFF or bus > 0xFF or slot > 0x1F or function >= FUNCTIONS:
        return None
    address = pci_address(domain, bus, slot, function)
    return f"{address[:-1]}*" if match["function"] == "*" else address
