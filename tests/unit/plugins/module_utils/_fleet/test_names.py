# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which hosts are meant, and when nobody can tell."""

from __future__ import annotations

import pytest

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError
from ansible_collections.numa.virt.plugins.module_utils._fleet.names import Play, hosts_meant, named_hosts

GROUPS = {"all": ["h1", "h2", "h3", "web1"], "hv": ["h1", "h2", "h3"], "empty": []}
ALL = ("h1", "h2", "h3")


def play(**more):
    return Play(**{"all_hosts": ALL, "hosts": ALL, "batch": ALL, "groups": GROUPS, **more})


def test_all_of_the_play():
    assert hosts_meant(play(all_hosts=("h3", "h1")), None) == ["h1", "h3"]
    assert hosts_meant(play(limit="all"), None) == list(ALL)
    # One that has failed is in the plan still: nobody knows what became of it.
    assert hosts_meant(play(hosts=ALL[:2], batch=ALL[:2]), None) == list(ALL)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"batch": ("h1",)}, "this play takes its hosts in batches (serial)"),
        ({"limit": "h1:h2"}, "this run is limited to some hosts (--limit)"),
    ],
)
def test_some_of_the_play(more, said):
    with pytest.raises(InputError) as told:
        hosts_meant(play(**more), None)
    assert str(told.value) == f"hosts: {said}; name the hosts that the plan is for"
    assert hosts_meant(play(**more), ["h*"]) == list(ALL)


def test_names_groups_and_patterns():
    assert hosts_meant(play(), ["hv", "h1"]) == list(ALL)
    assert hosts_meant(play(), ["web?"]) == ["web1"]
    assert hosts_meant(play(), []) == []
    # Only localhost is implied, and in no group.
    assert hosts_meant(play(all_hosts=("localhost",)), ["localhost", "h2"]) == ["h2", "localhost"]


@pytest.mark.parametrize("name", ["h9", "x*", "empty", ""])
def test_a_host_that_is_not_there(name):
    with pytest.raises(InputError, match=r"hosts: .*this inventory has no such host or group; give names, groups, or"):
        hosts_meant(play(), ["h1", name])


def test_of_these_hosts_only():
    assert named_hosts("drain", ["all"], ["h1", "h2"], GROUPS, "is none") == ["h1", "h2"]
    with pytest.raises(InputError, match="drain: 'web1': is none"):
        named_hosts("drain", ["web1"], ["h1", "h2"], GROUPS, "is none")
