# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs about many guests, struck at every call and disturbed before every call: nothing is lost, no dedicated CPU is
given twice, what is said is so, the next run converges and the third changes nothing."""

from __future__ import annotations

import itertools
import os
import pathlib
from functools import partial

import pytest

from ansible_collections.numa.virt.plugins.module_utils._errors import NumaVirtError
from ansible_collections.numa.virt.plugins.module_utils._node import processes
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._engine.faults import (
    ACT,
    ACTS,
    DIE,
    LOSE,
    REFUSE,
    Faults,
    World,
)
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._engine.hypervisor import (
    Hypervisor,
    document,
)
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._engine.xen import XenHost

NEW = "anew"


def prepared(host, kind):
    """Two dedicated guests that run, one that is placed and shut off, one that nobody manages."""
    if kind == "xl":
        for name in ("a", "b", "off"):
            host.file(name)
        host.place_all("a", "b", policy="dedicated")
        host.place_all("off", policy="dedicated", state="defined")
        return
    hypervisor = "kvm" if kind == "qemu" else kind
    for name in ("a", "b", "off"):
        host.add(document(name, hypervisor))
    host.place_all("a", "b", policy="dedicated")
    host.place_all("off", policy="dedicated", state="defined")


def cell_of(host, name):
    guest = host.guests[name]
    cpus = guest.hard if isinstance(host, XenHost) else guest.where
    return min(cpus[0]) // 2


def moves(host, kind):
    """a leaves its cell, and a guest that was not there, or was shut off, gets it."""
    old = cell_of(host, "a")
    free = max(set(range(4)) - {cell_of(host, name) for name in "ab"})
    new = {"name": "off"} if kind == "xl" else {"xml": document(NEW, "kvm" if kind == "qemu" else kind)}
    entries = [{"name": "a", "cells": [free]}, {**new, "cells": [old]}]
    options = {"restart": True, "shutdown_timeout": 1} if kind == "xen" else {}
    return lambda: host.place_all(*entries, policy="dedicated", **options)


def everybody(host, _kind):
    return lambda: host.place_all(select="all", policy="pack", cpu_ratio=4)


def releases(host, _kind):
    return lambda: host.release(select="all")


def looks(host, _kind):
    return host.findings


PATHS = {"moves": moves, "everybody": everybody, "releases": releases, "looks": looks}
KINDS = ("qemu", "xen", "xl")


@pytest.fixture
def make(tmp_path, monkeypatch):
    numbers = itertools.count()
    real = {
        name: getattr(processes, name) for name in ("find_process", "threads", "memory") if hasattr(processes, name)
    }

    def new(kind):
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        if kind == "xl":
            return XenHost(folder)
        host = Hypervisor(folder, kind, local=False)
        for name, function in real.items():
            monkeypatch.setattr(processes, name, function)
        return host

    return new


def given_twice(host):
    """CPUs that a dedicated guest which runs has, and that another guest runs on."""
    owners = {}
    for name, guest in host.guests.items():
        if isinstance(host, XenHost):
            cpus = [] if any(each is None for each in guest.hard.values()) else guest.hard.values()
        else:
            cpus = guest.where.values() if guest.live is not None else []
        if all(len(each) == 1 for each in cpus):
            owners[name] = {cpu for each in cpus for cpu in each}
    return [
        (one, other, owners[one] & owners[other])
        for one, other in itertools.combinations(owners, 2)
        if owners[one] & owners[other]
    ]


def wrong_with(host, kind, path, fault, act, before, after, answer, error):
    wrong = [f"given twice: {each}" for each in given_twice(host) if path == "moves"]
    backups = [pathlib.Path(host.backups, each).read_text(encoding="utf-8") for each in host.backup_files()]
    for name, was in before.items():
        now = after.get(name)
        if was.definition is not None and (now is None or now.definition is None) and act != "undefine":
            wrong.append(f"the definition of {name} is gone")
        replaced = now is not None and now.definition != was.definition and act is None
        if replaced and path != "looks" and was.definition not in backups:
            wrong.append(f"the definition of {name} from before is nowhere")
        ended = was.runs and (now is None or not now.runs) and act != "destroy"
        if ended and "shutdown" not in getattr(host, "log", ()):
            wrong.append(f"{name} was ended")
        if not was.runs and now is not None and now.runs and act != "start" and path != "moves":
            wrong.append(f"{name} was started")
    if path == "looks" and before != after and act is None:
        wrong.append("it looked, and changed something")
    said = error.as_result() if error is not None else answer
    differs = before != after or "shutdown" in getattr(host, "log", ())
    if act is None and path != "looks" and fault == REFUSE and bool(said["changed"]) != differs:
        wrong.append(f"changed={said['changed']}")
    if act is None and path != "looks" and before != after and not said["changed"]:
        wrong.append("changed=False")
    if error is not None and error.code == "guests_failed":
        for each in error.fields["failures"]:
            if each["code"] == "internal":
                wrong.append(f"a defect: {each}")
            name = each["name"]
            same = before.get(name) == after.get(name)
            if act is None and not same and not each["changed"]:
                wrong.append(f"{name}: changed=False")
            if act is None and fault == REFUSE and each["changed"] and same and not differs:
                wrong.append(f"{name}: changed=True")
    return wrong


def somebody(world, act, names):
    for name in names if act else ():
        getattr(world, act)(name)


# Every call where there is time for it; otherwise every fifteenth, a different one for each path and fault.
STEP = int(os.environ.get("NUMA_VIRT_FAULTS_STEP", "15"))


def walk(make, kind, path, fault, act=None):
    wrong = []
    for at in itertools.count(1 + len(f"{kind}{path}{fault}{act}") % STEP, STEP):
        host = make(kind)
        prepared(host, kind)
        task = PATHS[path](host, kind)
        if hasattr(host, "log"):
            host.log.clear()
        world, faults = World(host), Faults(host)
        before = world.seen()
        faults.strike(fault, at, partial(somebody, world, act, [name for name in ("a", "off") if name in before]))
        answer, error = None, None
        try:
            answer = task()
        except NumaVirtError as caught:
            error = caught
        if len(faults.names) < at:
            break  # it ended before that call
        call = faults.names[at - 1]
        faults.strike(None)
        after = world.seen()
        found = wrong_with(host, kind, path, fault, act, before, after, answer, error)
        found += converges(host, task, path, act)
        said = f"{type(error).__name__}: {error}" if error is not None else "it succeeded"
        wrong += [f"{path}, {fault} {act or ''} at call {at} ({call}): {each}; {said}" for each in found]
    return wrong


def converges(host, task, path, act):
    if path == "looks":
        return []
    try:
        task()
        third = task()
    except NumaVirtError as error:
        if act == "undefine":
            return []
        return [f"the next run fails: {error}"]
    return ["the third run changes something"] if third["changed"] else []


ALL = [pytest.param(kind, path, id=f"{kind}-{path}") for kind in KINDS for path in PATHS]


@pytest.mark.parametrize("fault", [REFUSE, DIE, LOSE])
@pytest.mark.parametrize(("kind", "path"), ALL)
def test_whatever_call_fails(make, kind, path, fault):
    assert walk(make, kind, path, fault) == []


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize(("kind", "path"), ALL)
def test_whoever_acts_meanwhile(make, kind, path, act):
    assert walk(make, kind, path, ACT, act) == []
