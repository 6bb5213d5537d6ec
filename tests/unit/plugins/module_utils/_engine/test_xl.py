# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The engine on a host that has only xl: files rewritten in place, guests held to their cells, refusals by name."""

from __future__ import annotations

import json
import os

import pytest

from ansible_collections.numa.virt.plugins.module_utils._errors import (
    ConnectionFailedError,
    InputError,
    NumaVirtError,
    PlacementFailedError,
    RestartFailedError,
    UnsupportedError,
)
from ansible_collections.numa.virt.plugins.module_utils._module.connect import connect
from ansible_collections.numa.virt.plugins.module_utils._node import files
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._xl import connection as xl_connection
from ansible_collections.numa.virt.plugins.module_utils._xl.command import XlCallError, XlCommand, run_with
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._engine.hypervisor import document
from ansible_collections.numa.virt.tests.unit.plugins.module_utils._engine.xen import Running, XenHost, config

ON_2 = '# numa.virt: {"version": 1, "cells": "2"}\ncpus = ["4-5", "4-5"]\n'


@pytest.fixture
def host(tmp_path):
    return XenHost(tmp_path)


def test_a_guest_is_born_on_its_cell(host):
    host.file()
    before = host.everything()
    predicted = host.place("web1", cells=[2], check=True)
    assert host.everything() == before
    done = host.place("web1", cells=[2])
    assert (predicted["changes"], predicted["diff"]) == (done["changes"], done["diff"])
    assert host.log == ["create paused", "unpause"]
    assert host.text() == config() + ON_2
    assert done["driver"] == "xl"
    assert done["actual"]["vcpus"] == {"0": "4-5", "1": "4-5"}
    assert done["actual"]["memory"] == {"2": 65536}
    assert done["actual"]["source"] == "hypervisor"
    assert done["uuid"] == host.guests["web1"].uuid
    assert "xml" not in done
    assert "s3cret" not in json.dumps(done)
    assert "vncpasswd" in done["config"]
    again = host.place("web1", cells=[2])
    assert not again["changed"]
    assert host.calls <= 9


def test_one_string_for_all_vcpus_is_not_enough(host):
    # libxl would hold the vCPUs to it, and take the memory from where it likes.
    host.file(cpus='"nodes:2"')
    done = host.place("web1", cells=[2])
    assert 'cpus   = ["4-5", "4-5"] # where\n' in host.text()
    assert {"element": "cpus", "before": "one set for all vCPUs", "after": "a set for each vCPU"}.items() <= next(
        each for each in done["changes"] if each["element"] == "cpus"
    ).items()
    assert done["actual"]["memory"] == {"2": 65536}


def test_somebody_makes_it_one_string_again(host):
    host.file()
    host.place("web1", cells=[2], state="defined")
    host.file(text=host.text().replace('["4-5", "4-5"]', '"4-5"'))
    done = host.place("web1", cells=[2], state="defined")
    assert [each["element"] for each in done["changes"]] == ["cpus"]
    assert host.text() == config() + ON_2


def test_a_list_that_means_the_same_stays_as_it_is_written(host):
    host.file(cpus='["node:2", "4,5"]')
    host.place("web1", cells=[2])
    assert 'cpus   = ["node:2", "4,5"] # where\n' in host.text()
    assert host.guests["web1"].pages == {2: 16384, 3: 0}


def test_vcpus_that_differ_and_the_way_back(host):
    host.file()
    host.place("web1", cells=[2, 3], vcpu_pins={"1": "7"})
    assert 'cpus = ["4-7", "7"]\n' in host.text()
    assert not host.place("web1", cells=[2, 3], vcpu_pins={"1": "7"})["changed"]
    assert not host.place("web1")["changed"]
    host.place("web1", vcpu_pins={})
    assert 'cpus = ["4-7", "4-7"]\n' in host.text()
    assert host.guests["web1"].hard == {0: CpuSet.parse("4-7"), 1: CpuSet.parse("4-7")}


def test_owner_mode_and_link_of_the_file_stay(host, tmp_path):
    elsewhere = tmp_path / "guest"
    elsewhere.write_text(config())
    elsewhere.chmod(0o640)
    os.symlink(elsewhere, os.path.join(host.folder, "web1.cfg"))
    os.symlink("web1.cfg", os.path.join(host.folder, "also.cfg"))
    host.place("web1", cells=[1], state="defined")
    assert os.path.islink(os.path.join(host.folder, "web1.cfg"))
    assert elsewhere.stat().st_mode & 0o777 == 0o640
    assert "2-3" in elsewhere.read_text()
    assert [os.stat(os.path.join(host.backups, each)).st_mode & 0o777 for each in host.backup_files()] == [0o600]
    assert host.backup_files()[0].endswith(".cfg")


def test_bytes_that_are_no_text_stay(host, tmp_path):
    path = tmp_path / "xen" / "web1.cfg"
    path.write_bytes(b"# caf\xe9\n" + config().encode())
    host.place("web1", cells=[2], state="defined")
    assert path.read_bytes() == b"# caf\xe9\n" + (config() + ON_2).encode()
    host.place("web1", cells=[1], state="defined")
    assert len(host.backup_files()) == 2


def test_a_file_elsewhere(host, tmp_path):
    path = tmp_path / "my guest"
    path.write_text(config("web2"))
    host.config = str(path)
    done = host.place(cells=[1])
    assert done["name"] == "web2"
    assert "2-3" in path.read_text()
    assert not host.place("web2", cells=[1])["changed"]
    assert not host.pin(None, pins={"0": "2-3"}, apply="live")["changed"]
    with pytest.raises(InputError, match=r"name: 'web3': but config is the definition of domain 'web2'"):
        host.place("web3", cells=[1])


def test_memory_that_lies_elsewhere_is_not_accepted(host):
    host.file()
    before = host.everything()
    host.room[2] = 40
    with pytest.raises(PlacementFailedError) as error:
        host.place("web1", cells=[2])
    assert str(error.value) == (
        "domain 'web1' was not born on its cells: the guest's memory may use cell 3 (24576 KiB) instead of cells 2; "
        "cell 2 has 40960 KiB free; it was destroyed, the previous definition is back"
    )
    assert host.everything() == before
    assert host.log == ["create paused", "destroy"]
    # Whoever does not want it bound can say so.
    assert host.place("web1", cells=[2], memory={"mode": "none"})["changed"]


def test_memory_that_cannot_be_seen_is_not_judged(host):
    host.file()
    host.readable_log = False
    done = host.place("web1", cells=[2])
    assert done["actual"]["memory"] is None
    moved = host.place("web1", cells=[1])
    assert [each["element"] for each in moved["restart_reasons"]] == ["numatune/memory"]


def test_a_start_that_fails_leaves_the_file_as_it_was(host):
    host.file()
    before = host.everything()
    host.failures["create"] = (
        "libxl: notice: x\nlibxl: error: libxl_create.c:1:f: Domain 4:bad s3cret here.\nlibxl: error: x.c:2:g: later\n"
    )
    with pytest.raises(PlacementFailedError) as error:
        host.place("web1", cells=[2])
    assert str(error.value) == (
        "domain 'web1' did not start: bad ******** here; cell 2 has 921600 KiB free; the previous definition is back"
    )
    assert host.everything() == before


def test_a_run_that_is_interrupted_puts_the_file_back(host):
    host.file()
    before = host.everything()

    def interrupt(command):
        if command == "create":
            raise KeyboardInterrupt

    host.after = interrupt
    with pytest.raises(KeyboardInterrupt):
        host.place("web1", cells=[2])
    assert host.everything() == before


def test_a_running_guest_moves_and_its_memory_does_not(host):
    host.file()
    host.place("web1", cells=[2])
    host.log.clear()
    predicted = host.place("web1", cells=[1], check=True)
    done = host.place("web1", cells=[1])
    assert (predicted["changes"], predicted["restart_reasons"]) == (done["changes"], done["restart_reasons"])
    assert host.log == ["vcpu-pin 0 2-3", "vcpu-pin 1 2-3"]
    assert done["restart_reasons"] == [
        {
            "element": "numatune/memory",
            "reason": "65536 KiB of the running guest's memory lie on cell 2; "
            "Xen does not move a guest's memory while it runs",
        }
    ]
    again = host.place("web1", cells=[1])
    assert not again["changed"]
    assert again["restart_required"]
    restarted = host.place("web1", cells=[1], restart=True, shutdown_timeout=5)
    assert restarted["changed"]
    assert not restarted["restart_required"]
    assert host.guests["web1"].pages[1] == 16384


def test_a_deaf_guest_is_not_destroyed(host):
    host.file()
    host.place("web1", cells=[2])
    host.obeys_shutdown = False
    with pytest.raises(RestartFailedError, match="did not shut down within 0 s"):
        host.place("web1", cells=[1], restart=True)
    assert "web1" in host.guests


def test_pins(host):
    host.file()
    host.place("web1", cells=[2, 3])
    host.guests["web1"].soft[0] = CpuSet([1])
    host.log.clear()
    assert host.pin(pins={"0": "6"})["changed"]
    assert host.log == ["vcpu-pin 0 6"]
    assert 'cpus = ["6", "4-7"]' in host.text()
    assert not host.pin(pins={"0": "6"})["changed"]
    assert not host.place("web1", cells=[2, 3])["changed"]
    assert host.pin(pins="0", state="absent")["changed"]
    assert 'cpus = ["4-7", "4-7"]' in host.text()
    assert host.guests["web1"].soft[0] == CpuSet([1])
    with pytest.raises(InputError, match=r"pins\[0\]: '1': CPU 1 is outside the domain's CPU set 4-7"):
        host.pin(pins={"0": "1"})
    host.pin(pins={"0": "4"}, apply="config")
    assert host.guests["web1"].hard[0] == CpuSet.parse("4-7")
    assert 'cpus = ["4", "4-7"]' in host.text()


def test_a_guest_without_a_file_is_placed_live(host):
    host.add(config("stray", memory=32))
    done = host.place("stray", cells=[3])
    assert host.log == ["vcpu-pin 0 6-7", "vcpu-pin 1 6-7"]
    assert not done["restart_required"]  # its memory lies there by luck
    assert os.listdir(host.folder) == []
    assert not host.place("stray", cells=[3])["changed"]
    with pytest.raises(InputError, match="is transient and has no configuration"):
        host.pin("stray", pins={"0": "6"}, apply="config")


def test_info(host):
    host.file()
    host.place("web1", cells=[2])
    host.file("off", cpus='["0", "1"]')
    host.add(config("stray"))
    host.file("bad", text="name = 'bad'\nvcpus = = 3\n")
    with host.connect() as connection:
        from ansible_collections.numa.virt.plugins.module_utils._engine.info import InfoRequest, domains_info

        result = domains_info(connection, InfoRequest())
    off, stray, web1 = result["domains"]
    assert (off["name"], off["state"], off["cpuset"], off["cells"]) == ("off", "shut off", "0-1", [0])
    assert (stray["persistent"], stray["configured"], stray["managed"]) == (False, None, False)
    assert (web1["state"], web1["cells"], web1["actual"]["memory"]) == ("running", [2], {"2": 65536})
    assert web1["intent"]["cells"] == [2]
    assert len(result["warnings"]) == 1
    assert "bad.cfg" in result["warnings"][0] and "line 2" in result["warnings"][0]


def test_cells(host):
    found = host.cells()
    assert (found["driver"], found["uri"], found["hypervisor_version"]) == ("xl", "xl", "4.17.7")
    assert found["libvirt_version"] is None
    assert found["cells"][2]["cpuset"] == "4-5"
    assert found["cells"][2]["memory"] == {"total": 1048576, "free": 921600}
    assert found["cpupools"] == [{"name": "Pool-0", "cpuset": "0-7"}]


def test_an_offline_cpu_is_in_no_pool(host):
    host.pools = {"Pool-0": CpuSet.parse("0-4,6-7")}
    assert host.cells()["offline_cpus"] == "5"
    host.file()
    with pytest.raises(InputError, match="cpuset: '4-5': CPU 5 is offline; online are 0-4,6-7"):
        host.place("web1", cpuset="4-5")
    host.place("web1", cells=[2])
    assert host.guests["web1"].hard[0] == CpuSet([4])


def test_a_guest_stays_in_its_cpupool(host):
    host.pools = {"Pool-0": CpuSet.parse("0-5"), "fast": CpuSet.parse("6-7")}
    host.file(more="pool = 'fast'\n")
    with pytest.raises(InputError) as error:
        host.place("web1", cells=[1])
    assert str(error.value) == "cells: '1': cell 1 has no CPUs in the guest's cpupool fast; cells with CPUs are 3"
    with pytest.raises(InputError, match="cpuset: '5-6': CPU 5 is not in the guest's cpupool fast; its CPUs are 6-7"):
        host.place("web1", cpuset="5-6")
    host.place("web1", cells=[3])
    assert host.guests["web1"].hard[0] == CpuSet.parse("6-7")
    host.file("web2")
    with pytest.raises(InputError, match="cell 3 has no CPUs in the guest's cpupool Pool-0"):
        host.place("web2", cells=[3])
    host.file("web3", more="pool = 'slow'\n")
    with pytest.raises(InputError, match="pool of the definition: 'slow': the host has no such cpupool"):
        host.place("web3", cells=[3])


def test_a_pool_bounds_what_an_unpinned_guest_may_use(host):
    host.pools = {"Pool-0": CpuSet.parse("0-5"), "fast": CpuSet.parse("6-7")}
    host.add(config("stray", more="pool = 'fast'\n"))
    assert host.info("stray")[0]["actual"]["vcpus"] == {"0": "6-7", "1": "6-7"}


def test_vnuma_that_puts_memory_elsewhere_is_refused(host):
    vnuma = 'vnuma = [["pnode=0", "size=64", "vcpus=0-1", "vdistances=10"]]\n'
    host.file(more=vnuma)
    with pytest.raises(InputError) as error:
        host.place("web1", cells=[2])
    assert "the definition's vnuma puts memory on cell 0" in str(error.value)
    assert host.place("web1", cells=[0], state="defined")["changed"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"emulator_cpuset": "1"}, "emulator_cpuset: the xl driver cannot do this: it has no emulator threads to pin"),
        ({"iothread_pins": {"1": "1"}}, "iothread_pins: the xl driver cannot do this: it has no IO threads to pin"),
        ({"memory": {"mode": "interleave"}}, "memory: the xl driver cannot do this: a guest's memory comes from"),
        ({"memory": {"cells": [1]}}, "memory: the xl driver cannot do this: a guest's memory comes from"),
    ],
)
def test_what_xl_cannot_do_is_said_by_name(host, options, message):
    host.file()
    before = host.everything()
    with pytest.raises(UnsupportedError) as error:
        host.place("web1", cells=[2], **options)
    assert str(error.value).startswith(message)
    assert host.everything() == before


def test_documents_of_libvirt_are_refused(host):
    with pytest.raises(UnsupportedError, match="xml: the xl driver cannot do this: it takes files of its own"):
        host.place(xml="<domain/>", cells=[2])


@pytest.mark.parametrize("name", ["../../etc/passwd", "x; reboot", "$(reboot)", "-p", "*", "no\nsuch"])
def test_names_are_only_ever_compared(host, name):
    host.file()
    before = host.everything()
    with pytest.raises(NumaVirtError, match="there is no such domain on this host"):
        host.place(name, cells=[2])
    with pytest.raises(NumaVirtError, match="there is no such domain on this host"):
        host.pin(name, pins={"0": "1"})
    assert host.everything() == before


@pytest.mark.parametrize("name", ["../x", "a b; c", "--help", "7"])
def test_strange_names_are_names(host, name):
    host.file("strange", text=config(name))
    assert host.place(name, cells=[1])["changed"]
    assert not host.place(name, cells=[1])["changed"]
    assert host.place(name, cells=[0])["changed"]


def test_two_files_with_one_name(host):
    host.file()
    host.file("copy", text=config("web1"))
    with pytest.raises(InputError, match=r"name: 'web1': is the name in .*copy.cfg and .*web1.cfg; give config"):
        host.place("web1", cells=[1])


def test_a_file_that_cannot_be_read(host, monkeypatch):
    host.file(text="name = 'web1'\nvcpus = 2 3\n")
    with pytest.raises(InputError, match=r"web1.cfg: line 2: "):
        host.place("web1", cells=[1])
    monkeypatch.setattr(files, "read_text", _denied)
    with pytest.raises(InputError, match=r"config: .*web1.cfg.*: cannot be read: Permission denied; run as root"):
        host.place("web1", cells=[1])


def test_a_file_that_would_never_end_is_passed_over(host):
    host.file()
    os.mkfifo(os.path.join(host.folder, "fifo.cfg"))
    assert host.place("web1", cells=[1])["changed"]


def test_a_file_of_others_that_cannot_be_read_is_passed_over(host):
    host.file("other", text="name = 'other'\nvcpus = 2 3\n")
    host.file()
    assert host.place("web1", cells=[1])["changed"]
    with pytest.raises(NumaVirtError, match="name: 'web2': there is no such domain on this host"):
        host.place("web2", cells=[1])
    with pytest.raises(InputError, match=r"other.cfg: line 2: "):
        host.place("other", cells=[1])


def test_a_file_that_cannot_be_written(host, monkeypatch):
    host.file()
    monkeypatch.setattr(files, "replace_file", _denied)
    with pytest.raises(InputError, match=r"config: .*web1.cfg.*: cannot be written: Permission denied; run as"):
        host.place("web1", cells=[1])
    assert host.log == []


def _denied(*_arguments, **_options):
    raise PermissionError(13, "Permission denied")


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("web1.cfg", "is not an absolute path"),
        ("/nonexistent/x.cfg", "there is no such file"),
        ("/", "there is no such"),
    ],
)
def test_paths_that_are_no_configuration(host, path, problem):
    host.config = path
    with pytest.raises(InputError, match=f"config: '{path}': {problem}"):
        host.place("web1", cells=[1])


def test_no_xen_here(host, monkeypatch):
    host.failures["info"] = "ERROR:  Can't find hypervisor information in sysfs!\n"
    with pytest.raises(ConnectionFailedError) as error:
        host.place("web1", cells=[1])
    assert str(error.value) == (
        "uri: xl: xl does not reach Xen: ERROR: Can't find hypervisor information in sysfs; "
        "does this machine run Xen, and is the user root?"
    )
    monkeypatch.setattr("shutil.which", lambda *_arguments, **_options: None)
    with pytest.raises(ConnectionFailedError, match="uri: xl: this machine has no xl"):
        connect("xl", None, host.run)


def test_config_is_not_for_libvirt():
    with pytest.raises(InputError, match=r"config: '/etc/xen/x.cfg': is for uri=xl: libvirt keeps the definitions"):
        connect("test:///default", "/etc/xen/x.cfg", None)


def test_a_call_that_fails_is_one_line():
    command = XlCommand("xl", lambda _arguments: (1, "", ""))
    with pytest.raises(XlCallError, match="cannot look: it ended with status 1"):
        command("look", "list")

    def cannot(_arguments):
        raise FileNotFoundError(2, "No such file or directory")

    missing = XlCommand("/nonexistent/xl", cannot)
    with pytest.raises(XlCallError, match="cannot look: No such file or directory"):
        missing("look", "list")


def test_words_that_xl_has_not(host):
    host.file()
    with host.connect() as connection:
        domain = connection.domain("web1")
        for call in (
            domain.live_xml,
            domain.undefine,
            domain.saved_xml,
            domain.save,
            lambda: domain.define_saved(""),
            lambda: domain.pin_emulator(CpuSet([1])),
            lambda: domain.pin_iothread(1, CpuSet([1])),
            lambda: domain.bind_memory(CpuSet([1])),
            lambda: domain.set_metadata("", "", "", live=True),
            connection.cpu_map,
            lambda: connection.define(""),
        ):
            with pytest.raises(UnsupportedError):
                call()
        assert (domain.saved(), domain.jobs([]), domain.why_paused()) == (False, [], "by a user")
        assert connection.free_pages([4], 0, 4) == {}
        assert connection.free_memory(9) is None
        assert connection.domain("nobody") is None


def test_nothing_in_an_argument_is_expanded():
    seen = []

    def run_command(arguments, **options):
        seen.append((arguments, options))
        return 0, "out", ""

    assert XlCommand("xl", run_with(run_command))("look", "create", "/x/$HOME/~") == "out"
    (arguments, options) = seen[0]
    assert arguments == ["xl", "create", "/x/$HOME/~"]
    assert options["expand_user_and_vars"] is False
    assert options["environ_update"]["LC_ALL"] == "C"


# --- findings --------------------------------------------------------------------------------------------------------


def codes(result):
    return [(each["code"], each["domain"]) for each in result["findings"]]


def test_a_placed_host_has_no_findings(host):
    for name in ("g0", "g1", "g2", "d0", "d1"):
        host.file(name)
    host.place("g2", cells=[3])
    host.place_all("g0", policy="pack")
    host.place_all("d0", "d1", policy="dedicated")
    host.place("g1", cells=[3], state="defined")
    assert codes(host.findings()) == []


def test_what_is_wrong(host):
    host.file("a", cpus='["0", "1"]')
    host.file("b", cpus='["1", "0"]')
    host.add(config("stray", cpus='["4", "5"]'))
    host.guests["stray"].pages = {0: 256, 2: 256 * 63}
    assert [(each["code"], each["domain"], each["others"], each["fix"]) for each in host.findings()["findings"]] == [
        ("cpu_dedicated_twice", "a", ["b"], "redefine"),
        ("memory_remote", "stray", [], "restart"),
    ]


def test_a_vcpu_that_is_not_up_is_nowhere(host):
    """Xen says of it that it may run everywhere."""
    host.file("a", cpus='["0", "1"]')
    host.place("a")
    assert codes(host.findings()) == []
    guest = host.guests["a"]
    guest.hard[1], guest.down = None, (1,)
    result = host.findings()
    assert codes(result) == []
    assert result["domains"][0]["actual"]["vcpus"] == {"0": "0"}


def test_guests_of_another_cpupool(host):
    host.pools = {"Pool-0": CpuSet(range(4)), "p1": CpuSet(range(4, 8))}
    host.file("a", cpus='["4", "5"]', more='pool = "p1"\n')
    host.place("a")
    host.add(config("free0"))
    assert codes(host.findings()) == []
    host.add(config("free1", more='pool = "p1"\n'))
    assert codes(host.findings()) == [("unrestricted_beside_dedicated", "free1")]


def test_calls_for_findings(host):
    def calls():
        host.findings()
        return host.calls

    for number in range(4):
        host.add(config(f"g{number}", cpus='["0-1", "0-1"]'))
    before = calls()
    for number in range(4, 10):
        host.add(config(f"g{number}", cpus='["0-1", "0-1"]'))
    assert calls() == before + 6  # one for each: its vCPUs, as its live definition
    host.failures["vcpu-list"] = "xl: error: no\n"
    assert codes(host.findings()) == [("cell_overcommitted", None)]


def test_libvirt_asks_xens_tool_once_for_all(host, xen):
    """Guests of libvirt, and xl on the same machine."""
    xen.tools = host.connect().command
    xen.place(xml=document("a", kind="xen", uuid=f"<uuid>{'0' * 32}</uuid>"), cells=[1])
    xen.findings()
    before = xen.calls
    stray = Running("a", xen.guests["a"].pid, 64, {0: CpuSet([6]), 1: None}, {0: None, 1: None}, {1: 100}, down=(1,))
    host.guests["a"] = stray
    result = xen.findings()
    assert xen.calls == before - 1  # libvirt is not asked for the vCPUs
    assert codes(result) == [("threads_differ", "a")]
    assert result["domains"][0]["actual"]["vcpus"] == {"0": "6"}


class Forgetful:
    """An xl whose info leaves Xen's own lines out so many times, and is not sorry for it."""

    def __init__(self, host, times, said=""):
        self.host, self.times, self.said = host, times, said

    def __call__(self, arguments):
        status, output, errors = self.host.run(arguments)
        if arguments[1] == "info" and self.times:
            self.times -= 1
            return 0, output.split("xen_major")[0], self.said
        return status, output, errors


def test_what_xl_leaves_out_is_asked_for_again(host):
    command = XlCommand("/usr/sbin/xl", Forgetful(host, 2))
    assert xl_connection.Connection(None, command, host.folder).versions() == ("4.17.7", None)
    assert command.calls == 3


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("libxl_get_version_info failed.\n", "libxl_get_version_info failed"),
        ("", "it leaves out xen_version"),
    ],
)
def test_what_xl_never_says(host, said, reason):
    command = XlCommand("/usr/sbin/xl", Forgetful(host, 9, said))
    with pytest.raises(ConnectionFailedError, match=f"xl does not reach Xen: {reason};"):
        xl_connection.Connection(None, command, host.folder)
    assert command.calls == 3


def test_free_memory_is_read_once_for_all_cells_and_again_after_a_start(host):
    connection = host.connect()
    assert [connection.free_memory(cell) for cell in (0, 1, 7)] == [900 * 1024, 900 * 1024, None]
    assert connection.calls == 1
    host.room[1] = 100
    connection.command("see who is there", "list", "-v")
    assert [connection.free_memory(cell) for cell in (0, 1)] == [900 * 1024, 100 * 1024]
    assert connection.calls == 3
