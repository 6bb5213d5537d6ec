# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A remedy that is printed is carried out, word for word, and its finding is gone.

On odd hosts, with guests that were placed by nobody, by a user and by a policy, and that somebody has edited since.
Remedies are read as a person would read them: ``run MODULE for it with OPTION=VALUE, …``. What is no task of a module
here, or leaves a choice to its reader, is none of this test's business.
"""

from __future__ import annotations

import ast
import contextlib
import copy
import pathlib
import re
import tempfile
from unittest import mock

from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from ansible_collections.numa.virt.plugins.module_utils._errors import DoesNotFitError, NumaVirtError
from ansible_collections.numa.virt.plugins.module_utils._findings.remedies import remedies
from ansible_collections.numa.virt.plugins.module_utils._node import lock, processes
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._engine.hypervisor import Hypervisor, document
from ansible_collections.numa.virt.tests.unit.plugins.module_utils.examples import examples

MIB = 1024
TASK = re.compile(
    r"run (numa_domain|numa_placement) for it(?: again)?(?: without options| with ((?:\{[^}]*\}|[^:;{])*?))?"
    r"(?=$|:|,? (?:to|or|which) )"
)


@st.composite
def hosts(draw):
    """Capabilities of up to 4 cells with 2 or 4 CPUs; some without CPUs, some without memory."""
    cells = draw(st.integers(1, 4))
    width = draw(st.sampled_from((2, 4)))
    bare = draw(st.sets(st.integers(1, 3), max_size=1))
    empty = draw(st.sets(st.integers(0, 3), max_size=2)) - bare
    if len(empty) >= cells:
        empty = set()
    far = draw(st.sampled_from((12, 21)))
    text = []
    for cell in range(cells):
        cpus = [] if cell in bare else range(cell * width, cell * width + width)
        memory = 0 if cell in empty else 524288
        distances = "".join(
            f"<sibling id='{to}' value='{10 if to == cell else far + abs(to - cell)}'/>" for to in range(cells)
        )
        numbers = "".join(
            f"<cpu id='{cpu}' socket_id='{cell}' die_id='0' core_id='{cpu // 2}' "
            f"siblings='{cpu // 2 * 2}-{cpu // 2 * 2 + 1}'/>"
            for cpu in cpus
        )
        text.append(
            f"<cell id='{cell}'><memory unit='KiB'>{memory}</memory><pages unit='KiB' size='4'>{memory // 4}</pages>"
            f"<distances>{distances}</distances><cpus num='{len(cpus)}'>{numbers}</cpus></cell>"
        )
    have = [cell for cell in range(cells) if cell not in empty]
    there = [cpu for cpu in range(cells * width) if cpu // width not in bare]
    return text, there, have


def capabilities(kind, cells):
    return (
        f"<capabilities><host><topology><cells num='{len(cells)}'>{''.join(cells)}</cells></topology></host>"
        f"<guest><os_type>hvm</os_type><arch name='x86_64'><domain type='{kind}'/></arch></guest></capabilities>"
    )


@st.composite
def placements(draw, cpus, cells):
    """What stands in a document of somebody's: the parts of document()."""
    cpuset = st.sets(st.sampled_from(cpus), min_size=1, max_size=4).map(lambda found: ",".join(map(str, sorted(found))))
    nodes = st.sets(st.sampled_from(cells), min_size=1, max_size=2).map(lambda found: ",".join(map(str, sorted(found))))
    tune = ""
    pins = draw(st.dictionaries(st.integers(0, 1), cpuset, max_size=2))
    for vcpu, cpus in sorted(pins.items()):
        tune += f"<vcpupin vcpu='{vcpu}' cpuset='{cpus}'/>"
    if draw(st.booleans()) and draw(st.booleans()):
        tune += f"<emulatorpin cpuset='{draw(cpuset)}'/>"
    tune = f"<cputune>{tune}</cputune>" if tune else ""
    mode = draw(st.sampled_from((None, "strict", "strict", "preferred", "restrictive")))
    if mode is not None:
        tune += f"<numatune><memory mode='{mode}' nodeset='{draw(nodes)}'/></numatune>"
    vcpu = draw(st.sampled_from(("", "auto", "set", "set", "set")))
    vcpu = f" placement='static' cpuset='{draw(cpuset)}'" if vcpu == "set" else " placement='auto'" if vcpu else ""
    devices = ""
    if draw(st.integers(0, 4)) == 0:
        devices = f"<memory model='dimm'><source><nodemask>{draw(nodes)}</nodemask></source></memory>"
    return {"tune": tune, "vcpu": vcpu, "more": devices}


class Lab:
    """A stand-in, all of whose state can be had back."""

    def __init__(self, folder, kind, caps):
        self.host = Hypervisor(folder, kind, local=kind == "qemu")
        self.host.capabilities = caps
        self.host.lock_dir = None

    def keep(self):
        return copy.deepcopy(self.host.guests)

    def bring_back(self, guests):
        for guest in list(self.host.guests.values()):
            self.host.end(guest)
        self.host.guests = copy.deepcopy(guests)
        for guest in self.host.guests.values():
            if guest.live is not None:
                live, where, state = guest.live, guest.where, guest.state
                self.host.run(guest, state == "paused", live)
                guest.where.update(where)


@settings(max_examples=examples(40), suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(hosts(), st.sampled_from(("qemu", "qemu", "xen")), st.data())
def test_what_a_remedy_says_is_so(it, kind, data):
    text, cpus, cells = it
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        with mock.patch.object(lock, "SYSTEM_DIRECTORY", str(folder / "lock")):
            lab = Lab(folder, kind, capabilities("kvm" if kind == "qemu" else "xen", text))
            with mock.patch.object(processes, "ROOT", lab.host.proc):
                _tell(lab, cpus, cells, kind, data)


def _tell(lab, cpus, cells, kind, data):
    host, draw = lab.host, data.draw
    for number in range(draw(st.integers(1, 2))):
        name = f"g{number}"
        parts = draw(placements(cpus, cells))
        memory = draw(st.sampled_from((64, 64, 700))) * MIB
        guest = host.add(document(name, "kvm" if kind == "qemu" else "xen", memory=memory, **parts))
        _placed(host, draw, name, cpus, cells)
        running = draw(st.booleans())
        if running:
            host.run(guest, paused=False)
        if draw(st.booleans()):
            parts = draw(placements(cpus, cells))
            changed = document(name, "kvm", uuid=f"<uuid>{guest.uuid}</uuid>", memory=memory, **parts)
            record = re.search(r"<metadata>.*?</metadata>", guest.config, re.DOTALL)
            guest.config = changed.replace("<memory unit", (record[0] if record else "") + "<memory unit", 1)
        if running and draw(st.booleans()):
            guest.where[0] = type(guest.where[0])([draw(st.sampled_from(cpus))])
    there = lab.keep()
    before = host.findings()
    for each in before["findings"]:
        lab.bring_back(there)
        _carry_out(host, each)
    lab.bring_back(there)
    _as_the_role_does(host, before)


def _placed(host, draw, name, cpus, cells):
    """By whom, and how, it was placed when it was defined; what does not fit was not."""
    how = draw(st.sampled_from(("nobody", "user", "policy", "pins")))
    with contextlib.suppress(NumaVirtError):
        if how == "user":
            host.place(name, cells=[draw(st.sampled_from(cells))], state="defined", backup=False)
        elif how == "policy":
            policy = draw(st.sampled_from(("pack", "spread", "dedicated")))
            host.place_all(name, policy=policy, state="defined", backup=False)
        elif how == "pins":
            host.pin(name, pins={"0": str(draw(st.sampled_from(cpus)))}, backup=False)


def _options(text):
    """``cpuset=0-3, memory.cells=[1] and restart=allowed`` as keywords."""
    found = {}
    for name, value in re.findall(r"([a-z_.]+)=(\[[^\]]*\]|\{[^}]*\}|[^\s\[{]*[^\s\[{,])", text or ""):
        if name == "restart":
            value = value == "allowed"
        elif value[0] in "[{":
            value = ast.literal_eval(value)
        elif value in ("true", "false"):
            value = value == "true"
        outer, _dot, inner = name.partition(".")
        if inner:
            found.setdefault(outer, {})[inner] = value
        else:
            found[outer] = value
    return found


def _carry_out(host, each):
    task = TASK.search(each["remedy"])
    if task is None or each["fix"] == "host":
        return
    name, options = each["domain"], _options(task[2])
    note(f"{each['code']}: {each['message']}; {each['remedy']}; {options}")
    state = "running" if host.guests[name].live is not None else "defined"
    if task[1] == "numa_domain":
        result = host.place(name, state=state, backup=False, **options)
    else:
        knobs = {"nodemask": options.pop("nodemask")} if "nodemask" in options else {}
        try:
            result = host.place_all({"name": name, **knobs}, state=state, backup=False, **options)
        except DoesNotFitError as error:  # what is then to be done it says itself
            note(error.message)
            return
    assert result["changed"], each
    left = [
        (found["code"], found["message"], found["remedy"])
        for found in host.findings(name)["findings"]
        if found["domain"] == name
    ]
    assert each["code"] not in [code for code, *_more in left], (each, left)


def _as_the_role_does(host, before):
    """What findings_remedies names is no finding that it leaves as it is."""
    offered = remedies(before["findings"], before["domains"])
    again = {each["name"] for each in offered["apply"]}
    for entry in offered["apply"]:
        running = host.guests[entry["name"]].live is not None
        options = {"cpuset": entry["cpuset"]} if entry["cpuset"] is not None else {}
        host.place(entry["name"], state="running" if running else "defined", restart=running, backup=False, **options)
    after = {(each["code"], each["domain"]) for each in host.findings()["findings"]}
    offering = [each for each in before["findings"] if each not in offered["left"] and each["domain"] in again]
    assert [each for each in offering if (each["code"], each["domain"]) in after] == []
