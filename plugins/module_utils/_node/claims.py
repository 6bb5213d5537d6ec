# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Claims on this machine, and the state that somebody has put it in: files beside the lock, under which all write.

- Claims are in a directory beside the host's lock, a file for each guest. For root's daemons that is below /run, which
  is gone at a reboot, as is all that was claimed.
- The state outlives a reboot, since a host that is drained is often restarted: for root's daemons it is below
  STATE_DIRECTORY. Not in the directory of the backups, which is root's alone: a member of the group of the daemon's
  socket could not tell there a state that it must not read from one that nobody has written. Any other daemon is its
  user's, and the state is beside its socket.
- Who may take the lock may read both, and only root, or the user of the daemon, writes. What belongs to anybody else, a
  link or a pipe, and what is not just what is written here, is named and never believed.
Writers hold host_at_a_time() meanwhile. This file must not import ansible, libvirt or lxml.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from ansible_collections.numa.virt.plugins.module_utils._errors import NumaVirtError, shown
from ansible_collections.numa.virt.plugins.module_utils._node import files
from ansible_collections.numa.virt.plugins.module_utils._node.lock import Place, place_of
from ansible_collections.numa.virt.plugins.module_utils._values.claim import (
    MAX_LIFETIME,
    Claim,
    HostState,
    Moment,
    claim_from_json,
    claim_to_json,
    state_from_json,
    state_to_json,
)
from ansible_collections.numa.virt.plugins.module_utils._values.daemon import Daemon
from ansible_collections.numa.virt.plugins.module_utils._values.stored_json import MAX_TEXT, StoredTextError

STATE_DIRECTORY = "/var/lib/numa.virt.host"
BOOT_ID = "/proc/sys/kernel/random/boot_id"
# More than guests fit on a host: what is beyond is an accident, or an attack.
MAX_CLAIMS = 4096
_CLAIM = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.json")
_STATE = "state.json"


class NoClaimsError(NumaVirtError):
    """What is claimed here, or the state of the host, cannot be read or written. Nothing has been touched."""

    code = "no_claims"


@dataclass(frozen=True)
class Found:
    """Claims in the order of UUIDs, those that count and those that are none any more. ``problems``: what lies there
    and is not believed, a line for each."""

    claims: tuple[Claim, ...] = ()
    stale: tuple[Claim, ...] = ()
    problems: tuple[str, ...] = ()


def this_moment() -> Moment:
    """Now. The clock that counts starts with the machine, and nobody can set it."""
    boot = ""
    with contextlib.suppress(OSError):
        boot = files.read_text(BOOT_ID, most=64).strip()
    return Moment(boot, int(time.clock_gettime(time.CLOCK_BOOTTIME)), int(time.time()))


def claims_problem(daemon: Daemon) -> str | None:
    """Why a daemon has neither claims nor a state that can be seen from here; None where it has."""
    if place_of(daemon) is not None:
        return None
    if daemon.host:
        return f"{daemon.host} is reached by its name: its claims, and its state, are kept on it and not seen from here"
    return "the driver lives and ends with this process: nobody else could claim anything there"


def read_claims(daemon: Daemon, now: Moment | None = None) -> Found:
    """What is claimed of a host. Raises NoClaimsError where it may not be read."""
    place = place_of(daemon)
    if place is None:
        return Found()
    now = this_moment() if now is None else now
    claims: list[Claim] = []
    stale: list[Claim] = []
    problems: list[str] = []
    path = os.path.join(place.directory, _folder_of(place))
    with _reading(place.directory, _folder_of(place), place.owner, path) as (folder, problem):
        if folder is None:
            return Found(problems=(problem,) if problem else ())
        names = sorted(os.listdir(folder))
        if len(names) > MAX_CLAIMS:
            problems.append(f"{path} holds {len(names)} files, and {MAX_CLAIMS} of them are looked at")
        for name in names[:MAX_CLAIMS]:
            if files.is_temporary(name):
                continue
            try:
                claim = _claim_in(folder, name, place.owner, now)
            except FileNotFoundError:
                continue  # another run has taken it away
            except (files.UnsafeFileError, StoredTextError) as error:
                problems.append(f"{shown(os.path.join(path, name))} is no claim: {_words(error)}")
            except OSError as error:
                raise _unreadable(os.path.join(path, name), error) from None
            else:
                (claims if claim.stale(now) is None else stale).append(claim)
    return Found(tuple(claims), tuple(stale), tuple(problems))


def _claim_in(folder: int, name: str, owner: int, now: Moment) -> Claim:
    """Raises UnsafeFileError, StoredTextError, and OSError."""
    match = _CLAIM.fullmatch(name)
    if match is None:
        raise files.UnsafeFileError("it has not the name of one")
    claim = claim_from_json(_believed(folder, name, owner))
    if claim.uuid != match[1]:
        raise StoredTextError("it has the name of another")
    if claim.boot == now.boot and claim.left(now) > MAX_LIFETIME:
        raise StoredTextError(f"it ends later than any may, in {claim.left(now)} s")
    return claim


def _believed(folder: int, name: str, owner: int) -> str:
    """A file of ours. Raises UnsafeFileError, StoredTextError, and OSError."""
    text, there = files.read_owned(name, folder, most=MAX_TEXT + 1)
    problem = files.owner_problem(there, owner) if there.st_uid != 0 else None
    if problem is None and there.st_mode & 0o022:
        problem = f"others may write to it (mode {stat.S_IMODE(there.st_mode):04o})"
    if problem is None and there.st_nlink > 1:
        problem = "is not a file of its own"
    if problem is not None:
        raise files.UnsafeFileError(problem)
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        raise StoredTextError("it is no JSON") from None


def write_claim(daemon: Daemon, claim: Claim) -> None:
    """Keep a claim, in the place of one of the same guest. Whole, or not at all. Raises NoClaimsError."""
    with _writing_claims(daemon) as (place, folder):
        group, mode = _readers(place)
        files.write_file(folder, f"{claim.uuid}.json", claim_to_json(claim), mode, (place.owner, group))


def remove_claims(daemon: Daemon, uuids: Collection[str]) -> None:
    """Take claims away, whoever made them. Raises NoClaimsError; what is gone already is no error."""
    if not uuids or not _exists(daemon):
        return
    with _writing_claims(daemon) as (_place, folder):
        for uuid in sorted(uuids):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{uuid}.json", dir_fd=folder)


def writable(daemon: Daemon) -> bool:
    """Whether who runs this may write claims of a host."""
    place = place_of(daemon)
    return place is not None and os.geteuid() in (0, place.owner)


def check_writable(daemon: Daemon) -> None:
    """Whether claims, or the state, could be written here. Makes nothing, so that check mode may ask.

    Raises NoClaimsError."""
    _writer(daemon)


def read_state(daemon: Daemon) -> tuple[HostState | None, tuple[str, ...]]:
    """(the state, what lies in its place and is not believed). None where nobody has said anything of this host.

    Raises NoClaimsError where it may not be read.
    """
    place = place_of(daemon)
    if place is None:
        return None, ()
    directory, name = _state_in(place)
    path = os.path.join(directory, name)
    with _reading(directory, None, place.owner, directory) as (folder, problem):
        if folder is None:
            return None, (problem,) if problem else ()
        try:
            return state_from_json(_believed(folder, name, place.owner)), ()
        except FileNotFoundError:
            return None, ()
        except (files.UnsafeFileError, StoredTextError) as error:
            return None, (f"{path} is no state of this host: {_words(error)}",)
        except OSError as error:
            raise _unreadable(path, error) from None


def write_state(daemon: Daemon, state: HostState) -> None:
    """Keep what somebody says of this host, in the place of what was said before. Raises NoClaimsError."""
    place = _writer(daemon)
    directory, name = _state_in(place)
    group, mode = _readers(place)
    try:
        if directory != place.directory:
            files.make_directory(directory, 0o755)
        with _opened(directory, None, place.owner) as folder:
            files.remove_leftovers(folder, ours=False)
            files.write_file(folder, name, state_to_json(state), mode, (place.owner, group))
            os.fsync(folder)
    except OSError as error:
        raise _unwritable(os.path.join(directory, name), error) from None


def _state_in(place: Place) -> tuple[str, str]:
    """(directory, name) of the file with the state."""
    return (STATE_DIRECTORY, _STATE) if place.made is not None else (place.directory, f"numa.virt.{_STATE}")


def _folder_of(place: Place) -> str:
    return "claims" if place.made is not None else "numa.virt.claims"


def _readers(place: Place) -> tuple[int, int]:
    """(group, mode) of a file that whoever may take the lock may read. An administrator may have given that to another
    group."""
    group, mode = place.group, place.mode
    with contextlib.suppress(OSError):
        there = os.lstat(place.path)
        if there.st_uid in (0, place.owner) and stat.S_ISREG(there.st_mode):
            group, mode = there.st_gid, stat.S_IMODE(there.st_mode)
    # Only root can give a file to a group that it is not of itself.
    return group if os.geteuid() == 0 else -1, 0o600 | (mode & 0o044)


def _writer(daemon: Daemon) -> Place:
    """Raises NoClaimsError where who runs this is not believed by others."""
    place, problem = place_of(daemon), claims_problem(daemon)
    if place is None:
        raise NoClaimsError(f"there are no claims and no state of a host here: {problem}", reason=problem)
    if os.geteuid() not in (0, place.owner):
        who = "root" if place.owner == 0 else f"uid {place.owner}"
        raise NoClaimsError(
            f"claims and the state of this host are written by {who} only, and this is uid {os.geteuid()}; use become",
            reason="not permitted",
        )
    return place


@contextlib.contextmanager
def _reading(directory: str, name: str | None, owner: int, path: str) -> Iterator[tuple[int | None, str]]:
    """(an open directory, nothing), or (None, why what is there is not believed). Raises NoClaimsError."""
    with contextlib.ExitStack() as held:
        try:
            folder: int | None = held.enter_context(_opened(directory, name, owner))
            problem = ""
        except FileNotFoundError:
            folder, problem = None, ""
        except (files.UnsafeFileError, NotADirectoryError) as error:
            folder, problem = None, f"{path} is not believed: {_words(error)}"
        except OSError as error:
            raise _unreadable(path, error) from None
        yield folder, problem


@contextlib.contextmanager
def _opened(directory: str, name: str | None, owner: int) -> Iterator[int]:
    """A directory, or one in it, that is root's or the owner's and that nobody else can write to; links are not
    followed. Raises OSError."""
    with contextlib.ExitStack() as held:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW
        folder = os.open(directory, flags)
        held.callback(os.close, folder)
        problem = files.unsafe(os.fstat(folder), owner)
        if problem is not None:
            raise files.UnsafeFileError(f"its directory {problem}" if name is not None else f"it {problem}")
        if name is not None:
            folder = os.open(name, flags, dir_fd=folder)
            held.callback(os.close, folder)
            there = os.fstat(folder)
            problem = files.unsafe(there, owner)
            if problem is None and there.st_mode & 0o022:
                problem = f"can be written to by others (mode {stat.S_IMODE(there.st_mode):04o})"
            if problem is not None:
                raise files.UnsafeFileError(f"it {problem}")
        yield folder


@contextlib.contextmanager
def _writing_claims(daemon: Daemon) -> Iterator[tuple[Place, int]]:
    """The directory of claims, made where it is missing. Raises NoClaimsError, for what fails inside too."""
    place = _writer(daemon)
    name = _folder_of(place)
    path = os.path.join(place.directory, name)
    try:
        if place.made is not None:
            files.make_directory(place.directory, place.made)
        with _opened(place.directory, None, place.owner) as outer:
            _make_folder(place, outer, name)
        with _opened(place.directory, name, place.owner) as folder:
            files.remove_leftovers(folder)
            yield place, folder
    except OSError as error:
        raise _unwritable(path, error) from None


def _make_folder(place: Place, outer: int, name: str) -> None:
    """Until it is whose it shall be it is only its maker's; who was killed in between is helped by the next."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, 0o700, dir_fd=outer)
    folder = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=outer)
    try:
        there = os.fstat(folder)
        group, mode = _readers(place)
        wanted = 0o700 | (mode & 0o044) | ((mode & 0o044) >> 2)
        if there.st_uid not in (0, place.owner) or os.geteuid() not in (0, there.st_uid):
            return
        if there.st_uid != place.owner or group not in (-1, there.st_gid):
            os.fchown(folder, place.owner, group)
        if stat.S_IMODE(there.st_mode) != wanted:
            os.fchmod(folder, wanted)
    finally:
        os.close(folder)


def _exists(daemon: Daemon) -> bool:
    place = place_of(daemon)
    return place is not None and os.path.lexists(os.path.join(place.directory, _folder_of(place)))


def _words(error: Exception) -> str:
    return str(error.strerror) if isinstance(error, OSError) else str(error)


def _unreadable(path: str, error: OSError) -> NoClaimsError:
    return NoClaimsError(
        f"{shown(path)} cannot be read: {error.strerror}; without it the CPUs of others could be given away: "
        "run it as root, or as a member of the group of the daemon's socket",
        path=path,
        reason=str(error.strerror),
    )


def _unwritable(path: str, error: OSError) -> NoClaimsError:
    return NoClaimsError(f"{shown(path)} cannot be written: {error.strerror}", path=path, reason=str(error.strerror))
