# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Elements that name parts of the host by number, and stay as they are."""

from __future__ import annotations

import pytest

from ansible_collections.numa.virt.plugins.module_utils._elements.kept import read_kept
from ansible_collections.numa.virt.plugins.module_utils._elements.xml import parse


def kept(inside):
    root = parse(f"<domain><name>a</name><cputune>{inside}</cputune></domain>")
    return [(each.kind, str(each.vcpus), each.level, each.id, each.element) for each in read_kept(root)]


def test_what_is_read():
    found = kept("""
        <vcpupin vcpu='0' cpuset='2'/>
        <cachetune vcpus='0-1'>
          <cache id='0' level='3' type='both' size='8' unit='MiB'/>
          <cache id='1' level='2' type='code' size='1' unit='MiB'/>
          <monitor level='3' vcpus='0'/>
        </cachetune>
        <memorytune vcpus='2'>
          <!-- a comment -->
          <node id='1' bandwidth='60'/>
        </memorytune>
        <cachetune vcpus='3'><monitor level='3' vcpus='3'/></cachetune>
    """)
    assert found == [
        ("cache", "0-1", 3, 0, "cputune/cachetune[@vcpus='0-1']/cache[@id='0']"),
        ("cache", "0-1", 2, 1, "cputune/cachetune[@vcpus='0-1']/cache[@id='1']"),
        ("bandwidth", "2", 0, 1, "cputune/memorytune[@vcpus='2']/node[@id='1']"),
    ]


@pytest.mark.parametrize(
    "inside",
    [
        "",
        "<cachetune><cache id='0' level='3'/></cachetune>",
        "<cachetune vcpus='x'><cache id='0' level='3'/></cachetune>",
        "<cachetune vcpus='99999999'><cache id='0' level='3'/></cachetune>",
        "<cachetune vcpus='0'><cache level='3'/><cache id='0'/><cache id='-1' level='3'/></cachetune>",
        "<memorytune vcpus='0'><node bandwidth='60'/></memorytune>",
        "<memorytune vcpus=''><node id='0' bandwidth='60'/></memorytune>",
    ],
)
def test_what_libvirt_would_not_take_is_passed_over(inside):
    assert kept(inside) == []


def test_a_domain_without_any():
    assert read_kept(parse("<domain><name>a</name></domain>")) == ()
