# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""<cputune>: how the kernel schedules the threads of a guest, and with which priority.

Rules: virDomainThreadSchedParseHelper() and virProcessSetScheduler() in libvirt; libvirt has no call that changes it
while a guest runs.
This file must not import ansible or libvirt.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ansible_collections.numa.virt.plugins.module_utils._elements import tree, xml
from ansible_collections.numa.virt.plugins.module_utils._elements.element import Knob
from ansible_collections.numa.virt.plugins.module_utils._elements.words import (
    check_mapping,
    numbered_changes,
    numbers_in_key,
    set_in,
)
from ansible_collections.numa.virt.plugins.module_utils._elements.xml import etree
from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._values.changes import Change
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.drivers import Driver
from ansible_collections.numa.virt.plugins.module_utils._values.observation import (
    SCHEDULER,
    Misplaced,
    Observation,
    Scheduler,
    Thread,
)
from ansible_collections.numa.virt.plugins.module_utils._values.placement import Intent, Placement, Shape, as_text
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
_PRIORITY = re.compile("[1-9][0-9]?")


class ThreadSchedulers(Knob):
    name = "scheduler"
    paths = tuple(f"cputune/{tag}" for tag in _TAGS)
    observes = frozenset({SCHEDULER})
    waits = "libvirt cannot change the scheduler of a running guest's threads"

    def read(self, root: etree._Element) -> Schedulers | None:
        return _read(xml.child(root, "cputune"), "scheduler", _of_document) or None

    def write(self, root: etree._Element, value: Schedulers | None) -> None:
        tree.replace_children(root, "cputune", _TAGS, _elements(value or _NOTHING, "", "scheduler"))

    def fragment(self, root: etree._Element) -> Iterable[etree._Element]:
        return tree.shown_children(root, "cputune", _TAGS, ("vcpus", "iothreads", "scheduler", "priority"))

    def changes(self, before: Schedulers | None, after: Schedulers | None) -> list[Change]:
        was, shall = before or _NOTHING, after or _NOTHING
        return [
            *numbered_changes("cputune/vcpusched[@vcpus='{}']".format, was.vcpus, shall.vcpus),
            *numbered_changes("cputune/iothreadsched[@iothreads='{}']".format, was.iothreads, shall.iothreads),
            Change("cputune/emulatorsched", as_text(was.emulator), as_text(shall.emulator)),
        ]

    def plain(self, value: Schedulers) -> Mapping[str, Any]:
        return {
            "vcpus": {str(number): asdict(each) for number, each in value.vcpus},
            "iothreads": {str(number): asdict(each) for number, each in value.iothreads},
            "emulator": None if value.emulator is None else asdict(value.emulator),
        }

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

    def asked_in_words(self, intent: Intent) -> Iterable[str]:
        asked = intent.knob(self.name)
        if asked is None:
            return []
        words = [f"vcpu {number} {each}" for number, each in asked.vcpus]
        words += [f"iothread {number} {each}" for number, each in asked.iothreads]
        words += [f"emulator {asked.emulator}"] if asked.emulator is not None else []
        return words or ["no scheduler"]

    def keep(self, intent: Intent, record: etree._Element, space: str) -> None:
        asked = intent.knob(self.name)
        if asked is not None:
            parent = etree.SubElement(record, f"{space}{self.name}")
            parent.extend(_elements(asked, space, "policy"))

    def kept(self, record: etree._Element, space: str) -> Mapping[str, Any]:
        parent = xml.child(record, f"{space}{self.name}")
        return {} if parent is None else {self.name: _read(parent, "policy", _of_record, space)}

    def refused(self, driver: Driver) -> str | None:
        return None if driver.processes or not driver.full_maps else "its guests are no processes that could have one"

    def settled(self, value: Schedulers | None, host: Host, shape: Shape, now: bool) -> Schedulers | None:
        if now and value is not None:
            for option, asked, absent in (
                ("vcpus", value.vcpus, shape.vcpu_absent),
                ("iothreads", value.iothreads, shape.iothread_absent),
            ):
                for number, scheduler in asked:
                    problem = absent(number)
                    if problem is not None:
                        raise InputError(f"{self.name}.{option}[{number}]", str(scheduler), *problem)
        return self.fitting(value, shape, frozenset())

    def misplaced(self, placement: Placement, observation: Observation, bound: CpuSet) -> Iterator[Misplaced]:
        value = self.of(placement) or _NOTHING
        for thread in observation.others:
            wanted = value.of(thread)
            if wanted is not None and thread.scheduler is not None and thread.scheduler != wanted:
                who = f"thread {thread.name!r} ({thread.tid})"
                yield Misplaced(who, f"scheduler {wanted}", f"scheduler {thread.scheduler}")


def realtime_of(value: Schedulers | None) -> CpuSet:
    """The vCPUs with a real-time scheduler."""
    return CpuSet(number for number, each in (value or _NOTHING).vcpus if each.policy in REALTIME)


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
    if priority is None or not _PRIORITY.fullmatch(priority):
        raise InputError(option, priority, f"is no priority of {policy}", "give a number of 1 to 99")
    return Scheduler(policy, int(priority))


def _read(
    parent: etree._Element | None,
    attribute: str,
    scheduler: Callable[[str, str | None, str], Scheduler],
    space: str = "",
) -> Schedulers:
    """What elements say; ``scheduler`` reads one of its policy and its priority. Raises InputError."""
    if parent is None:
        return _NOTHING
    numbered: dict[str, dict[int, Scheduler]] = {"vcpu": {}, "iothread": {}, "emulator": {}}
    for kind, (tag, numbered_by) in _KINDS.items():
        for each in parent.iterchildren(f"{space}{tag}"):
            numbers = set_in(each.get(numbered_by), f"{tag}/@{numbered_by}") if numbered_by else CpuSet([0])
            found = scheduler(each.get(attribute, ""), each.get("priority"), tag)
            numbered[kind].update(dict.fromkeys(numbers or (), found))
    return Schedulers(_sorted(numbered["vcpu"]), _sorted(numbered["iothread"]), numbered["emulator"].get(0))


def _of_document(policy: str, priority: str | None, _tag: str) -> Scheduler:
    """As libvirt wrote it, which may know more policies. It writes a priority of 0 where there is none to say."""
    return Scheduler(policy, int(priority) or None if priority and re.fullmatch("[0-9]{1,3}", priority) else None)


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


def _sorted(found: Mapping[int, Scheduler]) -> Numbered:
    return tuple(sorted(found.items(), key=lambda pair: pair[0]))
