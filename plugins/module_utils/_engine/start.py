# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Starting a guest so that it is born on its cells, and undoing a start that was not.

This file must not import ansible or libvirt.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING

from ansible_collections.numa.virt.plugins.module_utils._engine.session import Session, observe
from ansible_collections.numa.virt.plugins.module_utils._errors import (
    NumaVirtError,
    PlacementFailedError,
    RestartFailedError,
)
from ansible_collections.numa.virt.plugins.module_utils._placement import Placement
from ansible_collections.numa.virt.plugins.module_utils._verify import (
    MEMORY,
    Misplaced,
    Observation,
    misplaced,
)

if TYPE_CHECKING:
    from ansible_collections.numa.virt.plugins.module_utils._engine.hypervisor import Domain


class Interrupted(SystemExit):
    """A signal asked this process to end, and it does, with a shell's exit status and without a traceback."""


@contextlib.contextmanager
def unwinding_on_signals() -> Iterator[None]:
    """Let SIGTERM, SIGHUP and SIGINT unwind the stack, so that a half-started guest is cleaned up."""

    def interrupt(number: int, _frame: FrameType | None) -> None:
        for each in before:
            signal.signal(each, signal.SIG_IGN)  # a second one must not break into the clean-up
        raise Interrupted(128 + number)

    before = {each: signal.signal(each, interrupt) for each in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def start_on_cells(
    session: Session, domain: Domain, placement: Placement, verify: bool, roll_back: Callable[[], str]
) -> Observation:
    """Start paused where the driver can, look, resume.

    A guest that does not start, or is found outside its placement, is destroyed, ``roll_back`` puts the definition
    back and says so in words, and PlacementFailedError tells what was found.
    """
    with unwinding_on_signals():
        try:
            domain.start(paused=session.driver.start_paused)
        except NumaVirtError as error:
            reason = " ".join(str(error.fields.get("reason") or error).split())
            raise PlacementFailedError(
                f"domain {domain.name!r} did not start: {reason}; {_room(session, placement)}{roll_back()}",
                domain=domain.name,
                reason=reason,
            ) from None
        except BaseException:
            _abandon(domain, roll_back)
            raise
        return _verify_and_resume(session, domain, placement, verify, session.driver.start_paused, roll_back)


def resume_on_cells(session: Session, domain: Domain, placement: Placement, verify: bool) -> Observation:
    """Resume a guest that somebody, or a run that was killed, left paused; it stays paused where it is misplaced."""
    return _verify_and_resume(session, domain, placement, verify, True, None)


def _verify_and_resume(
    session: Session,
    domain: Domain,
    placement: Placement,
    verify: bool,
    paused: bool,
    roll_back: Callable[[], str] | None,
) -> Observation:
    try:
        live = session.live(domain)
        if verify:
            observation = observe(session, domain, live)
            problems = misplaced(placement, observation)
            if problems:
                raise _MisplacedError(problems)
        if paused:
            domain.resume()
        return observe(session, domain, live)
    except _MisplacedError as found:
        consequence = _abandon(domain, roll_back) if roll_back is not None else "it was left paused"
        room = _room(session, placement) if found.about_memory else ""  # without the guest
        raise PlacementFailedError(
            f"domain {domain.name!r} was not born on its cells: {found}; {room}{consequence}",
            domain=domain.name,
            found=str(found),
        ) from None
    except NumaVirtError as error:
        if roll_back is None:
            raise
        raise PlacementFailedError(
            f"domain {domain.name!r} was started, but {error}; {_abandon(domain, roll_back)}",
            domain=domain.name,
            reason=str(error),
        ) from None
    except BaseException:
        if roll_back is not None:
            _abandon(domain, roll_back)
        raise


def _room(session: Session, placement: Placement) -> str:
    """What the cells of the memory have left, in words: the usual reason why a guest does not start there."""
    if placement.memory is None or placement.memory.automatic:
        return ""
    with contextlib.suppress(NumaVirtError):
        cells = [cell for cell in session.host_with_free().cells if cell.id in placement.memory.nodeset]
        return "".join(
            f"cell {cell.id} has {cell.free} KiB free"
            + "".join(
                f", {pool.free} free pages of {pool.size} KiB" for pool in cell.huge_pools if pool.free is not None
            )
            + "; "
            for cell in cells
            if cell.free is not None
        )
    return ""


class _MisplacedError(Exception):
    def __init__(self, problems: list[Misplaced]) -> None:
        super().__init__("; ".join(str(each) for each in problems))
        self.about_memory = any(each.who == MEMORY for each in problems)


def _abandon(domain: Domain, roll_back: Callable[[], str]) -> str:
    with contextlib.suppress(NumaVirtError):
        domain.destroy()
    return f"it was destroyed, {roll_back()}"


def shut_down(domain: Domain, seconds: int) -> None:
    """Ask the guest to shut down and wait until it has. Raises RestartFailedError; never destroys it."""
    deadline = time.monotonic() + seconds
    refusal = ""
    try:
        domain.shutdown()
    except NumaVirtError as error:
        # libxl waits a minute for a paravirtualized guest to acknowledge, and fails, whatever the guest does then.
        deadline, refusal = 0.0, f" ({error.fields.get('reason') or error})"
    pause = 0.05
    while domain.state() != "shut off":
        if time.monotonic() >= deadline:
            how = refusal or f" within {seconds} s"
            raise RestartFailedError(
                f"domain {domain.name!r} did not shut down{how}; it runs on as it was, and follows "
                "its new definition when it is restarted",
                domain=domain.name,
                timeout=seconds,
            )
        time.sleep(pause)
        pause = min(pause * 2, 1.0)
