# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What goes wrong at the k-th call, for every k, and what must hold afterwards.

``Faults`` stands between the engine and a stand-in (or libvirt's test driver), numbers every call through the protocol
of _values/hypervisor.py (for xl: every command, and every write of a file), and strikes at one of them:

- ``refuse``: the call fails, and has no effect
- ``die``: it and all later ones fail, as on a connection that is lost
- ``lose``: it takes effect, and its answer is an error
- ``act``: somebody else acts right before it

``walk()`` goes a path again and again, on a new host each time, struck at each of its calls. ``judge()`` holds the
outcome to the invariants: nothing lost, nothing twice, every word true, the next run converges, the third changes
nothing. A batch is a path like any other.
"""

from __future__ import annotations

import copy
import os
import pathlib
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import libvirt
from lxml import etree

from ansible_collections.numa.virt.plugins.module_utils._errors import LibvirtCallError, NumaVirtError
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._engine.hypervisor import (
    Host,
    Hypervisor,
    TestDriver,
)
from ansible_collections.numa.virt.tests.unit.plugins.module_utils.examples import FEW

REFUSE, DIE, LOSE, ACT = "refuse", "die", "lose", "act"
# What somebody else did to a definition is to be found by this word.
THEIRS = "theirs"
_LONGEST = 400  # calls of a path
# Of so many calls one is struck, a first one that differs from path to path; in the long form each is.
_STEP = 15 if FEW else int(os.environ.get("NUMA_VIRT_FAULTS_STEP", "3"))
_SAID = "the daemon said no"
_GONE = "Cannot recv data: Connection reset by peer"


class Faults:
    """One host's calls: counted, and struck once. ``names`` are the calls of the last task, in order."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.names: list[str] = []
        self.kind, self.at = None, 0
        self.act: Callable[[], None] = lambda: None
        self.dead = False
        connect = host.connect
        if hasattr(host, "room"):  # xl: what is run is what is called
            run = host.run
            host.run = lambda arguments: self._run(run, arguments)
        host.connect = lambda: _Proxy(self.call("connect", connect), self, hasattr(host, "room"))

    def strike(self, kind: str | None, at: int = 0, act: Callable[[], None] | None = None) -> None:
        """At the next task's call number ``at``, from 1."""
        self.kind, self.at, self.dead, self.names = kind, at, False, []
        self.act = act or (lambda: None)

    def call(self, name: str, real: Callable[[], Any]) -> Any:
        return self._struck(name, real, self._error)

    def _run(self, run: Callable[..., Any], arguments: list[str]) -> tuple[int, str, str]:
        return self._struck(arguments[1], lambda: run(arguments), lambda reason: (1, "", f"xl: error: {reason}"))

    def _struck(self, name: str, real: Callable[[], Any], failed: Callable[[str], Any]) -> Any:
        self.names.append(name)
        if self.dead:
            return failed(_GONE)
        if len(self.names) == self.at:
            if self.kind == REFUSE:
                return failed(_SAID)
            if self.kind == DIE:
                self.dead = True
                return failed(_GONE)
            if self.kind == LOSE:
                real()
                return failed(_GONE)
            if self.kind == ACT:
                self.act()
        return real()

    def _error(self, reason: str) -> Any:
        raise LibvirtCallError("make a call", reason, libvirt.VIR_ERR_SYSTEM_ERROR if reason == _GONE else 1)


class _Proxy:
    """A connection or a domain whose calls are counted."""

    def __init__(self, real: Any, faults: Faults, xl: bool) -> None:
        self._real, self._faults, self._xl = real, faults, xl

    def __enter__(self) -> _Proxy:
        self._real.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._real.__exit__(*error)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._real, name)
        if not callable(value) or name in ("xen_tools", "pool_of"):
            return value

        def call(*arguments: Any, **named: Any) -> Any:
            if self._xl and name != "redefine":  # its commands are counted, and files can be read
                return self._wrapped(value(*arguments, **named))
            return self._wrapped(self._faults.call(name, lambda: value(*arguments, **named)))

        return call

    def _wrapped(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._wrapped(each) for each in value]
        return _Proxy(value, self._faults, self._xl) if hasattr(value, "redefine") else value


@dataclass(frozen=True)
class Seen:
    """The truth about one domain. ``where`` is what its vCPUs may use while it runs, ``image`` what it goes on as."""

    definition: str | None
    state: str
    where: Any = None
    image: str | None = None

    @property
    def runs(self) -> bool:
        return self.state not in ("shut off", "absent")


ABSENT = Seen(None, "absent")


class World:
    """What is on a host, and what somebody else can do there."""

    def __init__(self, host: Host) -> None:
        self.host = host

    def seen(self) -> dict[str, Seen]:
        host = self.host
        if isinstance(host, Hypervisor):
            return {
                each.name: Seen(each.config, each.state, copy.copy(each.where), each.image)
                for each in host.guests.values()
            }
        if isinstance(host, TestDriver):
            return {each.name(): self._native(each) for each in host.native.listAllDomains()}
        files = {path.stem: path.read_text() for path in pathlib.Path(host.folder).glob("*.cfg")}
        names = {*files, *host.guests}
        return {name: Seen(files.get(name), *self._xl(name)) for name in names}

    def _native(self, domain: Any) -> Seen:
        states = ("no state", "running", "blocked", "paused", "shutting down", "shut off", "crashed", "suspended")
        lasting = self.host.definition(domain.name()) if domain.isPersistent() else None
        where = None
        if domain.isActive():
            root = etree.fromstring(self.host.live(domain.name()))
            where = [(each.get("vcpu"), each.get("cpuset")) for each in root.iterfind("cputune/vcpupin")]
        return Seen(lasting, states[domain.state()[0]], where)

    def _xl(self, name: str) -> tuple[str, Any]:
        guest = self.host.guests.get(name)
        if guest is None:
            return "shut off", None
        return "paused" if guest.paused else "running", {vcpu: str(cpus) for vcpu, cpus in guest.hard.items()}

    def edit(self, name: str) -> None:
        host = self.host
        if isinstance(host, Hypervisor):
            if name in host.guests and host.guests[name].config is not None:
                host.guests[name].config = _edited(host.guests[name].config)
        elif isinstance(host, TestDriver):
            if name in self.seen():
                host.native.defineXML(_edited(host.definition(name)))
        elif os.path.exists(os.path.join(host.folder, f"{name}.cfg")):
            host.file(name, host.text(name) + f"# {THEIRS}\n")

    def undefine(self, name: str) -> None:
        host = self.host
        if isinstance(host, Hypervisor):
            guest = host.guests.get(name)
            if guest is not None and guest.live is None and guest.image is None:
                del host.guests[name]
            elif guest is not None and guest.image is None:  # with one, libvirt refuses
                guest.config = None
        elif isinstance(host, TestDriver):
            if self.seen().get(name, ABSENT).definition is not None:
                host.domain(name).undefine()
        elif os.path.exists(os.path.join(host.folder, f"{name}.cfg")):
            os.unlink(os.path.join(host.folder, f"{name}.cfg"))

    def destroy(self, name: str) -> None:
        host = self.host
        if not self.seen().get(name, ABSENT).runs:
            return
        if isinstance(host, Hypervisor):
            host.end(host.guests[name])
            if host.guests[name].config is None:
                del host.guests[name]
        elif isinstance(host, TestDriver):
            host.domain(name).destroy()
        else:
            del host.guests[name]

    def suspend(self, name: str) -> None:
        host = self.host
        if self.seen().get(name, ABSENT).state != "running":
            return
        if isinstance(host, Hypervisor):
            host.guests[name].state = "paused"
        elif isinstance(host, TestDriver):
            host.domain(name).suspend()
        else:
            host.guests[name].paused = True

    def start(self, name: str) -> None:
        host = self.host
        if self.seen().get(name, ABSENT).state != "shut off":
            return
        if isinstance(host, Hypervisor):
            guest = host.guests[name]
            image, guest.image = guest.image, None
            host.run(guest, paused=False, image=image)
        elif isinstance(host, TestDriver):
            host.domain(name).create()
        else:
            host._create("-q", os.path.join(host.folder, f"{name}.cfg"))
            host.guests[name].paused = False


ACTS = ("edit", "undefine", "destroy", "suspend", "start")


def _edited(text: str) -> str:
    root = etree.fromstring(text)
    for old in root.findall("title"):
        root.remove(old)
    title = etree.Element("title")
    title.text = THEIRS
    after = root.find("uuid") if root.find("uuid") is not None else root.find("name")
    after.addnext(title)
    return etree.tostring(root, encoding="unicode")


@dataclass
class Way:
    """A path of the engine: how a host is made ready for it, and the task itself, which can be repeated.

    ``gives`` says that the task brings the definition with it, so that it can be repeated after somebody undefined it.
    """

    title: str
    prepare: Callable[[Any], None]
    task: Callable[[Any], dict[str, Any]]
    gives: bool = False
    names: tuple[str, ...] = ("web1",)


@dataclass
class Trial:
    """One run that was struck, and all that is known of it."""

    way: Way
    kind: str
    at: int
    call: str
    act: str | None
    before: dict[str, Seen]
    after: dict[str, Seen]
    result: dict[str, Any] | None
    error: NumaVirtError | None
    log: list[str]
    backups: list[str]
    calls: list[str] = field(default_factory=list)

    @property
    def shut_down(self) -> bool:
        """Whether the guest was asked to shut down, and heard it."""
        heard = [number for number, name in enumerate(self.calls, 1) if name == "shutdown"]
        return bool(heard) and not (self.kind in (REFUSE, DIE) and heard[0] >= self.at)

    def __str__(self) -> str:
        act = f" {self.act}" if self.act else ""
        return f"{self.way.title}: {self.kind}{act} at call {self.at} ({self.call})"


def walk(
    make: Callable[[], Host],
    way: Way,
    kind: str,
    act: str | None = None,
    judged: Callable[[Trial], list[str]] | None = None,
) -> list[str]:
    """Go a path once for each of its calls, struck there. Returns what was found wrong, in words; empty is good.

    ``make`` makes a new host each time. ``judged`` adds to what judge() finds. A path that is struck may become
    longer: it is followed to its end.
    """
    wrong: list[str] = []
    first = 1 + zlib.crc32(f"{way.title} {kind} {act}".encode()) % _STEP
    for at in range(first, _LONGEST, _STEP):
        host = make()
        way.prepare(host)
        if hasattr(host, "log"):
            host.log.clear()
        world, faults = World(host), Faults(host)
        before = world.seen()

        def acts(world: World = world) -> None:
            for name in way.names:
                getattr(world, act)(name)

        faults.strike(kind, at, acts if act is not None else None)
        result, error = None, None
        try:
            result = way.task(host)
        except NumaVirtError as caught:
            error = caught
        if len(faults.names) < at:
            break  # it ended before that call: there is none left to strike at
        backups = [
            pathlib.Path(host.backups, name).read_text(encoding="utf-8", errors="surrogateescape")
            for name in host.backup_files()
        ]
        calls = list(faults.names)
        faults.strike(None)
        trial = Trial(
            way, kind, at, calls[at - 1], act, before, world.seen(), result, error, list(getattr(host, "log", [])),
            backups, calls,
        )  # fmt: skip
        found = judge(trial) + _converges(trial, host, world) + (judged(trial) if judged is not None else [])
        wrong += [f"{trial}: {each}; it said {_said(trial)!r}" for each in found]
    return wrong


def _said(trial: Trial) -> Any:
    if trial.error is not None:
        return trial.error.as_result()
    return {name: trial.result.get(name) for name in ("changed", "state", "overwritten")} if trial.result else None


def judge(trial: Trial) -> list[str]:
    """What is wrong with one trial, by what is on the host now."""
    wrong = []
    for name in {*trial.before, *trial.after, *trial.way.names}:
        before, after = trial.before.get(name, ABSENT), trial.after.get(name, ABSENT)
        wrong += _lost(trial, name, before, after)
    if len(trial.way.names) == 1:
        name = trial.way.names[0]
        before, after = trial.before.get(name, ABSENT), trial.after.get(name, ABSENT)
        wrong += _untrue(trial, before, after)
    return wrong


def _lost(trial: Trial, name: str, before: Seen, after: Seen) -> list[str]:
    wrong = []
    theirs = trial.act == "undefine"
    if before.definition is not None and after.definition is None and not theirs:
        wrong.append(f"the definition of {name} is gone")
    replaced = before.definition is not None and after.definition != before.definition and trial.act is None
    if replaced and before.definition not in trial.backups:
        wrong.append(f"the previous definition of {name} cannot be had back")
    if after.definition is not None and "s3cret" not in after.definition:
        wrong.append(f"the password of {name} is gone")
    if after.runs and after.definition is None and not theirs and (before.definition is not None or not before.runs):
        wrong.append(f"{name} runs and is undefined")
    edited = trial.act == "edit" and THEIRS in str([each for each in trial.log if each == THEIRS])
    if edited:
        wrong.append(f"their edit of {name} is gone")
    if before.runs and not after.runs and trial.act != "destroy" and not trial.shut_down:
        wrong.append(f"{name} ran and was ended")
    if before.image is not None and after.image is None and not after.runs and trial.act != "destroy":
        wrong.append(f"the memory of {name} is gone")
    return wrong


def _untrue(trial: Trial, before: Seen, after: Seen) -> list[str]:
    """Words against the host."""
    error, wrong = trial.error, []
    answer = error.as_result() if error is not None else trial.result or {}
    if "failures" in answer.get("error", {}):
        answer = {**answer["error"]["failures"][0], "changed": answer["changed"]}
    text = str(answer.get("msg", ""))
    unknown = "not known" in text
    facts = (
        (r"it was destroyed", not after.runs),
        (r"the previous definition is back", after.definition == before.definition),
        (r"nothing is defined, as before", after.definition is None),
        (r"its definition is as it was", after.definition == before.definition),
        (r"runs on as it was|started again as it was", after.state == "running"),
        (r"(left|is) paused", after.state == "paused"),
        (r"is shut off", after.state == "shut off"),
        (r"so is its saved image", after.image == before.image),
        (r"was saved again", after.image is not None),
    )
    for words, true in facts:
        if re.search(words, text) and not true:
            wrong.append(f"{words!r} is not so")
    if unknown and trial.kind == REFUSE:
        wrong.append("it says that it does not know, and could have looked")
    differs = before != after or (trial.shut_down and before.runs)
    if trial.act is None:
        if unknown:
            if not answer.get("changed"):
                wrong.append("it does not know, and says changed=false")
        elif bool(answer.get("changed")) != differs:
            wrong.append(f"changed={answer.get('changed')}, from {before.state} to {after.state}")
    state = answer.get("state")
    if state is not None and state != "unknown" and state != after.state:
        wrong.append(f"state={state}, and it is {after.state}")
    if error is not None and differs and trial.act is None and state is None:
        wrong.append("it does not say the state")
    replaced = before.definition is not None and after.definition != before.definition
    if error is not None and replaced and trial.act is None and not answer.get("backup_file"):
        wrong.append("it does not say where the previous definition is")
    return wrong


def _converges(trial: Trial, host: Host, world: World) -> list[str]:
    """The next run, and the one after it."""
    undefined = trial.act == "undefine"
    try:
        second = trial.way.task(host)
        settled = world.seen()
        third = trial.way.task(host)
    except NumaVirtError as error:
        # What they did may well be the end of it: then that is what the next run says.
        without = ("transient",) if trial.way.gives else ("no such domain", "transient", "no configuration")
        gone = undefined and any(words in str(error) for words in without)
        off = trial.act == "destroy" and "does not run" in str(error)
        return [] if gone or off else [f"the next run fails: {error}"]
    wrong = []
    if trial.error is None and trial.act is None and trial.kind != LOSE and second["changed"]:
        wrong.append("it succeeded, and the next run changes something")
    if third["changed"]:
        wrong.append(f"the third run changes {third.get('changes')}")
    if world.seen() != settled:
        wrong.append("the third run says that it changes nothing, and does")
    return wrong
