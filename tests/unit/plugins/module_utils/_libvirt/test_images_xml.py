# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

pytest.importorskip("lxml.etree", reason="needs lxml to read documents")

from ansible_collections.numa.virt.plugins.module_utils._elements.xml import parse
from ansible_collections.numa.virt.plugins.module_utils._libvirt.images_xml import images, replaced_by_snapshot

CHAIN = """<source file='/top'/><backingStore type='file'><format type='qcow2'/><source file='/middle'/>
  <backingStore type='network'><source protocol='rbd' name='pool/base'><host name='a'/></source><backingStore/>
  </backingStore></backingStore>"""


def domain(*disks):
    parts = "".join(f"<disk>{inside}</disk>" for inside in disks)
    return parse(f"<domain><devices>{parts}</devices></domain>")


def vda(image):
    return f"<source file='{image}'/><target dev='vda'/>"


def snapshot(*disks):
    return f"<domainsnapshot><disks>{''.join(disks)}</disks></domainsnapshot>"


@pytest.mark.parametrize(
    ("source", "chain"),
    [
        ("<source file='/a'/>", [(("file", "/a"),)]),
        ("<source dev='/dev/a' index='1'/>", [(("dev", "/dev/a"),)]),
        ("<source pool='default' volume='a'/>", [(("pool", "default"), ("volume", "a"))]),
        (CHAIN, [(("file", "/top"),), (("file", "/middle"),), (("protocol", "rbd"), ("name", "pool/base"))]),
    ],
)
def test_images(source, chain):
    assert images(domain(f"{source}<target dev='vda'/>")) == {"vda": tuple(chain)}


def test_disks_without_an_image_or_a_target():
    assert images(domain("<target dev='sda'/>", "<source/><target dev='sdb'/>", "<source file='/a'/>")) == {}


@pytest.mark.parametrize(
    ("old", "config", "live", "snapshots", "found"),
    [
        ("/top", "/top", None, [snapshot("<disk name='vda' snapshot='external'><source file='/top'/></disk>")], None),
        ("/base", "/top", None, [], None),
        ("/base", "/top", None, [snapshot("<disk name='vda' snapshot='external'><source file='/top'/></disk>")], "vda"),
        ("/base", "/top", None, [snapshot("<disk name='vda' snapshot='internal'><source file='/top'/></disk>")], None),
        ("/base", "/top", None, [snapshot("<disk name='vdb' snapshot='external'><source file='/top'/></disk>")], None),
        ("/base", "/top", None, [snapshot("<disk name='vda' snapshot='external'><source file='/old'/></disk>")], None),
        ("/base", "/top", None, ["no document", snapshot("<disk name='vda' snapshot='external'/>")], None),
        ("/base", "/top", "/top", [], None),
        ("/middle", "/top", CHAIN, [], "vda"),
        ("/top", "/other", CHAIN, [], None),
    ],
)
def test_what_a_snapshot_has_replaced(old, config, live, snapshots, found):
    running = None
    if live is not None:
        running = domain(vda(live) if live.startswith("/") else f"{live}<target dev='vda'/>")
    assert replaced_by_snapshot(domain(vda(old)), domain(vda(config)), running, iter(snapshots)) == found


def test_snapshots_are_looked_at_only_where_images_differ():
    same = domain(vda("/a"))
    assert replaced_by_snapshot(same, same, None, iter(lambda: pytest.fail("looked at"), 0)) is None
