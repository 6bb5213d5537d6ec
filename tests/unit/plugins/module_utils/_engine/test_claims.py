# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is claimed of a host is given to nobody else, and a host that was taken out gets no new guest: on stand-ins of
4 cells x 2 CPUs, where each run reads what the last one left in files."""

from __future__ import annotations

import errno
import os
from dataclasses import replace

import pytest
from lxml import etree

from ansible_collections.numa.virt.plugins.module_utils._engine.claim import ClaimedError, memory_of, pages_of
from ansible_collections.numa.virt.plugins.module_utils._engine.claims import HostStateError
from ansible_collections.numa.virt.plugins.module_utils._errors import DoesNotFitError, InputError
from ansible_collections.numa.virt.plugins.module_utils._node import claims as node_claims
from ansible_collections.numa.virt.plugins.module_utils._node import files
from ansible_collections.numa.virt.plugins.module_utils._node.claims import NoClaimsError
from ansible_collections.numa.virt.plugins.module_utils._values.daemon import Daemon
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._engine.hypervisor import document

UUID = "6695eb01-f6a4-8304-79aa-97f2502e193f"
OTHER = "e0bf40c3-6ad2-4fcb-9ed4-2c1a2d4b4a0d"
MIB = 1024


def guest(name, uuid=None, kind="kvm", **options):
    return {"xml": document(name, kind, uuid=f"<uuid>{uuid}</uuid>" if uuid else "", **options)}


def cpus(host, name):
    """The CPUs of a definition, by another parser than ours."""
    return etree.fromstring(host.definition(name)).find("vcpu").get("cpuset")


def uuids(host):
    return [each["uuid"] for each in host.cells()["claims"]]


def at(monkeypatch, **changes):
    """Let it be another moment."""
    now = replace(node_claims.this_moment(), **changes)
    monkeypatch.setattr(node_claims, "this_moment", lambda: now)
    return now


# --- plans honour claims ---------------------------------------------------------------------------------------------


def test_owned_cpus_are_given_to_nobody_else(qemu):
    qemu.claim(name="db1", uuid=UUID, cpus="0-1", owned=True)
    qemu.place_all(guest("a", vcpus=2), policy="dedicated")
    qemu.place_all(guest("b", vcpus=2), policy="pack")
    assert (cpus(qemu, "a"), cpus(qemu, "b")) == ("2-3", "4-5")
    with pytest.raises(DoesNotFitError) as error:
        qemu.place_all({**guest("c", vcpus=2), "cells": [0]}, policy="dedicated")
    assert error.value.message.startswith("c: needs 2 CPUs")


def test_shared_cpus_that_are_claimed_are_nobody_s_own(qemu):
    qemu.claim(name="web1", uuid=UUID, cpus="0-1", vcpus=1)
    with pytest.raises(DoesNotFitError):
        qemu.place_all({**guest("a", vcpus=1), "cells": [0]}, policy="dedicated")
    qemu.place_all({**guest("b", vcpus=1), "cells": [0]}, policy="pack")
    with pytest.raises(DoesNotFitError):
        qemu.place_all({**guest("c", vcpus=1), "cells": [0]}, policy="pack")


def test_claimed_memory_is_given_to_nobody_else(qemu):
    qemu.claim(name="db1", uuid=UUID, cpus="0", memory=[(0, 400 * MIB)])
    with pytest.raises(DoesNotFitError) as error:
        qemu.place_all({**guest("a", vcpus=1, memory=64 * MIB), "cells": [0]})
    assert "memory" in error.value.fields["rejections"][0]["constraint"]
    qemu.claim(present=False, uuid=UUID)
    assert qemu.place_all({**guest("a", vcpus=1, memory=64 * MIB), "cells": [0]})["changed"]


@pytest.mark.parametrize("policy", ["dedicated", "pack", "spread"])
def test_to_its_guest_a_claim_is_its_place(qemu, policy):
    qemu.claim(name="db1", uuid=UUID, cpus="4-5", owned=policy == "dedicated", memory=[(2, 300 * MIB)])
    # Another guest first: cell 2 stays free.
    qemu.place_all(guest("a", vcpus=2), guest("b", vcpus=2), policy=policy)
    predicted = qemu.place_all(guest("db1", UUID, memory=64 * MIB), policy=policy, check=True)
    assert uuids(qemu) == [UUID]
    done = qemu.place_all(guest("db1", UUID, memory=64 * MIB), policy=policy)
    assert cpus(qemu, "db1") == "4-5"
    (placed,) = done["plan"]["placements"]
    assert (placed["action"], placed["cells"], done["moves"]) == ("place", [2], [])
    assert placed["reason"] == "it is claimed for it, by ops@deploy1"
    assert predicted["plan"] == done["plan"] and predicted["diff"] == done["diff"]
    # It is there: nobody has to claim for it any more.
    assert uuids(qemu) == []
    again = qemu.place_all(guest("db1", UUID, memory=64 * MIB), policy=policy)
    assert not again["changed"]


def test_a_guest_without_a_uuid_is_known_by_its_name(qemu):
    qemu.claim(name="db1", uuid=UUID, cpus="4-5", owned=True)
    qemu.place_all(guest("db1"), policy="dedicated")
    assert cpus(qemu, "db1") == "4-5"
    assert uuids(qemu) == []


def test_a_namesake_with_another_uuid_is_somebody_else(qemu):
    qemu.claim(name="db1", uuid=UUID, cpus="0-1", owned=True)
    qemu.place_all(guest("db1", OTHER), policy="dedicated")
    assert cpus(qemu, "db1") == "2-3"
    assert uuids(qemu) == [UUID]


def test_two_claims_of_one_name(qemu):
    qemu.claim(name="db1", uuid=UUID, cpus="0-1", owned=True)
    qemu.claim(name="db1", uuid=OTHER, cpus="2-3", owned=True)
    qemu.place_all(guest("a"), policy="dedicated")
    assert cpus(qemu, "a") == "4-5"
    with pytest.raises(InputError, match="is what several guests with claims are called"):
        qemu.claim(present=False, name="db1")


def test_a_claim_that_is_no_valid_place_holds_nobody_there(qemu):
    """It is planned anew, with what was claimed for it free for it."""
    qemu.claim(name="db1", uuid=UUID, cpus="0-1", owned=True)
    done = qemu.place_all({**guest("db1", UUID), "cells": [3]}, policy="dedicated")
    assert cpus(qemu, "db1") == "6-7"
    assert done["plan"]["placements"][0]["action"] == "place"
    assert uuids(qemu) == []


def test_one_that_needs_more_than_was_claimed_stays_only_where_that_fits(qemu):
    qemu.claim(name="db1", uuid=UUID, cpus="0-1", owned=True, memory=[(0, 64 * MIB)])
    qemu.claim(name="db2", uuid=OTHER, cpus="2", memory=[(0, 300 * MIB)])
    qemu.place_all(guest("db1", UUID, memory=200 * MIB), policy="dedicated")
    assert cpus(qemu, "db1") in ("4-5", "6-7")


def test_a_guest_with_a_claim_elsewhere_on_its_host_moves_there(qemu):
    qemu.place_all(guest("db1", UUID), policy="dedicated", state="defined")
    assert cpus(qemu, "db1") == "0-1"
    qemu.claim(name="db1", cpus="6-7", owned=True)
    # Not asked for, both count.
    qemu.place_all({**guest("a"), "cells": [1]}, policy="dedicated")
    with pytest.raises(DoesNotFitError):
        qemu.place_all({**guest("b"), "cells": [0, 3]}, policy="dedicated")
    done = qemu.place_all({"name": "db1"}, policy="dedicated", state="defined")
    assert (cpus(qemu, "db1"), done["moves"]) == ("6-7", ["db1"])
    assert uuids(qemu) == []
    assert qemu.place_all({**guest("b"), "cells": [0]}, policy="dedicated")["changed"]


def test_it_is_repinned_within_its_cell(qemu):
    qemu.place_all(guest("db1", UUID, vcpus=1), policy="dedicated", state="defined")
    qemu.claim(name="db1", cpus="1", owned=True)
    done = qemu.place_all({"name": "db1"}, policy="dedicated", state="defined")
    assert cpus(qemu, "db1") == "1"
    assert (done["plan"]["placements"][0]["action"], done["moves"]) == ("repin", [])


def test_the_claim_of_one_that_got_no_place_counts_for_the_others(qemu):
    """With partial: somebody is to have what is claimed for it."""
    qemu.claim(name="db1", uuid=UUID, cpus="0-1", owned=True)
    wide = {**guest("db1", UUID, vcpus=3), "cells": [0]}
    done = qemu.place_all(wide, {**guest("a"), "cells": [0]}, guest("b"), policy="dedicated", partial=True)
    assert sorted(each["name"] for each in done["rejections"]) == ["a", "db1"]
    assert cpus(qemu, "b") == "2-3"
    assert uuids(qemu) == [UUID]


def test_a_guest_that_cannot_use_its_claim_is_planned_anew(qemu):
    qemu.place_all(guest("db1", UUID), policy="dedicated", state="defined")
    qemu.claim(name="db1", cpus="6", owned=True)
    done = qemu.place_all({"name": "db1", "cells": [3]}, guest("a"), policy="dedicated", partial=True, state="defined")
    names = {each["name"]: each["cpuset"] for each in done["plan"]["placements"]}
    assert names == {"a": "0-1", "db1": "6-7"}


def test_rebalance_leaves_claims_alone(qemu):
    qemu.claim(name="db1", uuid=UUID, cpus="2-3", owned=True)
    qemu.place_all(guest("a", vcpus=1), guest("b", vcpus=1), policy="spread")
    qemu.place_all(select="all", policy="pack", rebalance=True)
    assert not {cpus(qemu, "a"), cpus(qemu, "b")} & {"2-3", "2", "3"}
    assert uuids(qemu) == [UUID]


def test_threads_of_a_core_are_next_to_each_other_and_the_emulator_has_its_own(qemu):
    qemu.claim(name="db1", uuid=UUID, cpus="2-4", owned=True)
    with pytest.raises(DoesNotFitError):  # what is claimed is on two cells, and one vCPU less would fit one
        qemu.place_all({**guest("x", vcpus=3), "cells": [1, 2]}, policy="dedicated")
    qemu.place_all({**guest("db1", UUID, vcpus=1), "emulator": "isolate"}, policy="dedicated")
    assert cpus(qemu, "db1") == "2"


# --- stale ones ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", ["over", "reboot"])
def test_a_stale_claim_counts_for_nobody_and_the_next_writer_takes_it_away(qemu, monkeypatch, change):
    qemu.claim(name="db1", uuid=UUID, cpus="0-1", owned=True, lifetime=60)
    now = node_claims.this_moment()
    at(monkeypatch, **({"seconds": now.seconds + 61} if change == "over" else {"boot": "another", "seconds": 3}))
    assert uuids(qemu) == []
    folder = node_claims.place_of(qemu.daemon).directory
    files_before = [name for _path, _dirs, names in os.walk(folder) for name in names if name.startswith(UUID)]
    qemu.place_all(guest("a"), policy="dedicated", check=True)
    assert files_before == [f"{UUID}.json"]
    qemu.place_all(guest("a"), policy="dedicated")
    assert cpus(qemu, "a") == "0-1"
    assert not [name for _path, _dirs, names in os.walk(folder) for name in names if name.startswith(UUID)]


@pytest.mark.parametrize("wall", [0, 1 << 33])
def test_a_clock_that_is_set_ends_nothing(qemu, monkeypatch, wall):
    qemu.claim(name="db1", uuid=UUID, cpus="0-1", owned=True)
    at(monkeypatch, wall=wall)
    qemu.place_all(guest("a"), policy="dedicated")
    assert cpus(qemu, "a") == "2-3"
    assert uuids(qemu) == [UUID]


def test_a_claim_whose_guest_somebody_else_has_put_there(qemu):
    qemu.claim(name="db1", uuid=UUID, cpus="0-1", owned=True, memory=[(0, 64 * MIB)])
    qemu.place(xml=guest("db1", UUID)["xml"], cells=[0], state="defined")
    assert uuids(qemu) == [UUID]
    qemu.place_all({**guest("a", vcpus=1), "cells": [1]})
    assert uuids(qemu) == []


def test_one_who_may_not_write_leaves_them(qemu, monkeypatch):
    qemu.claim(name="db1", uuid=UUID, cpus="0-1", owned=True)
    monkeypatch.setattr(node_claims, "writable", lambda _daemon: False)
    qemu.place_all(guest("db1", UUID), policy="dedicated")
    assert uuids(qemu) == [UUID]
    # It is where it was claimed for: that counts once.
    assert qemu.place_all({**guest("a"), "cells": [1]}, policy="dedicated")["changed"]


def test_a_claim_that_cannot_be_taken_away_is_a_warning(qemu, monkeypatch):
    qemu.claim(name="db1", uuid=UUID, cpus="0-1", owned=True)
    unlink = os.unlink

    def refuse(path, **options):
        if UUID in str(path):
            raise OSError(errno.EROFS, "Read-only file system")
        return unlink(path, **options)

    monkeypatch.setattr(os, "unlink", refuse)
    done = qemu.place_all(guest("db1", UUID), policy="dedicated")
    assert done["changed"] and any("cannot be written: Read-only file system" in each for each in done["warnings"])


# --- junk ------------------------------------------------------------------------------------------------------------


def test_junk_is_named_by_every_module_and_believed_by_none(qemu):
    qemu.claim(name="db1", uuid=UUID, cpus="0-1", owned=True)
    qemu.say("draining")
    folder = os.path.join(node_claims.place_of(qemu.daemon).directory)
    (claim,) = [os.path.join(where, name) for where, _dirs, names in os.walk(folder) for name in names if UUID in name]
    with open(claim, "w", encoding="utf-8") as file:
        file.write('{"cpus": "0-7"}')
    directory, name = node_claims._state_in(node_claims.place_of(qemu.daemon))
    with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
        file.write("out")
    done = qemu.place_all(guest("a"), policy="dedicated")
    assert cpus(qemu, "a") == "0-1"
    for result in (done, qemu.cells(), qemu.findings()):
        assert [each for each in result["warnings"] if each.startswith(f"{claim} is no claim: ")]
        assert [each for each in result["warnings"] if " is no state of this host: " in each]
    assert (qemu.cells()["claims"], qemu.cells()["host_state"]["state"]) == ([], "in")
    said = qemu.say("in")
    assert said["changed"] and qemu.cells()["warnings"] != said["warnings"]


def test_what_may_not_be_read_stops_a_plan_and_is_a_warning_elsewhere(qemu, monkeypatch):
    qemu.claim(name="db1", uuid=UUID, cpus="0-1", owned=True)

    def refuse(*_args, **_options):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(files, "read_owned", refuse)
    before = qemu.everything()
    with pytest.raises(NoClaimsError, match="cannot be read: Permission denied"):
        qemu.place_all(guest("a"), policy="dedicated")
    assert qemu.everything() == before
    told = qemu.cells()
    assert (told["claims"], told["host_state"]) == (None, None)
    assert "cannot be read" in told["warnings"][0]


def test_a_host_that_is_reached_by_its_name(far_qemu):
    far_qemu.daemon = Daemon("qemu", "elsewhere")
    done = far_qemu.place_all(guest("a"), policy="dedicated")
    assert "elsewhere is reached by its name: its claims, and its state, are kept on it" in done["warnings"][-1]
    assert far_qemu.cells()["claims"] is None
    for task in (lambda: far_qemu.claim(name="a", uuid=UUID, cpus="0"), lambda: far_qemu.say("out")):
        with pytest.raises(NoClaimsError, match="there are no claims and no state of a host here: elsewhere"):
            task()


def test_a_driver_inside_of_the_process(testdriver):
    assert testdriver.cells()["claims"] is None and testdriver.cells()["warnings"] == []
    with pytest.raises(NoClaimsError, match="lives and ends with this process"):
        testdriver.claim(name="a", uuid=UUID, cpus="0")


# --- never twice -----------------------------------------------------------------------------------------------------


def test_of_many_that_claim_the_same_at_once_one_gets_it(qemu):
    """Each in a process of its own, with the host's lock and the files for their only word to each other."""
    children = []
    for number in range(6):
        pid = os.fork()
        if pid == 0:
            code = 2
            try:
                uuid = UUID[:-1] + str(number)
                qemu.claim(name=f"db{number}", uuid=uuid, cpus="2-3", owned=True, made_by=f"c{number}")
                code = 0
            except DoesNotFitError:
                code = 1
            finally:
                os._exit(code)
        children.append(pid)
    codes = sorted(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children)
    assert codes == [0, 1, 1, 1, 1, 1]
    assert len(uuids(qemu)) == 1


# --- numa_claim ------------------------------------------------------------------------------------------------------


def test_a_claim_is_made_kept_and_given_back(qemu):
    options = {"name": "db1", "uuid": UUID, "cpus": "0-1", "owned": True, "memory": [(0, 1024)], "pages": []}
    predicted = qemu.claim(**options, check_mode=True)
    assert predicted["changed"] and uuids(qemu) == []
    done = qemu.claim(**options)
    assert done["changed"] and done["diff"] == predicted["diff"]
    assert done["diff"]["after"] == (
        f"db1 ({UUID}), claimed by ops@deploy1\ncells 0, CPUs 0-1 of its own\ncell 0: 1024 KiB\n"
    )
    assert qemu.cells()["claims"] == [done["claim"]] == qemu.findings()["claims"]
    again = qemu.claim(**options)
    assert not again["changed"] and again["claim"] == done["claim"]
    assert qemu.claim(present=False, uuid=UUID, check_mode=True)["changed"]
    assert uuids(qemu) == [UUID]
    gone = qemu.claim(present=False, name="db1")
    assert (gone["changed"], gone["claim"], gone["diff"]) == (
        True,
        None,
        {"before": done["diff"]["after"], "after": ""},
    )
    assert not qemu.claim(present=False, name="db1")["changed"]


def test_it_is_made_anew_when_half_of_its_time_is_over(qemu, monkeypatch):
    options = {"name": "db1", "uuid": UUID, "cpus": "0-1", "lifetime": 1000}
    qemu.claim(**options)
    now = at(monkeypatch, seconds=node_claims.this_moment().seconds + 499)
    assert not qemu.claim(**options)["changed"]
    at(monkeypatch, seconds=now.seconds + 2)
    assert qemu.claim(**options)["changed"]
    # Another place is another claim of the same guest.
    assert qemu.claim(**{**options, "cpus": "2-3"})["changed"]
    assert [each["cpuset"] for each in qemu.cells()["claims"]] == ["2-3"]


def test_somebody_else_s_is_not_replaced(qemu):
    qemu.claim(name="db1", uuid=UUID, cpus="0-1")
    with pytest.raises(ClaimedError) as error:
        qemu.claim(name="db1", uuid=UUID, cpus="0-1", made_by="me@laptop")
    assert error.value.message.startswith("db1 has a claim on this host already, by ops@deploy1, until ")
    assert error.value.fields["claim"]["uuid"] == UUID
    assert qemu.claim(present=False, uuid=UUID, made_by="me@laptop")["changed"]


def test_for_a_guest_that_is_there_already_no_claim_is_needed(qemu):
    qemu.place_all(guest("db1", UUID), policy="dedicated", state="defined")
    done = qemu.claim(name="db1", cpus="0-1", owned=True)
    assert (done["changed"], done["claim"]) == (False, None)
    assert done["warnings"] == ["db1 is there already, where it was to be claimed for: no claim is needed"]
    assert qemu.claim(uuid=UUID, cpus="2-3", owned=True)["claim"]["name"] == "db1"
    # A change of mind, while its claim is for another place.
    assert qemu.claim(uuid=UUID, cpus="0-1", owned=True)["changed"]
    assert uuids(qemu) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"cpus": "0-1", "owned": True}, "db1: CPUs 0-1 belong to a"),
        ({"cpus": "1-2"}, "db1: CPUs 1 belong to a"),
        ({"cpus": "2", "owned": True}, "db1: CPUs 2 are used by guests that share them"),
        ({"cpus": "2-3", "vcpus": 2}, "db1: claims 2 CPUs of cell 1, and 1 are left there"),
        ({"cpus": "4", "memory": [(2, 1 << 30)]}, "db1: claims 1.07374e+09 KiB of cell 2, and "),
        ({"cpus": "6", "owned": True}, "db1: CPUs 6 belong to the claim for db2"),
    ],
)
def test_what_others_have_cannot_be_claimed(qemu, options, said):
    qemu.place_all(guest("a"), policy="dedicated", state="defined")
    qemu.place_all({**guest("b", vcpus=1), "cells": [1]}, policy="pack", state="defined")
    qemu.claim(name="db2", uuid=OTHER, cpus="6-7", owned=True)
    with pytest.raises(DoesNotFitError) as error:
        qemu.claim(name="db1", uuid=UUID, **options)
    assert error.value.message.startswith(said)
    assert error.value.fields["rejections"][0]["name"] == "db1"
    assert uuids(qemu) == [OTHER]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"uuid": "x"}, "uuid: 'x': is no UUID"),
        ({"uuid": None}, "uuid: is needed: no domain 'db1' is on this host; give its UUID"),
        ({"name": None}, f"name: is needed: no domain of this host has the UUID {UUID}; give its name"),
        ({"name": "x" * 2000}, "is no name of a domain"),
        ({"name": "a"}, "is a domain of this host with the UUID"),
        ({"cpus": None}, "cpuset: names no CPU; give cpuset, or cells that have CPUs"),
        ({"cpus": "7-8"}, "cpuset: '7-8': CPUs 8 are offline or do not exist; they are 0-7"),
        ({"cpus": None, "cells": "9"}, "cells: '9': the host has no cell 9; its cells are 0-3"),
        ({"memory": [(9, 5)]}, "cells: '0,9': the host has no cell 9; its cells are 0-3"),
        ({"pages": [(0, 7, 5)]}, "huge_pages: 7: cell 0 has no pages of 7 KiB; there are: "),
        ({"vcpus": 0}, "vcpus: 0: do not fit 2 CPUs"),
        ({"vcpus": 3, "owned": True}, "vcpus: 3: do not fit 2 CPUs of their own"),
        ({"lifetime": 0}, "lifetime: 0: is no time for a claim; give 1 to 604800 s"),
        ({"lifetime": 1 << 40}, "is no time for a claim"),
        ({"made_by": "a\nb"}, "is no name; give up to 200 printable characters"),
        ({"made_by": "a" * 201}, "is no name"),
        ({"cpu_ratio": 0.0}, "cpu_ratio: 0.0: is not a ratio"),
    ],
)
def test_bad_input_is_refused(qemu, options, said):
    qemu.place_all({**guest("a"), "cells": [3]}, policy="dedicated", state="defined")
    with pytest.raises(InputError) as error:
        qemu.claim(**{"name": "db1", "uuid": UUID, "cpus": "0-1", **options})
    assert said in error.value.message
    assert uuids(qemu) == []


def test_a_uuid_and_a_name_of_two_guests(qemu):
    qemu.place_all({**guest("a", UUID), "cells": [3]}, policy="dedicated", state="defined")
    with pytest.raises(InputError, match="is that of domain 'a' on this host"):
        qemu.claim(name="db1", uuid=UUID, cpus="0")


def test_options_of_memory():
    assert memory_of({"0-1": "1MiB", 3: 0}) == [(0, 1024), (1, 1024)]
    assert memory_of(None) == [] and pages_of(None) == []
    assert pages_of([{"cell": 1, "page_size": "2MiB", "memory": "4MiB"}]) == [(1, 2048, 4096)]
    with pytest.raises(InputError, match="cell 1 is given twice"):
        memory_of({"0-1": "1MiB", "1": 5})
    with pytest.raises(InputError, match="pages of 2048 KiB of cell 1 are given twice"):
        pages_of([{"cell": 1, "page_size": size, "memory": "4MiB"} for size in ("2MiB", "2048")])


# --- the state of a host ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["draining", "out"])
def test_a_host_that_was_taken_out_gets_no_new_guest(qemu, state):
    qemu.place_all(guest("old"), policy="pack", cpu_ratio=4)
    qemu.say(state, why="a fan")
    before = qemu.everything()
    for check in (True, False):
        with pytest.raises(HostStateError) as error:
            qemu.place_all(guest("new"), {"name": "old"}, check=check)
        assert error.value.message.startswith(f"this host is {state}, says ops@deploy1 since ")
        assert ": a fan; it gets no new guests, such as new; nothing was touched" in error.value.message
        assert (
            error.value.as_result()["error"].items()
            >= {"code": "host_state", "state": state, "who": "ops@deploy1"}.items()
        )
    with pytest.raises(HostStateError):
        qemu.claim(name="db1", uuid=UUID, cpus="6")
    assert qemu.everything() == before
    assert qemu.claim(name="db1", uuid=UUID, cpus="6", ignores_state=True)["changed"]
    assert qemu.place_all(guest("new"), cpu_ratio=4, ignores_state=True)["changed"]
    qemu.say("in")
    assert qemu.place_all(guest("newer"), cpu_ratio=4)["changed"]


def test_its_guests_are_left_alone_and_may_move_inside_of_it(qemu):
    qemu.place_all(guest("a", vcpus=1), guest("b", vcpus=1), policy="spread")
    qemu.say("draining")
    done = qemu.place_all(select="all", policy="pack", rebalance=True)
    assert done["changed"] and cpus(qemu, "a") == cpus(qemu, "b")
    done = qemu.place_all(guest("new"), {"name": "a"}, partial=True)
    (rejection,) = done["rejections"]
    assert (rejection["name"], rejection["constraint"]) == ("new", "host_state")
    assert rejection["message"].startswith("new: this host is draining, says ops@deploy1")
    assert any(each.startswith("not placed: new: this host is draining") for each in done["warnings"])
    assert "new" not in qemu.guests


def test_a_claim_from_before_stays(qemu):
    options = {"name": "db1", "uuid": UUID, "cpus": "6"}
    qemu.claim(**options)
    qemu.say("draining")
    assert not qemu.claim(**options)["changed"]
    with pytest.raises(HostStateError):
        qemu.claim(**{**options, "cpus": "7"})
    assert qemu.claim(present=False, uuid=UUID)["changed"]


def test_a_state_is_kept_with_who_said_it_first(qemu):
    assert not qemu.say("in")["changed"]
    predicted = qemu.say("draining", why="a fan", check_mode=True)
    assert predicted["changed"] and predicted["host_state"]["since"] is None
    assert qemu.cells()["host_state"] == {"state": "in", "who": None, "reason": None, "since": None}
    done = qemu.say("draining", why="a fan")
    assert done["diff"] == predicted["diff"] == {"before": "in\n", "after": "draining, says ops@deploy1: a fan\n"}
    assert qemu.cells()["host_state"] == done["host_state"] == qemu.findings()["host_state"]
    for options in ({}, {"why": "a fan"}, {"who": "me@laptop"}):
        assert not qemu.say("draining", **options)["changed"]
    assert qemu.say("draining", why="two fans", who="me@laptop")["host_state"]["who"] == "me@laptop"
    assert qemu.say("in")["diff"]["after"] == "in, says ops@deploy1\n"
    assert not qemu.say("in")["changed"]


@pytest.mark.parametrize("options", [{"who": "a\nb"}, {"why": "x" * 201}])
def test_words_that_are_too_long(qemu, options):
    with pytest.raises(InputError, match="give up to 200 printable characters"):
        qemu.say("out", **options)


def test_a_guest_on_claimed_cpus_is_found(qemu):
    qemu.claim(name="db1", uuid=UUID, cpus="0-1", owned=True)
    qemu.place(xml=guest("a")["xml"], cells=[0], state="running")
    qemu.place(xml=guest("db1", UUID)["xml"], cells=[1], state="running")
    (found,) = [each for each in qemu.findings()["findings"] if each["code"] == "claimed_used"]
    assert (found["domain"], found["cpus"], found["cells"], found["severity"]) == ("a", "0-1", [0], "warning")
    assert found["message"].startswith("CPUs 0-1 are claimed for db1, by ops@deploy1 until ")
    qemu.place_all({"name": "a"}, policy="pack", state="defined", restart=True)
    assert not [each for each in qemu.findings()["findings"] if each["code"] == "claimed_used"]


def test_the_map_shows_both(qemu):
    from ansible_collections.numa.virt.plugins.module_utils._map.text import text_map

    qemu.claim(name="db1", uuid=UUID, cpus="0-1", owned=True)
    qemu.say("out", why="a fan")
    lines = "\n".join(text_map(qemu.cells(), qemu.info()))
    assert "claimed for db1 0-1" in lines
    assert "note - out, takes no new guests, ops@deploy1" in lines
