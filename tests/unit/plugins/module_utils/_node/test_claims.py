# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Claims and the state of a host as files: what others put there is never believed, and what is written is whole."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from dataclasses import replace

import pytest

from ansible_collections.numa.virt.plugins.module_utils._node import claims, files, lock
from ansible_collections.numa.virt.plugins.module_utils._node.claims import (
    NoClaimsError,
    check_writable,
    claims_problem,
    read_claims,
    read_state,
    remove_claims,
    this_moment,
    writable,
    write_claim,
    write_state,
)
from ansible_collections.numa.virt.plugins.module_utils._values.claim import (
    MAX_LIFETIME,
    Claim,
    HostState,
    Moment,
    claim_to_json,
)
from ansible_collections.numa.virt.plugins.module_utils._values.cpuset import CpuSet
from ansible_collections.numa.virt.plugins.module_utils._values.daemon import Daemon

UUID = "6695eb01-f6a4-8304-79aa-97f2502e193f"
OTHER = "e0bf40c3-6ad2-4fcb-9ed4-2c1a2d4b4a0d"
NOW = Moment("b1", 1000, 1767268800)
CLAIM = Claim(
    UUID, "db1", CpuSet([0]), CpuSet([0, 1]), True, 2, ((0, None, 64),), "a@b", 1767268800, 1767272400, "b1", 4600
)
STATE = HostState("draining", "a@b", "a fan", 1767268800)
FAR = Daemon("qemu", "elsewhere")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")


def mode(path):
    return stat.S_IMODE(os.lstat(path).st_mode)


class Place:
    """A daemon of this user, or root's, with where its claims and its state are."""

    def __init__(self, kind, tmp_path, monkeypatch):
        monkeypatch.setattr(lock, "SYSTEM_DIRECTORY", str(tmp_path / "run"))
        monkeypatch.setattr(claims, "STATE_DIRECTORY", str(tmp_path / "lib"))
        folder = tmp_path / "sockets"
        folder.mkdir(mode=0o700)
        if kind == "root":
            self.daemon = Daemon("xl")
            self.claims, self.state = tmp_path / "run" / "claims", tmp_path / "lib" / "state.json"
        else:
            # Root's own socket is root's daemon; a daemon for tests is nobody's host.
            self.daemon = Daemon("test", "", str(folder / "sock"), os.geteuid())
            self.claims, self.state = folder / "numa.virt.claims", folder / "numa.virt.state.json"

    def file(self, uuid=UUID):
        return self.claims / f"{uuid}.json"

    def read(self, now=NOW):
        return read_claims(self.daemon, now)


@pytest.fixture(params=["root", "user"])
def place(request, tmp_path, monkeypatch):
    if request.param == "root" and os.geteuid() != 0:
        pytest.skip("root's files are made by root")
    return Place(request.param, tmp_path, monkeypatch)


def test_nothing_is_there_at_first(place):
    assert place.read() == claims.Found()
    assert read_state(place.daemon) == (None, ())
    remove_claims(place.daemon, [UUID])
    assert not place.claims.exists() and not place.state.exists()


@pytest.mark.parametrize("umask", [0o000, 0o777])
def test_a_claim_is_kept_and_taken_away(place, umask):
    before = os.umask(umask)
    try:
        write_claim(place.daemon, CLAIM)
        write_claim(place.daemon, replace(CLAIM, uuid=OTHER))
    finally:
        os.umask(before)
    assert place.read() == claims.Found((CLAIM, replace(CLAIM, uuid=OTHER)))
    assert (mode(place.claims), mode(place.file())) == (0o700, 0o600)
    write_claim(place.daemon, replace(CLAIM, vcpus=1))
    assert [each.vcpus for each in place.read().claims] == [1, 2]
    remove_claims(place.daemon, [UUID, "00000000-0000-0000-0000-000000000000"])
    assert [each.uuid for each in place.read().claims] == [OTHER]
    remove_claims(place.daemon, [])


@pytest.mark.parametrize("umask", [0o000, 0o777])
def test_a_state_is_kept(place, umask):
    before = os.umask(umask)
    try:
        write_state(place.daemon, STATE)
    finally:
        os.umask(before)
    assert read_state(place.daemon) == (STATE, ())
    assert mode(place.state) == 0o600
    write_state(place.daemon, replace(STATE, state="in"))
    assert read_state(place.daemon)[0].state == "in"


def test_after_a_reboot_there_are_no_claims_and_the_state_is_there(place):
    """Where /run is not new, as in a container, the boot is; else the files are gone."""
    write_claim(place.daemon, CLAIM)
    write_state(place.daemon, STATE)
    assert place.read(Moment("b2", 5, NOW.wall + 60)) == claims.Found((), (CLAIM,))
    assert read_state(place.daemon) == (STATE, ())


@pytest.mark.parametrize("wall", [0, NOW.wall - 10**8, NOW.wall + 10**8])
def test_a_clock_that_is_set_changes_nothing(place, wall):
    write_claim(place.daemon, CLAIM)
    assert place.read(replace(NOW, wall=wall)).claims == (CLAIM,)
    assert place.read(replace(NOW, wall=wall, seconds=4600)).stale == (CLAIM,)


def test_the_clock_of_this_machine():
    now = this_moment()
    assert len(now.boot) == 36 and now.seconds > 0 and now.wall > NOW.wall - 10**9
    assert this_moment().seconds >= now.seconds


def test_a_kernel_without_a_name_for_its_boot(monkeypatch, tmp_path):
    monkeypatch.setattr(claims, "BOOT_ID", str(tmp_path / "none"))
    assert this_moment().boot == ""


JUNK = {
    "text": (b"db1 wants CPUs 0-3\n", "it is no JSON"),
    "nothing": (b"", "it is no JSON"),
    "no text": (b"\xff\xfe", "it is no JSON"),
    "too much": (b" " * (1 << 20), "it is longer than 65536 characters"),
    "deep": (b"[" * 1000, "it is nested deeper than 16"),
    "half": (claim_to_json(CLAIM).encode()[:-30], "it is no JSON"),
    "newer": (
        claim_to_json(CLAIM).replace('"format": 1', '"format": 2').encode(),
        "it is of a newer release (format 2)",
    ),
    "another's": (claim_to_json(replace(CLAIM, uuid=OTHER)).encode(), "it has the name of another"),
    "for ever": (
        claim_to_json(replace(CLAIM, until=NOW.seconds + MAX_LIFETIME + 1)).encode(),
        f"it ends later than any may, in {MAX_LIFETIME + 1} s",
    ),
}


@pytest.mark.parametrize("junk", JUNK)
def test_junk_is_named_and_the_others_count(place, junk):
    text, problem = JUNK[junk]
    write_claim(place.daemon, replace(CLAIM, uuid=OTHER))
    place.file().write_bytes(text)
    place.file().chmod(0o600)
    found = place.read()
    assert [each.uuid for each in found.claims] == [OTHER]
    assert found.problems == (f"{place.file()} is no claim: {problem}",)
    # What is written in its place is believed again.
    write_claim(place.daemon, CLAIM)
    assert place.read().problems == ()


def test_a_file_of_another_name(place):
    write_claim(place.daemon, CLAIM)
    (place.claims / "README").write_text("x")
    (place.claims / ".numa.virt-0123abcd.tmp").write_text("half of a")  # a run that was killed
    assert place.read().problems == (f"{place.claims / 'README'} is no claim: it has not the name of one",)
    write_claim(place.daemon, CLAIM)
    assert sorted(os.listdir(place.claims)) == [f"{UUID}.json", "README"]


def test_links_and_pipes_are_not_followed(place, tmp_path):
    write_claim(place.daemon, CLAIM)
    elsewhere = tmp_path / "elsewhere.json"
    os.rename(place.file(), elsewhere)
    place.file().symlink_to(elsewhere)
    os.mkfifo(place.file(OTHER))
    found = place.read()
    assert found.claims == ()
    assert found.problems == (
        f"{place.file()} is no claim: is not a regular file",
        f"{place.file(OTHER)} is no claim: is not a regular file",
    )
    os.unlink(place.file())
    os.link(elsewhere, place.file())
    assert "is not a file of its own" in place.read().problems[0]


def test_what_others_may_write_to_is_not_believed(place):
    write_claim(place.daemon, CLAIM)
    place.file().chmod(0o666)
    assert place.read().problems == (f"{place.file()} is no claim: others may write to it (mode 0666)",)
    place.file().chmod(0o600)
    place.claims.chmod(0o770)
    found = place.read()
    assert found.claims == ()
    assert found.problems == (f"{place.claims} is not believed: it can be written to by others (mode 0770)",)
    # The next who may write puts that right.
    write_claim(place.daemon, CLAIM)
    assert place.read() == claims.Found((CLAIM,))


def test_a_directory_that_is_a_link_or_a_file(place, tmp_path):
    write_claim(place.daemon, CLAIM)
    moved = tmp_path / "moved"
    os.rename(place.claims, moved)
    place.claims.symlink_to(moved)
    found = place.read()
    assert found.claims == () and "is not believed" in found.problems[0]
    with pytest.raises(NoClaimsError, match="cannot be written"):
        write_claim(place.daemon, CLAIM)
    place.claims.unlink()
    place.claims.write_text("x")
    assert "is not believed" in place.read().problems[0]


@needs_root
def test_files_of_others_are_not_believed(place):
    write_claim(place.daemon, CLAIM)
    write_state(place.daemon, STATE)
    os.chown(place.file(), 4711, -1)
    os.chown(place.state, 4711, -1)
    assert place.read().problems == (f"{place.file()} is no claim: belongs to another user (uid 4711)",)
    assert read_state(place.daemon) == (
        None,
        (f"{place.state} is no state of this host: belongs to another user (uid 4711)",),
    )
    os.chown(place.claims, 4711, -1)
    assert place.read().problems == (f"{place.claims} is not believed: it belongs to another user (uid 4711)",)
    os.chown(place.claims.parent, 4711, -1)
    assert "its directory belongs to another user (uid 4711)" in place.read().problems[0]
    with pytest.raises(NoClaimsError, match="belongs to another user"):
        write_claim(place.daemon, CLAIM)


@pytest.mark.parametrize("text", [b"", b"{}", b"\xff", b'{"format": 1, "state": "in"}', b" " * (1 << 20)])
def test_a_state_that_is_junk_is_named(place, text):
    write_state(place.daemon, STATE)
    place.state.write_bytes(text)
    state, problems = read_state(place.daemon)
    assert state is None and problems[0].startswith(f"{place.state} is no state of this host: it is ")
    write_state(place.daemon, STATE)
    assert read_state(place.daemon) == (STATE, ())


def test_a_directory_of_the_state_that_others_may_write_to(place):
    write_state(place.daemon, STATE)
    place.state.parent.chmod(0o777)
    state, problems = read_state(place.daemon)
    assert state is None and "can be written to by everybody" in problems[0]
    with pytest.raises(NoClaimsError, match="cannot be written: it can be written to by everybody"):
        write_state(place.daemon, STATE)


def test_too_many_files(place, monkeypatch):
    monkeypatch.setattr(claims, "MAX_CLAIMS", 1)
    write_claim(place.daemon, CLAIM)
    write_claim(place.daemon, replace(CLAIM, uuid=OTHER))
    found = place.read()
    assert found.claims == (CLAIM,)
    assert found.problems == (f"{place.claims} holds 2 files, and 1 of them are looked at",)


def test_one_that_goes_away_meanwhile_is_nobody_s_business(place, monkeypatch):
    write_claim(place.daemon, CLAIM)
    monkeypatch.setattr(os, "listdir", lambda _folder: [f"{OTHER}.json", f"{UUID}.json"])
    assert place.read() == claims.Found((CLAIM,))


def test_what_may_not_be_read_is_an_error(place, monkeypatch):
    """Blindly nothing is given away."""
    write_claim(place.daemon, CLAIM)
    write_state(place.daemon, STATE)
    real = os.open

    def refuse(what):
        def opens(path, *args, **options):
            if str(path).endswith(what):
                raise PermissionError(errno.EACCES, "Permission denied")
            return real(path, *args, **options)

        monkeypatch.setattr(os, "open", opens)

    for what in (".json", "claims"):
        refuse(what)
        with pytest.raises(NoClaimsError, match="cannot be read: Permission denied; without it"):
            place.read()
    refuse("state.json")
    with pytest.raises(NoClaimsError, match=r"state\.json cannot be read: Permission denied"):
        read_state(place.daemon)
    refuse(str(place.state.parent))
    with pytest.raises(NoClaimsError, match="cannot be read"):
        read_state(place.daemon)


def test_who_may_take_the_lock_may_read(place):
    """Root's claims, where the lock was given to a group; and those of a daemon for tests."""
    with lock.host_at_a_time(str(place.claims.parent), daemon=place.daemon):
        path = lock.place_of(place.daemon).path
    os.chmod(path, 0o660)
    gid = os.getegid()
    if os.geteuid() == 0:
        gid = 4712
        os.chown(path, -1, gid)
    write_claim(place.daemon, CLAIM)
    write_state(place.daemon, STATE)
    assert (mode(place.claims), mode(place.file()), mode(place.state)) == (0o750, 0o640, 0o640)
    assert {os.stat(each).st_gid for each in (place.claims, place.file(), place.state)} == {gid}


def test_a_lock_that_is_none_lets_nobody_read(place, tmp_path):
    place.claims.parent.mkdir(exist_ok=True)
    os.symlink(tmp_path / "elsewhere", lock.place_of(place.daemon).path)
    write_claim(place.daemon, CLAIM)
    assert (mode(place.claims), mode(place.file())) == (0o700, 0o600)


def test_elsewhere_and_nowhere():
    for daemon, why in (
        (FAR, "elsewhere is reached by its name"),
        (Daemon("test"), "lives and ends with this process"),
    ):
        assert why in claims_problem(daemon)
        assert read_claims(daemon) == claims.Found()
        assert read_state(daemon) == (None, ())
        assert not writable(daemon)
        remove_claims(daemon, [UUID])
        for write in (lambda it: write_claim(it, CLAIM), lambda it: write_state(it, STATE), check_writable):
            with pytest.raises(NoClaimsError, match=why):
                write(daemon)


def test_here(place):
    assert claims_problem(place.daemon) is None and writable(place.daemon)
    check_writable(place.daemon)


def test_who_is_neither_root_nor_the_daemon_s_user_writes_nothing(place, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    assert not writable(place.daemon)
    for write in (lambda: write_claim(place.daemon, CLAIM), lambda: write_state(place.daemon, STATE)):
        with pytest.raises(NoClaimsError, match="and this is uid 4711; use become"):
            write()
    assert not place.claims.exists()


@needs_root
def test_a_directory_of_another_is_not_made_ours(place, monkeypatch):
    write_claim(place.daemon, CLAIM)
    os.chown(place.claims, 4711, -1)
    with pytest.raises(NoClaimsError, match="belongs to another user"):
        write_claim(place.daemon, CLAIM)
    assert os.stat(place.claims).st_uid == 4711


@needs_root
def test_root_writes_for_another_user(tmp_path):
    folder = tmp_path / "sockets"
    folder.mkdir()
    os.chown(folder, 4711, 4711)
    daemon = Daemon("qemu", "", str(folder / "sock"), 4711)
    write_claim(daemon, CLAIM)
    write_state(daemon, STATE)
    made = [folder / "numa.virt.claims", folder / "numa.virt.claims" / f"{UUID}.json", folder / "numa.virt.state.json"]
    assert {os.stat(each).st_uid for each in made} == {4711}
    assert read_claims(daemon, NOW).claims == (CLAIM,)


# --- failures --------------------------------------------------------------------------------------------------------

CALLS = (
    "open",
    "fdopen",
    "mkdir",
    "fchown",
    "fchmod",
    "chmod",
    "fsync",
    "rename",
    "unlink",
    "listdir",
    "fstat",
    "lstat",
)


class Disk:
    """Lets the ``k``-th call that touches a file fail."""

    def __init__(self, monkeypatch, k, error=errno.ENOSPC):
        self.left, self.error, self.failed = k, error, None
        for name in CALLS:
            monkeypatch.setattr(os, name, self._wrapped(name, getattr(os, name)))

    def _wrapped(self, name, real):
        def call(*args, **options):
            self.left -= 1
            if self.left == 0:
                self.failed = name
                raise OSError(self.error, os.strerror(self.error))
            return real(*args, **options)

        return call


WRITES = {
    "first claim": (None, lambda it: write_claim(it, CLAIM)),
    "another claim": (lambda it: write_claim(it, replace(CLAIM, vcpus=1)), lambda it: write_claim(it, CLAIM)),
    "no claim": (lambda it: write_claim(it, CLAIM), lambda it: remove_claims(it, [UUID])),
    "first state": (None, lambda it: write_state(it, STATE)),
    "another state": (lambda it: write_state(it, replace(STATE, state="in")), lambda it: write_state(it, STATE)),
}


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EROFS, errno.EACCES])
@pytest.mark.parametrize("write", WRITES)
def test_whichever_call_fails_nothing_is_half(place, monkeypatch, write, error):
    """Before, or after, and never in between; and the next run ends it."""
    prepare, task = WRITES[write]
    failures = 0
    for k in range(1, 200):
        with contextlib.suppress(FileNotFoundError):
            for each in place.claims.iterdir():
                each.unlink()
            place.claims.rmdir()
        with contextlib.suppress(FileNotFoundError):
            place.state.unlink()
        if prepare is not None:
            prepare(place.daemon)
        before = (place.read(), read_state(place.daemon))
        with monkeypatch.context() as patch:
            disk = Disk(patch, k, error)
            failed = None
            try:
                task(place.daemon)
            except NoClaimsError as caught:
                failed = caught
        after = (place.read(), read_state(place.daemon))
        assert not (*after[0].problems, *after[1][1]), k
        task(place.daemon)
        done = (place.read(), read_state(place.daemon))
        assert after in (before, done), (k, disk.failed)
        if failed is None and disk.failed is None:
            break
        failures += failed is not None
        if failed is not None and prepare is None and disk.failed not in ("fsync", "unlink"):
            assert after == before, (k, disk.failed)
        # Nothing is left over but what was asked for.
        left = [str(each) for each in place.claims.parent.parent.rglob("*") if files.is_temporary(each.name)]
        assert not left, (k, disk.failed)
    assert failed is None and failures > 3
