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
from collections.abc import Iterator
from types import FrameType
from typing import TYPE_CHECKING

from ansible_collections.numa.virt.plugins.module_utils._elements.registry import misplaced
from ansible_collections.numa.virt.plugins.module_utils._engine.aftermath import UNKNOWN, Attempt
from ansible_collections.numa.virt.plugins.module_utils._engine.session import Session, observe
from ansible_collections.numa.virt.plugins.module_utils._errors import (
    NumaVirtError,
    PlacementFailedError,
    RestartFailedError,
    reason_of,
)
from ansible_collections.numa.virt.plugins.module_utils._values.observation import MEMORY, Misplaced, Observation
from ansible_collections.numa.virt.plugins.module_utils._values.placement import Placement

if TYPE_CHECKING:
    from ansible_collections.numa.virt.plugins.module_utils._values.hypervisor import Domain


# A state that cannot be read so often is not asked for again.
_PATIENCE = 3


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
    session: Session, domain: Domain, placement: Placement, verify: bool, attempt: Attempt
) -> Observation:
    """Start paused where the driver can, look, resume.

    A guest that does not start, or is found outside its placement, is ended, the definition is put back as ``attempt``
    can, and PlacementFailedError tells what was found and what is now. One that came out of a managed save image is
    saved again instead.
    """
    attempt.tried = True
    with unwinding_on_signals():
        try:
            domain.start(paused=session.driver.start_paused)
        except NumaVirtError as error:
            reason = reason_of(error)
            raise PlacementFailedError(
                f"domain {domain.name!r} did not start: {reason}; {_room(session, placement)}{attempt.undo(False)}",
                domain=domain.name,
                reason=reason,
            ) from None
        except BaseException:
            attempt.undo(True)
            raise
        return _verify_and_resume(session, domain, placement, verify, session.driver.start_paused, attempt)


def resume_on_cells(
    session: Session, domain: Domain, placement: Placement, verify: bool, attempt: Attempt
) -> Observation:
    """Resume a guest that somebody, or a run that was killed, left paused; it stays paused where it is misplaced."""
    attempt.tried = True
    return _verify_and_resume(session, domain, placement, verify, True, None)


def _verify_and_resume(
    session: Session,
    domain: Domain,
    placement: Placement,
    verify: bool,
    paused: bool,
    attempt: Attempt | None,
) -> Observation:
    try:
        live = session.live(domain)
        if verify:
            observation = observe(session, domain, live)
            problems = misplaced(placement, observation)
            if problems:
                raise _MisplacedError(problems)
        if paused:
            _resume(domain)
    except _MisplacedError as found:
        consequence = attempt.undo(True) if attempt is not None else f"it was left {_state(domain)}"
        room = _room(session, placement) if found.about_memory else ""  # without the guest
        raise PlacementFailedError(
            f"domain {domain.name!r} was not born on its cells: {found}; {room}{consequence}",
            domain=domain.name,
            found=str(found),
        ) from None
    except NumaVirtError as error:
        if attempt is None:
            raise
        raise PlacementFailedError(
            f"domain {domain.name!r} was started, but {error}; {attempt.undo(True)}",
            domain=domain.name,
            reason=str(error),
        ) from None
    except BaseException:
        if attempt is not None:
            attempt.undo(True)
        raise
    # It is where it belongs, and runs: nothing that fails from here on is a reason to end it.
    return observe(session, domain, live)


def _resume(domain: Domain) -> None:
    """An error does not say that it has not resumed."""
    try:
        domain.resume()
    except NumaVirtError:
        if _state(domain) != "running":
            raise


def _state(domain: Domain) -> str:
    try:
        return domain.state()
    except NumaVirtError:
        return UNKNOWN


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


def shut_down(domain: Domain, seconds: int, attempt: Attempt) -> None:
    """Ask the guest to shut down and wait until it has. Raises RestartFailedError; never destroys it.

    One that its user has paused is resumed for that: it would not hear.
    """
    attempt.tried = True
    if domain.state() == "paused" and domain.paused_by_user():
        domain.resume()
    deadline = time.monotonic() + seconds
    refusal = ""
    try:
        domain.shutdown()
    except NumaVirtError as error:
        # libxl waits a minute for a paravirtualized guest to acknowledge, and fails, whatever the guest does then.
        deadline, refusal = 0.0, f" ({reason_of(error)})"
    pause, failed = 0.05, 0
    while True:
        try:
            state, failed = domain.state(), 0
        except NumaVirtError:
            failed += 1
            if failed == _PATIENCE:
                raise
            state = UNKNOWN
        if state == "shut off":
            attempt.restarts = True
            return
        if time.monotonic() >= deadline and state != UNKNOWN:
            how = refusal or f" within {seconds} s"
            now = "it runs on as it was, and" if state == "running" else f"it is {state}, and"
            raise RestartFailedError(
                f"domain {domain.name!r} did not shut down{how}; {now} follows its new definition when it is restarted",
                domain=domain.name,
                timeout=seconds,
            )
        time.sleep(pause)
        pause = min(pause * 2, 1.0)
