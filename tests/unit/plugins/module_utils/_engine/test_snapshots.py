# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Snapshots and checkpoints of a guest outlive what is done to it, and so does what was written since."""

from __future__ import annotations

import libvirt
import pytest

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError, LibvirtCallError
from ansible_collections.numa.virt.plugins.module_utils._libvirt.connection import Connection
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._engine.hypervisor import document


def disk(image, below="", target="vda"):
    return f"""<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{image}'/>{below}
      <target dev='{target}' bus='virtio'/></disk>"""


def backing(image, below=""):
    return f"<backingStore type='file'><format type='qcow2'/><source file='{image}'/>{below}</backingStore>"


def snapshot(image, target="vda"):
    """As libvirt tells of an external one: the image that came on top."""
    return f"""<domainsnapshot><name>s1</name><disks>
      <disk name='{target}' snapshot='external' type='file'><driver type='qcow2'/><source file='{image}'/></disk>
      <disk name='vdb' snapshot='no'/></disks></domainsnapshot>"""


class Kept:
    """A guest of the test driver with a snapshot, or with a checkpoint."""

    def __init__(self, driver, kind, running):
        self.driver, self.kind = driver, kind
        domain = driver.native.defineXML(document(more=disk("/images/web1.qcow2")))
        domain.create()
        if kind == "snapshot":
            domain.snapshotCreateXML("<domainsnapshot><name>before</name></domainsnapshot>", 0)
        else:
            domain.checkpointCreateXML("<domaincheckpoint><name>before</name></domaincheckpoint>", 0)
        if not running:
            domain.destroy()

    def there(self):
        domain = self.driver.domain()
        found = domain.listAllSnapshots() if self.kind == "snapshot" else domain.listAllCheckpoints()
        return [(each.getName(), each.getXMLDesc(0)) for each in found]

    def end(self):
        domain = self.driver.domain()
        for each in [*domain.listAllSnapshots(), *domain.listAllCheckpoints()]:
            each.delete(0)


TASKS = {
    "placed": lambda driver: driver.place("web1", cells=[1], state="defined"),
    "pinned": lambda driver: driver.pin(pins={"0": "2"}),
    "planned": lambda driver: driver.place_all("web1", policy="dedicated"),
    "defined anew": lambda driver: driver.place(
        xml=document(memory=32768, more=disk("/images/web1.qcow2")), state="defined"
    ),
    "restarted": lambda driver: driver.place(
        "web1", cells=[1], memory={"mode": "strict"}, state="running", restart=True, shutdown_timeout=1
    ),
}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("running", [False, True], ids=["shut off", "running"])
@pytest.mark.parametrize("kind", ["snapshot", "checkpoint"])
def test_they_stay_as_they_are(testdriver, kind, running, task):
    guest = Kept(testdriver, kind, running)
    try:
        before = guest.there()
        assert len(before) == 1
        assert TASKS[task](testdriver)["changed"]
        assert guest.there() == before
        assert not TASKS[task](testdriver)["changed"]
        testdriver.release("web1")
        assert guest.there() == before
    finally:
        guest.end()


def test_a_domain_that_cannot_be_undefined_for_its_snapshots_says_so(testdriver):
    """The second try, which keeps firmware variables, fails for another reason where a driver does not know them."""
    guest = Kept(testdriver, "snapshot", False)
    try:
        with Connection("test:///default") as connection, pytest.raises(LibvirtCallError, match="with 1 snapshots"):
            connection.domain("web1").undefine()
    finally:
        guest.end()


BASE, TOP, SECOND = "/images/web1.qcow2", "/images/web1.s1", "/images/web1.s2"
AFTER = {
    "told by the running guest": ((disk(TOP), disk(TOP, backing(BASE))), ()),
    "two deep": ((disk(SECOND), disk(SECOND, backing(TOP, backing(BASE)))), ()),
    "told by its definition": ((disk(TOP, backing(BASE)), None), ()),
    "told by the snapshot": ((disk(TOP), None), (snapshot(TOP),)),
}


@pytest.mark.parametrize("check", [False, True])
@pytest.mark.parametrize("case", AFTER)
def test_a_document_from_before_a_snapshot_is_refused(qemu, case, check):
    """Its disk is what now lies below the guest's: from there the guest would run without all that was written since,
    and write where others read."""
    (config, live), snapshots = AFTER[case]
    old = document(kind="qemu", more=disk(BASE))
    qemu.place(xml=old, cells=[1], state="defined" if live is None else "running")
    guest = qemu.guests["web1"]
    guest.config = guest.config.replace(_source_of(guest.config), config)
    if live is not None:
        guest.live = guest.live.replace(_source_of(guest.live), live)
    guest.snapshots = snapshots
    before = qemu.everything()
    with pytest.raises(InputError, match=r"^xml: disk vda of domain 'web1' .* snapshot") as error:
        qemu.place(xml=old, cells=[1], check=check)
    assert BASE not in str(error.value)
    assert qemu.everything() == before
    # Without it, and with a document that knows of it, all is as ever.
    assert qemu.place("web1", cells=[2], state="defined", check=check)["changed"]
    qemu.place(xml=document(kind="qemu", more=config), cells=[1], state="defined", check=check)


def _source_of(text):
    start, end = text.index("<disk"), text.index("</disk>") + len("</disk>")
    return text[start:end]


@pytest.mark.parametrize("more", [disk(TOP), disk("/images/other.qcow2"), disk(BASE, target="vdb"), ""])
def test_another_image_is_nobodys_business(qemu, more):
    """One that the guest never had, the one of its own snapshot, a disk that is new or gone."""
    qemu.place(xml=document(kind="qemu", more=disk(BASE)), state="defined")
    qemu.guests["web1"].snapshots = (snapshot(TOP), snapshot(BASE, "vdc"))
    assert qemu.place(xml=document(kind="qemu", more=more), state="defined")["changed"]


def test_the_same_of_libvirt_itself(testdriver):
    """An external snapshot of the test driver, told to it as virsh tells one to another host."""
    old = document(more=disk(BASE))
    testdriver.place(xml=old, cells=[1], state="defined")
    domain = testdriver.domain()
    meant = testdriver.definition()
    native = testdriver.native.defineXML(meant.replace(BASE, TOP))
    text = snapshot(TOP).replace("<disk name='vdb' snapshot='no'/>", "").replace(
        "</name>", f"</name><state>shutoff</state><creationTime>1</creationTime><memory snapshot='no'/>{meant}"
    )  # fmt: skip
    native.snapshotCreateXML(text, libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE)
    try:
        before = testdriver.everything()
        with pytest.raises(InputError, match="disk vda of domain 'web1' has another image since a snapshot"):
            testdriver.place(xml=old, cells=[1], state="defined")
        assert testdriver.everything() == before
        assert TOP in testdriver.definition()
    finally:
        for each in domain.listAllSnapshots():
            each.delete(0)
    # Who has deleted it means what the document says.
    assert testdriver.place(xml=old, cells=[1], state="defined")["changed"]
    assert BASE in testdriver.definition()
