# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A guest's configuration file for xl: what it is, where it may run, and the same file with other CPUs.

Owned are the ``cpus`` statements and the one comment line that holds our record; everything else stays as it is, byte
for byte. No placement policy is decided here.

The rules are those of parse_config_data() in Xen's tools/xl/xl_parse.c, read in 4.17 and tried on a real host
(tests/unit/fixtures/xl/dry_run.jsonl). Where xl only warns and goes on without an option whose
value it cannot read, this raises an error: the guest would not be what its file says.

This file must not import ansible, libvirt or lxml, and must not open a file.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ansible_collections.numa.virt.plugins.module_utils._secrets import MASK
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet, union
from ansible_collections.numa.virt.plugins.module_utils._values.placement import Placement, Shape, pins_of
from ansible_collections.numa.virt.plugins.module_utils._xl import edit as xl_edit
from ansible_collections.numa.virt.plugins.module_utils._xl.affinity import Allowed, read_affinity
from ansible_collections.numa.virt.plugins.module_utils._xl.options import Reader, VirtualCell
from ansible_collections.numa.virt.plugins.module_utils._xl.secrets import Secret, find_secrets
from ansible_collections.numa.virt.plugins.module_utils._xl.syntax import (
    Document,
    Items,
    Statement,
    XlConfigError,
    merged,
    parse_document,
)

DEFAULT_POOL = "Pool-0"
# Bounds of what is read: each statement of ours is edited by itself, and copies the text.
MAX_TEXT = 1 << 20
MAX_OWNED = 1000
# libxl__domain_build_info_setdefault()
DEFAULT_MEMORY = 32 * 1024


@dataclass(frozen=True)
class XlConfig:
    """One configuration file. Immutable: what changes it gives another one. Sizes are KiB.

    ``text`` is the whole file, decoded with surrogateescape; ``source`` names it in errors. ``vcpus`` is what the
    guest starts with and ``maxvcpus`` the largest number that it may have; ``counted`` is false where the file gives
    no number at all: xl then starts one vCPU, and passes over ``cpus``. ``pool`` is the name of a CPU pool or its
    number as text. ``devices`` are the host's devices that it gives the guest, as _values.devices names them.
    """

    text: str = field(repr=False)
    source: str
    name: str = field(compare=False)
    uuid: str | None = field(compare=False)
    kind: str = field(compare=False)
    vcpus: int = field(compare=False)
    maxvcpus: int = field(compare=False)
    counted: bool = field(compare=False)
    memory: int = field(compare=False)
    maxmem: int = field(compare=False)
    pool: str = field(compare=False)
    virtual_cells: tuple[VirtualCell, ...] = field(compare=False)
    devices: tuple[str, ...] = field(compare=False)
    _document: Document = field(compare=False, repr=False)
    _settings: Mapping[str, Statement] = field(compare=False, repr=False)

    @classmethod
    def parse(cls, text: str, source: str) -> XlConfig:
        """Raises XlConfigError for what xl would refuse, and for numbers that it would pass over."""
        if len(text) > MAX_TEXT:
            raise XlConfigError(source, f"it is longer than {MAX_TEXT} characters", "no guest needs so many")
        document = parse_document(text, source)
        owned = sum(each.name == "cpus" for each in document.statements) + len(xl_edit.record_lines(text, document))
        if owned > MAX_OWNED:
            problem = f"it has {owned} statements of cpus and records of numa.virt"
            raise XlConfigError(source, problem, f"put them into one; {MAX_OWNED} at most are read")
        read = Reader(merged(document.statements, source), source)
        virtual_cells = read.virtual_cells()
        vcpus, maxvcpus, memory, maxmem = (
            read.count("vcpus"),
            read.count("maxvcpus"),
            read.size("memory"),
            read.size("maxmem"),
        )
        if virtual_cells:
            counted = sum(each.vcpus for each in virtual_cells)
            sized = sum(each.memory for each in virtual_cells)
            if maxvcpus not in (0, counted):
                raise read.error("maxvcpus", f"maxvcpus is {maxvcpus}, and vnuma has {counted} vCPUs")
            if maxmem not in (None, sized):
                raise read.error("maxmem", f"maxmem is {maxmem // 1024}, and vnuma has {sized // 1024} MiB")
            maxvcpus, maxmem = counted, sized
        maxvcpus = maxvcpus or vcpus
        maxmem = memory if maxmem is None else maxmem
        maxmem = DEFAULT_MEMORY if maxmem is None else maxmem
        if maxvcpus < vcpus:
            raise read.error("vcpus", f"vcpus is {vcpus}, more than maxvcpus, which is {maxvcpus}")
        return cls(
            text=text,
            source=source,
            name=read.name(),
            uuid=read.uuid(),
            kind=read.kind(),
            vcpus=vcpus or 1,
            maxvcpus=maxvcpus or 1,
            counted=bool(maxvcpus),
            memory=maxmem if memory is None else memory,
            maxmem=maxmem,
            pool=read.string("pool") or DEFAULT_POOL,
            virtual_cells=virtual_cells,
            devices=read.devices(),
            _document=document,
            _settings=read.settings,
        )

    @property
    def vnuma_cells(self) -> CpuSet:
        """The host's cells that vnuma puts memory on; empty where the guest has no cells of its own."""
        return CpuSet(each.pnode for each in self.virtual_cells)

    @property
    def has_affinity(self) -> bool:
        return "cpus" in self._settings

    @property
    def has_soft_affinity(self) -> bool:
        return "cpus_soft" in self._settings

    @property
    def places_itself(self) -> bool:
        """Whether libxl chooses cells for the memory: not where CPUs are listed one by one, soft CPUs or pnodes given.

        It chooses among the cells of a ``cpus`` that is one string, too.
        """
        cpus = self._settings.get("cpus")
        listed = cpus is not None and isinstance(cpus.value, Items)
        return not (listed or self.has_soft_affinity or any(each.names_pnode for each in self.virtual_cells))

    @property
    def shape(self) -> Shape:
        """What of the file a placement depends on; ``type`` is the kind, ``memory`` the most that it may have."""
        return Shape(self.name, self.uuid, self.kind, self.maxvcpus, (), self.maxmem)

    def affinity(self, cells: Mapping[int, CpuSet], everything: CpuSet) -> tuple[Allowed, ...]:
        """The CPUs that each of maxvcpus vCPUs may use; None is every CPU, whatever they are.

        ``cells`` are the CPUs of the host's cells by number, ``everything`` are all CPUs of the host. Raises
        XlConfigError for what xl would refuse, a set without a CPU of this host among them.
        """
        cpus = self._settings.get("cpus") if self.counted else None
        return read_affinity(cpus, self.maxvcpus, cells, everything, self.source)

    def placement(self, cells: Mapping[int, CpuSet], everything: CpuSet) -> Placement:
        """Where the guest may run: the union as the CPU set, and a pin for each vCPU that may not use all of it.

        The CPU set is None where a vCPU may use every CPU. Raises XlConfigError.
        """
        sets = self.affinity(cells, everything)
        known = [each for each in sets if each is not None]
        whole = union(known) if len(known) == len(sets) else None
        pins = {vcpu: cpus for vcpu, cpus in enumerate(sets) if cpus is not None and cpus != whole}
        return Placement(cpuset=whole, vcpu_pins=pins_of(pins))

    def with_cpus(
        self, cpuset: CpuSet | None, pins: Mapping[int, CpuSet], cells: Mapping[int, CpuSet], everything: CpuSet
    ) -> XlConfig:
        """The file where each vCPU may use its pin, or else ``cpuset``, of which None is every CPU.

        It becomes a list with an element for each vCPU, equal ones too: with a single string libxl holds the vCPUs to
        it and yet takes the memory from the cell that is freest (numa_place_domain() in libxl_dom.c, 4.17, finds out
        which cells fit ``cpus``, and does not look at that again). A ``cpus`` that says the same already on this
        host, and does not have that flaw, is left as it is, whatever its words. Where every vCPU may use every CPU
        there is no ``cpus`` any more. Raises XlConfigError where the file gives no number of vCPUs: xl would pass
        over whatever stands there.
        """
        wanted = tuple(pins.get(vcpu, cpuset) for vcpu in range(self.maxvcpus))
        free = all(each is None for each in wanted)
        if self._says(wanted, cells, everything) and (free or not self.places_itself):
            return self
        if free:
            return self._edited(xl_edit.without_cpus(self.text, self._document))
        if not self.counted:
            raise XlConfigError(
                self.source, "there is no number of vCPUs, and without one xl passes over cpus", "add vcpus = 1"
            )
        return self._edited(xl_edit.with_cpus(self.text, self._document, _words(wanted)))

    def _says(self, wanted: tuple[Allowed, ...], cells: Mapping[int, CpuSet], everything: CpuSet) -> bool:
        try:
            return self.affinity(cells, everything) == wanted
        except XlConfigError:
            return False  # xl would refuse it: it is to be replaced

    @property
    def owned_text(self) -> str:
        """The owned parts alone, a line for each: what a diff shows. Every secret, in a comment say, is masked."""
        lines = [f"{xl_edit.PREFIX}{each}" for each in xl_edit.records(self.text, self._document)]
        secrets = self._secrets()
        starts = [each.start for each in secrets]
        for each in self._document.statements:
            if each.name == "cpus":
                inside = secrets[bisect_left(starts, each.start) : bisect_left(starts, each.end)]
                lines.append(self._masked(each.start, each.end, inside))
        return "".join(f"{line}\n" for line in lines)

    def rest_text(self) -> str:
        """The file without the owned parts, every secret masked."""
        return self._edited(xl_edit.without_owned(self.text, self._document)).masked_text()

    @property
    def record_text(self) -> str | None:
        """What with_record() stored, or None. Only a line of its own outside every list can hold it."""
        found = xl_edit.records(self.text, self._document)
        return found[-1] if found else None

    def with_record(self, record: str | None) -> XlConfig:
        """The file with this record, a JSON object in one line, and no other. Raises ValueError for other text."""
        if record is not None and not xl_edit.is_record(record):
            raise ValueError("a record is a JSON object in one line")
        if xl_edit.records(self.text, self._document) == ([] if record is None else [record]):
            return self
        return self._edited(xl_edit.with_record(self.text, self._document, record))

    def secrets(self) -> list[str]:
        """Every secret value in the file, once, in its order."""
        return list(dict.fromkeys(each.text for each in self._secrets() if each.text))

    def masked_text(self) -> str:
        """The file with every secret as MASK."""
        return self._masked(0, len(self.text), self._secrets())

    def _masked(self, start: int, end: int, secrets: Iterable[Secret]) -> str:
        parts = []
        for secret in secrets:
            parts += [self.text[start : secret.start], MASK]
            start = max(start, secret.end)
        return "".join((*parts, self.text[start:end]))

    def _secrets(self) -> list[Secret]:
        return find_secrets(self.text, self._document)

    def _edited(self, text: str) -> XlConfig:
        return XlConfig.parse(text, self.source)


def _words(sets: tuple[Allowed, ...]) -> list[str]:
    words = ["all" if each is None else str(each) for each in sets]
    if "" in words:
        raise ValueError("a vCPU needs a CPU")
    return words
