# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is there after something went wrong: looked at, never assumed, and undone as far as it is still ours.

An error of a call does not say that the call had no effect: its answer may have been lost with the connection. So
every word about what is now comes from a look at the host; where nobody can look, that is what is said.
This file must not import ansible or libvirt.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ansible_collections.numa.virt.plugins.module_utils._engine.saved import SavedPlan, apply_saved
from ansible_collections.numa.virt.plugins.module_utils._engine.session import Known, Session, read
from ansible_collections.numa.virt.plugins.module_utils._errors import (
    DomainNotFoundError,
    NumaVirtError,
    PlacementFailedError,
    RestartFailedError,
    SavedImageError,
    reason_of,
)

if TYPE_CHECKING:
    from ansible_collections.numa.virt.plugins.module_utils._values.hypervisor import Domain

# States in which a guest has no process
OFF = ("shut off", "absent")
ABSENT = "absent"
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Now:
    """A domain as it is now; ``known`` is None where there is none of that name."""

    state: str
    known: Known | None


def look(session: Session, name: str) -> Now | None:
    """Look a domain up anew; None where the host cannot be asked."""
    try:
        domain = session.connection.domain(name)
        if domain is None:
            return Now(ABSENT, None)
        return Now(domain.state(), read(session, domain))
    except DomainNotFoundError:
        return Now(ABSENT, None)
    except NumaVirtError:
        return None


class Attempt:
    """One run's changes to one domain. ``known`` is the domain as it was, None where it was not there.

    ``saved`` is the plan for its managed save image, which a start uses up. ``written`` is the text of the definition
    that this run has made, ``restarts`` whether a guest that ran was shut down for it.
    """

    def __init__(self, session: Session, name: str, known: Known | None, state: str) -> None:
        self.session = session
        self.name = name
        self.known = known
        self.state_before = state
        self.backup_file: str | None = None
        self.tried = False
        self.written: str | None = None
        self.restarts = False
        self.applied = 0
        self.saved: SavedPlan | None = None
        self.image_written = False

    def define(self, text: str) -> Domain:
        """Write a definition, and keep what the hypervisor made of it."""
        self.tried = True
        if self.known is not None:
            return self.known.domain.redefine(text)
        return self.session.connection.define(text)

    def rewrite_image(self, domain: Domain, plan: SavedPlan) -> None:
        """Give the managed save image its placement. Where that is refused the definition is put back."""
        self.tried = self.tried or bool(plan.changes)
        try:
            apply_saved(self.session, domain, plan)
        except NumaVirtError as error:
            error.add(f"; {self._put_back()[0]}")
            raise
        self.image_written = bool(plan.changes)

    def note_step(self) -> None:
        """A change to the running guest has been made."""
        self.applied += 1

    def tell(self, error: NumaVirtError) -> None:
        """Let an error say what is now: ``changed``, ``state`` and ``backup_file``, and words where it has none."""
        if not self.tried:
            return
        error.backup_file = self.backup_file
        now = look(self.session, self.name)
        if now is None:
            error.changed, error.state = True, UNKNOWN
            if "not known" not in error.message:
                error.add(f"; it is not known whether domain {self.name!r} was changed, or runs{self._where()}")
            return
        error.state = now.state
        redefined = _text(now.known) != _text(self.known)
        error.changed = redefined or self.restarts or self.image_written or self.applied > 0 or self._other_guest(now)
        if not isinstance(error, (PlacementFailedError, RestartFailedError, SavedImageError)):
            image = "; its saved image has its new place" if self.image_written else ""
            error.add(f"; domain {self.name!r} is {now.state}, and its definition {self._words(now, redefined)}{image}")

    def _words(self, now: Now, redefined: bool) -> str:
        if now.known is None:
            return "is not there"
        if not redefined:
            return "is as it was"
        return "is the new one" if self.known is None or self.backup_file is None else f"is changed{self._where()}"

    def _other_guest(self, now: Now) -> bool:
        """Whether the guest is another than it was, whatever its definition says."""
        if now.state != self.state_before:
            return True
        was, live = self.known.live if self.known else None, now.known.live if now.known else None
        if was is None or live is None:
            return (was is None) != (live is None)
        return (was.placement, was.record) != (live.placement, live.record)

    def undo(self, started: bool) -> str:
        """End what this run has started, put the definition back, and start again what was shut down. Says what is."""
        state = self._state()
        ours = started or (state == "paused" and self.session.driver.start_paused)
        words = ""
        if state is not None and state not in OFF:
            if not ours:
                return f"it is {state} all the same, and was left as it is{self._where()}"
            words, state = self._end()
        elif started and state is not None:
            words = "it had ended already, "
        if state is None:
            return f"it is not known whether it runs, or what its definition is{self._where()}"
        ended = state in OFF
        if self.known is None and not ended:
            return f"{words}and was left defined"
        done, back = self._put_back()
        if self.saved is not None and ended:
            done += self._image_back()
        if self.restarts and ended:
            return words + (self._start_again(done) if back else f"{done}; it is {state}")
        return words + done

    def _end(self) -> tuple[str, str | None]:
        """Destroy the guest that this run has started, or save it anew where it came out of an image."""
        refusal = None
        if self.saved is not None:
            return self._save_again()
        try:
            self._own().destroy()
        except NumaVirtError as error:
            refusal = reason_of(error)
        state = self._state()
        if state is None or (state in OFF and refusal is None):
            return "that start was ended, " if self.restarts else "it was destroyed, ", state
        if state in OFF:
            return f"it is {state}, ", state
        return f"it could NOT be destroyed ({refusal or 'it is there again'}) and is {state}, ", state

    def _save_again(self) -> tuple[str, str | None]:
        """Its memory is in no image any more: it goes into one again, or stays where it is."""
        try:
            self._own().save()
        except NumaVirtError as error:
            state = self._state()
            if state is None or state not in OFF:
                what = f"and was left {state}" if state else "and"
                return f"it could not be saved again ({reason_of(error)}) {what}, its memory is whole, ", state
        else:
            state = self._state()
        return "it was saved again, its memory is whole, ", state

    def _image_back(self) -> str:
        """The image says again what it said before this run. Says in words what it does."""
        if self.saved is None or not self.saved.changes:
            return ", and so is its saved image"
        try:
            self._own().define_saved(self.saved.before.text)
        except NumaVirtError as error:
            return f"; its saved image could NOT be put back ({reason_of(error)}), and has its new place"
        self.image_written = False
        return ", and so is its saved image"

    def _put_back(self) -> tuple[str, bool]:
        """Restore what was defined before this run, as far as it is this run's. Says what is, and whether it is so."""
        now = look(self.session, self.name)
        if now is None:
            return f"it is not known whether its definition is the previous one{self._where()}", False
        if self.known is None:
            return self._forget(now)
        before = self.known.config.text
        if now.known is None:
            return f"and somebody else has undefined it{self._where()}", False
        if _text(now.known) == before:
            # Of one that was never written that is no news.
            return ("its definition is as it was" if self.written is None else "the previous definition is back"), True
        if self.written is None or _text(now.known) != self.written:
            return f"somebody else has changed its definition, which was left as it is{self._where()}", False
        try:
            now.known.domain.redefine(before)
        except NumaVirtError as error:
            again = look(self.session, self.name)
            if again is None:
                return f"it is not known whether its definition is the previous one again{self._where()}", False
            if _text(again.known) != before:
                where = f"; it is in {self.backup_file}" if self.backup_file else ""
                return f"and the previous definition could NOT be put back ({error}){where}", False
        return "the previous definition is back", True

    def _forget(self, now: Now) -> tuple[str, bool]:
        """Undefine a domain that this run has made, and that nobody else uses."""
        if now.known is None:
            return "and nothing is defined, as before", True
        if now.state not in OFF:
            return f"and it was left defined: it is {now.state}", False
        if self.written is not None and _text(now.known) != self.written:
            return "and somebody else has changed its definition, which was left as it is", False
        refusal = "it is there again"
        try:
            now.known.domain.undefine()
        except NumaVirtError as error:
            refusal = reason_of(error)
        again = look(self.session, self.name)
        if again is None:
            return "and it is not known whether it is still defined", False
        if again.known is None:
            return "and nothing is defined, as before", True
        if not again.known.persistent:  # somebody has started it in between, and it would vanish with its end
            self.session.connection.define(again.known.config.text)
            return f"and it was left defined: somebody else has started it, and it is {again.state}", False
        return f"and it could NOT be undefined ({refusal})", False

    def _start_again(self, done: str) -> str:
        """A guest that ran before a restart that failed runs again, as it was. Adds in words what came of it."""
        try:
            self._own().start(paused=False)
        except NumaVirtError as error:
            state = self._state()
            if state is None:
                return f"{done}; it is not known whether it runs again"
            if state in OFF:
                return f"{done}; it is {state}, and does not start again ({reason_of(error)})"
        return f"{done}, and it was started again as it was before"

    def _own(self) -> Domain:
        """The domain as it is now: xl calls a guest by a number that each start gives anew. Raises NumaVirtError."""
        domain = self.session.connection.domain(self.name)
        if domain is None:
            raise DomainNotFoundError("name", self.name, "it is not there any more")
        return domain

    def _state(self) -> str | None:
        """Its state now; None where nobody says."""
        try:
            domain = self.session.connection.domain(self.name)
            return domain.state() if domain is not None else ABSENT
        except DomainNotFoundError:
            return ABSENT
        except NumaVirtError:
            return None

    def _where(self) -> str:
        return f"; the definition from before is in {self.backup_file}" if self.backup_file else ""


def _text(known: Known | None) -> str | None:
    return known.config.text if known is not None and known.persistent else None
