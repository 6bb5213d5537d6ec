# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""<cputune>: how the kernel schedules the threads of a guest, and with which priority.

Rules: virDomainThreadSchedParseHelper() and virProcessSetScheduler() in libvirt; libvirt has no call that changes it
while a guest runs.
This file must not import ansible or libvirt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.numa.virt.plugins.module_utils._elements import tree, xml
from ansible_collections.numa.virt.plugins.module_utils._elements.element import Consequence, Knob, Running
from ansible_collections.numa.virt.plugins.module_utils._elements.words import check_mapping, numbers_in_key, set_in
from ansible_collections.numa.virt.plugins.module_utils._elements.xml import etree
from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._values.changes import Change, Restart
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.drivers import Driver
from ansible_collections.numa.virt.plugins.module_utils._values.observation import (
    SCHEDULER,
    Misplaced,
    Observation,
    Scheduler,
    Thread,
)
from ansible_collections.numa.virt.plugins.module_utils._values.placement import Intent, Placement, Shape
from ansible_collections.numa.virt.plugins.module_utils._values.topology import Host

REALTIME = ("fifo", "rr")
POLICIES = ("batch", "idle", *REALTIME)
# Pairs (number, scheduler), ascending
Numbered = tuple[tuple[int, Scheduler], ...]


@dataclass(frozen=True)
class Schedulers:
    """Those of vCPUs and of IO threads, by number, and of the emulator's threads. Nothing at all is false."""

    vcpus: Numbered = ()
    iothreads: Numbered = ()
    emulator: Scheduler | None = None

    def __bool__(self) -> bool:
        return bool(self.vcpus or self.iothreads or self.emulator)

    def of(self, thread: Thread) -> Scheduler | None:
        """What a thread shall have, None where nothing is said of it."""
        if thread.vcpu is not None:
            return dict(self.vcpus).get(thread.vcpu)
        if thread.iothread is not None:
            return dict(self.iothreads).get(thread.iothread)
        return self.emulator if thread.of_emulator else None


# Kind of a thread -> (tag, attribute with the numbers); the emulator has none.
_KINDS = {"vcpu": ("vcpusched", "vcpus"), "iothread": ("iothreadsched", "iothreads"), "emulator": ("emulatorsched", "")}
_TAGS = tuple(tag for tag, _numbers in _KINDS.values())
_NOTHING = Schedulers()


class ThreadSchedulers(Knob):
    name = "scheduler"
    paths = tuple(f"cputune/{tag}" for tag in _TAGS)
    observes = frozenset({SCHEDULER})

    def read(self, root: etree._Element) -> Schedulers | None:
        return _read(xml.child(root, "cputune"), "scheduler", _of_document) or None

    def write(self, root: etree._Element, value: Schedulers | None) -> None:
        tree.replace_children(root, "cputune", _TAGS, _elements(value or _NOTHING, "", "scheduler"))

    def fragment(self, root: etree._Element) -> Iterable[etree._Element]:
        cputune = xml.child(root, "cputune")
        found = list(cputune.iterchildren(*_TAGS)) if cputune is not None else []
        if not found:
            return ()
        part = etree.Element("cputune")
        part.extend([tree.shown(each, ("vcpus", "iothreads", "scheduler", "priority")) for each in found])
        return (part,)

    def changes(self, before: Schedulers | None, after: Schedulers | None) -> list[Change]:
        was, shall = _by_element(before or _NOTHING), _by_element(after or _NOTHING)
        return [Change(each, was.get(each), shall.get(each)) for each in sorted({*was, *shall}, key=_rank)]

    def as_result(self, value: Schedulers | None) -> Mapping[str, Any]:
        return {self.name: _as_result(value)} if value else {}

    def fitting(self, value: Schedulers | None, shape: Shape, guest_cells: frozenset[int]) -> Schedulers | None:
        if value is None:
            return None
        return Schedulers(
            tuple(pair for pair in value.vcpus if pair[0] < shape.vcpus),
            tuple(pair for pair in value.iothreads if pair[0] in shape.iothreads),
            value.emulator,
        )

    def argument(self) -> Mapping[str, Any]:
        parts = {"vcpus": {"type": "dict"}, "iothreads": {"type": "dict"}, "emulator": {"type": "dict"}}
        return {"type": "dict", "options": parts}

    def wish(self, options: Mapping[str, Any], called: Mapping[str, str]) -> Mapping[str, Any]:
        option, name = options.get(self.name), called.get(self.name, self.name)
        if option is None:
            return {}
        check_mapping(option, name, "{emulator: {policy: batch}}", ("vcpus", "iothreads", "emulator"))
        emulator = option.get("emulator")
        wanted = Schedulers(
            _numbered(option.get("vcpus"), f"{name}.vcpus", "vCPU"),
            _numbered(option.get("iothreads"), f"{name}.iothreads", "IO thread"),
            _scheduler(emulator, f"{name}.emulator") if emulator is not None else None,
        )
        return {self.name: wanted}

    def asked_as_result(self, intent: Intent) -> Mapping[str, Any]:
        asked = intent.knob(self.name)
        return {} if asked is None else {self.name: _as_result(asked)}

    def asked_in_words(self, intent: Intent) -> Iterable[str]:
        asked = intent.knob(self.name)
        if asked is not None and not asked:
            yield "no scheduler"
        for element, said in _by_element(asked or _NOTHING).items():
            yield f"{_called(element)} {said}"

    def keep(self, intent: Intent, record: etree._Element, space: str) -> None:
        asked = intent.knob(self.name)
        if asked is not None:
            parent = etree.SubElement(record, f"{space}{self.name}")
            parent.extend(_elements(asked, space, "policy"))

    def kept(self, record: etree._Element, space: str) -> Mapping[str, Any]:
        parent = record.find(f"{space}{self.name}")
        return {} if parent is None else {self.name: _read(parent, "policy", _of_record, space)}

    def refused(self, driver: Driver) -> str | None:
        return None if driver.processes or not driver.full_maps else "its guests are no processes that could have one"

    def settled(self, value: Schedulers | None, host: Host, shape: Shape, now: bool) -> Schedulers | None:
        kept = self.fitting(value, shape, frozenset())
        if not now or value is None or kept is None:
            return kept
        for option, kind, asked, left, has in (
            ("vcpus", "vCPU", value.vcpus, kept.vcpus, f"its vCPUs are {CpuSet(range(shape.vcpus))}"),
            ("iothreads", "IO thread", value.iothreads, kept.iothreads, _iothreads_of(shape)),
        ):
            for number, scheduler in asked:
                if (number, scheduler) not in left:
                    problem = f"the domain has no {kind} {number}"
                    raise InputError(f"{self.name}.{option}[{number}]", str(scheduler), problem, has)
        return kept

    def live(self, guest: Running) -> Iterator[Consequence]:
        if guest.scope is None:
            for change in self.changes(self.of(guest.now), self.of(guest.wanted)):
                if change.before != change.after:
                    yield Restart(change.element, "libvirt cannot change the scheduler of a running guest's threads")

    def misplaced(self, placement: Placement, observation: Observation, bound: CpuSet) -> Iterator[Misplaced]:
        value = self.of(placement) or _NOTHING
        for thread in observation.others:
            wanted = value.of(thread)
            if wanted is not None and thread.scheduler is not None and thread.scheduler != wanted:
                who = f"thread {thread.name!r} ({thread.tid})"
                yield Misplaced(who, f"scheduler {wanted}", f"scheduler {thread.scheduler}")


def _numbered(option: Mapping[Any, Any] | None, name: str, kind: str) -> Numbered:
    found: dict[int, Scheduler] = {}
    if option is None:
        return ()
    check_mapping(option, name, "{'0-3': {policy: fifo, priority: 1}}")
    for key, value in option.items():
        numbers = numbers_in_key(key, name, kind, found)
        found.update(dict.fromkeys(numbers, _scheduler(value, f"{name}[{key}]")))
    return _sorted(found)


def _scheduler(value: Any, option: str) -> Scheduler:
    """``{"policy": "fifo", "priority": 1}``. Raises InputError."""
    check_mapping(value, option, "{policy: fifo, priority: 1}", ("policy", "priority"))
    policy, priority = value.get("policy"), value.get("priority")
    if policy not in POLICIES:
        raise InputError(f"{option}.policy", policy, "is no policy", f"choose one of {', '.join(POLICIES)}")
    return _checked(str(policy), None if priority is None else str(priority), f"{option}.priority")


def _checked(policy: str, priority: str | None, option: str) -> Scheduler:
    if policy not in REALTIME:
        if priority is not None:
            raise InputError(option, priority, f"is for {' and '.join(REALTIME)} alone", "leave it out")
        return Scheduler(policy)
    if priority is None or not priority.isascii() or not priority.isdigit() or not 1 <= int(priority[:3]) <= 99:
        raise InputError(option, priority, f"is no priority of {policy}", "give a number of 1 to 99")
    return Scheduler(policy, int(priority))


def _read(
    parent: etree._Element | None,
    attribute: str,
    scheduler: Callable[[str, str | None, str], Scheduler],
    space: str = "",
) -> Schedulers:
    """What elements say; ``scheduler`` reads one of its policy and its priority. Raises InputError."""
    numbered: dict[str, dict[int, Scheduler]] = {"vcpu": {}, "iothread": {}, "emulator": {}}
    for kind, (tag, numbered_by) in _KINDS.items():
        for each in parent.iterchildren(f"{space}{tag}") if parent is not None else ():
            numbers = set_in(each.get(numbered_by), f"{tag}/@{numbered_by}") if numbered_by else CpuSet([0])
            found = scheduler(each.get(attribute, ""), each.get("priority"), tag)
            numbered[kind].update(dict.fromkeys(numbers or (), found))
    return Schedulers(_sorted(numbered["vcpu"]), _sorted(numbered["iothread"]), numbered["emulator"].get(0))


def _of_document(policy: str, priority: str | None, _tag: str) -> Scheduler:
    """As libvirt wrote it, which may know more policies. It writes a priority of 0 where there is none to say."""
    known = priority is not None and priority.isascii() and priority.isdigit() and len(priority) < 4
    return Scheduler(policy, (int(priority) or None) if known and priority is not None else None)


def _of_record(policy: str, priority: str | None, tag: str) -> Scheduler:
    if policy not in POLICIES:
        raise InputError(f"intent {tag}", policy, "is no policy", f"choose one of {', '.join(POLICIES)}")
    return _checked(policy, priority, f"intent {tag}")


def _elements(value: Schedulers, space: str, attribute: str) -> list[etree._Element]:
    """An element for each scheduler of a kind, with the numbers of all that have it."""
    found = []
    for kind, numbered in (("vcpu", value.vcpus), ("iothread", value.iothreads)):
        tag, numbers = _KINDS[kind]
        for scheduler in dict.fromkeys(each for _number, each in numbered):
            element = etree.Element(f"{space}{tag}")
            element.set(numbers, str(CpuSet(number for number, each in numbered if each == scheduler)))
            found.append(_with(element, scheduler, attribute))
    if value.emulator is not None:
        found.append(_with(etree.Element(f"{space}{_TAGS[2]}"), value.emulator, attribute))
    return found


def _with(element: etree._Element, scheduler: Scheduler, attribute: str) -> etree._Element:
    element.set(attribute, scheduler.policy)
    if scheduler.priority is not None:
        element.set("priority", str(scheduler.priority))
    return element


def _by_element(value: Schedulers) -> dict[str, str]:
    """Path of a change -> what it says."""
    found = {}
    for kind, numbered in (("vcpu", value.vcpus), ("iothread", value.iothreads)):
        tag, numbers = _KINDS[kind]
        found.update({f"cputune/{tag}[@{numbers}='{number}']": str(scheduler) for number, scheduler in numbered})
    if value.emulator is not None:
        found[f"cputune/{_TAGS[2]}"] = str(value.emulator)
    return found


def _rank(path: str) -> tuple[int, int]:
    tag = path.partition("/")[2].partition("[")[0]
    return _TAGS.index(tag), int("".join(filter(str.isdigit, path)) or "0")


def _called(path: str) -> str:
    """``cputune/vcpusched[@vcpus='1']`` -> ``vcpu 1``."""
    kind = list(_KINDS)[_rank(path)[0]]
    return kind if kind == "emulator" else f"{kind} {_rank(path)[1]}"


def _as_result(value: Schedulers) -> dict[str, Any]:
    def plain(scheduler: Scheduler) -> dict[str, Any]:
        return {"policy": scheduler.policy, "priority": scheduler.priority}

    return {
        "vcpus": {str(number): plain(each) for number, each in value.vcpus},
        "iothreads": {str(number): plain(each) for number, each in value.iothreads},
        "emulator": None if value.emulator is None else plain(value.emulator),
    }


def _iothreads_of(shape: Shape) -> str:
    return f"its IO threads are {CpuSet(shape.iothreads)}" if shape.iothreads else "it has none"


def _sorted(found: Mapping[int, Scheduler]) -> Numbered:
    return tuple(sorted(found.items(), key=lambda pair: pair[0]))
