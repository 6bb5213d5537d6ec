# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every path of the engine for one domain, struck at every call: see faults.py for what is done and what must hold."""

from __future__ import annotations

import itertools

import pytest

from ansible_collections.numa.virt.plugins.module_utils._node import processes
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._engine.faults import (
    ACT,
    ACTS,
    DIE,
    LOSE,
    REFUSE,
    Way,
    walk,
)
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._engine.hypervisor import (
    Hypervisor,
    TestDriver,
    document,
)
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._engine.xen import XenHost

UUID = "<uuid>6695eb01-f6a4-8304-79aa-97f2502e193f</uuid>"
KINDS = {"qemu": "kvm", "xen": "xen", "test": "test"}
STRICT_0 = {"vcpu": " cpuset='0-1'", "tune": "<numatune><memory mode='strict' nodeset='0'/></numatune>"}
RESTRICTIVE_0 = {"vcpu": " cpuset='0-1'", "tune": "<numatune><memory mode='restrictive' nodeset='0'/></numatune>"}


def xml(kind, **parts):
    return document(kind=KINDS[kind], uuid=UUID, **parts)


def put(host, kind, text, state="shut off"):
    """A domain that is there already."""
    if kind == "xl":
        if state != "shut off":
            host.add(text)
            host.guests["web1"].paused = state == "paused"
        return
    if kind == "test":
        domain = host.native.defineXML(text)
        if state != "shut off":
            domain.create()
        if state == "paused":
            domain.suspend()
        return
    guest = host.add(text, running=state != "shut off")
    if state != "shut off":
        guest.state = state


def ways(kind):
    """The paths of one kind of host."""
    restart = {"restart": True, "shutdown_timeout": 0}

    def there(state="shut off", cpus="0-1", **parts):
        def prepare(host):
            if kind == "xl":
                host.file()
                put(host, kind, host.text(), state)
                if state != "shut off":
                    host.place("web1", cells=[0], restart=True, shutdown_timeout=1)
                    host.guests["web1"].paused = state == "paused"
                    host.log.clear()
                return
            own = parts or ({"vcpu": f" cpuset='{cpus}'"} if kind == "xen" else STRICT_0)
            put(host, kind, xml(kind, **own), state)
            if kind == "xen" and state != "shut off":
                host.place("web1", cells=[0])
                host.guests["web1"].state = state
                host.log.clear()

        return prepare

    found = [
        Way("start", there(), lambda host: host.place("web1", cells=[1])),
        Way("define", there(), lambda host: host.place("web1", cells=[1], state="defined")),
        Way("restart", there("running"), lambda host: host.place("web1", cells=[1], **restart)),
        Way("resume", there("paused"), lambda host: host.place("web1", cells=[0])),
        Way("pin config", there(), lambda host: host.pin(pins={"0": "1"})),
        Way("pin live", there("running"), lambda host: host.pin(pins={"0": "1"}, apply="live")),
        Way("pin both", there("running"), lambda host: host.pin(pins={"0": "1"})),
        Way("move live", there("running"), lambda host: host.place("web1", cells=[1])),
    ]
    if kind == "xl":
        # Nothing is kept of a pin that no file says.
        return [way for way in found if way.title != "pin live"]
    found.append(Way("release", there(), lambda host: host.release("web1")))
    if kind == "qemu":

        def saved(host):
            put(host, kind, xml(kind, **STRICT_0), "running")
            host.save(host.guests["web1"])

        found += [
            Way("resume saved", saved, lambda host: host.place("web1", cells=[1])),
            Way("define saved", saved, lambda host: host.place("web1", cells=[1], state="defined")),
            Way("pin saved", saved, lambda host: host.pin(pins={"0": "1"})),
            Way("release saved", saved, lambda host: host.release("web1")),
        ]
    binding = {"memory": {"mode": "restrictive"}} if kind != "xen" else {}
    changed = xml(kind, more="<serial type='pty'/>")
    found += [
        Way("new", lambda host: None, lambda host: host.place(xml=xml(kind), cells=[1]), gives=True),
        Way(
            "new, defined", lambda host: None, lambda host: host.place(xml=xml(kind), cells=[1], state="defined"), True,
        ),
        Way("redefine", there(), lambda host: host.place(xml=changed, cells=[1]), gives=True),
        Way("restart another", there("running"), lambda host: host.place(xml=changed, cells=[1], **restart), True),
        Way(
            "move memory live", there("running", **RESTRICTIVE_0 if kind != "xen" else {}),
            lambda host: host.place("web1", cells=[2 if kind != "test" else 1], **binding),
        ),
    ]  # fmt: skip
    return found


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Makes hosts of one kind, each in a folder of its own."""
    numbers = itertools.count()
    real = {name: getattr(processes, name) for name in ("find_process", "threads", "memory")}
    opened = []

    def new(kind, strays=None):
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        if kind == "xl":
            return XenHost(folder)
        if kind == "test":
            for each in opened:
                each.native.close()
            opened[:] = [TestDriver(str(folder / "backups"))]
            return opened[0]
        host = Hypervisor(folder, kind)
        for name, function in real.items():
            monkeypatch.setattr(processes, name, function)
        if host.local:
            host.see_processes(monkeypatch)
        host.strays = {vcpu: CpuSet.parse(text) for vcpu, text in (strays or {}).items()}
        return host

    yield new
    for each in opened:
        each.native.close()


HOSTS = ("qemu", "xen", "test", "xl")
ALL = [pytest.param(kind, way, id=f"{kind}-{way.title}") for kind in HOSTS for way in ways(kind)]


@pytest.mark.parametrize("fault", [REFUSE, DIE, LOSE])
@pytest.mark.parametrize(("kind", "way"), ALL)
def test_whatever_call_fails(make, kind, way, fault):
    found = walk(lambda: make(kind), way, fault)
    assert not found, "\n".join(found)


# What others do is seen by the same code everywhere: all paths on one host, and those that differ on the others.
SOME = [each for each in ALL if each.id.startswith("qemu-") or each.values[1].title in ("start", "restart", "pin both")]


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize(("kind", "way"), SOME)
def test_whoever_acts_meanwhile(make, kind, way, act):
    found = walk(lambda: make(kind), way, ACT, act)
    assert not found, "\n".join(found)
