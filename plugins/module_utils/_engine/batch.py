# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Many guests in one run: one that fails stops no other, and whatever ends the run, what was done is told.

This file must not import ansible or libvirt.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from ansible_collections.numa.virt.plugins.module_utils._engine.guard import touched
from ansible_collections.numa.virt.plugins.module_utils._engine.session import Known, Session
from ansible_collections.numa.virt.plugins.module_utils._engine.start import unwinding_on_signals
from ansible_collections.numa.virt.plugins.module_utils._errors import (
    ChangedMeanwhileError,
    CutShortError,
    GuestsFailedError,
    InternalError,
    NotMovedError,
    NumaVirtError,
)
from ansible_collections.numa.virt.plugins.module_utils._node import backup

R = TypeVar("R")


@dataclass(frozen=True)
class Failure:
    """One guest that could not be brought to its place. ``backup_file`` holds its definition from before."""

    name: str
    error: NumaVirtError
    backup_file: str | None = None

    def as_result(self) -> dict[str, Any]:
        """Shape: ``{"name", "code", "msg", "changed", "backup_file", …}``, the rest as the error has it."""
        said = self.error.as_result()
        backup_file = said.get("backup_file", self.backup_file)
        return {
            **{name: value for name, value in said.items() if name not in ("error", "warnings", "diff")},
            **said["error"],
            "name": self.name,
            "backup_file": backup_file,
        }


@dataclass
class Tally(Generic[R]):
    """What became of the guests of a run so far. ``ended_by`` is what cut it short, ``left_over`` who had no turn."""

    all_of_them: int
    done: list[R] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    ended_by: BaseException | None = None
    left_over: tuple[str, ...] = ()

    def fail(self, name: str, error: NumaVirtError, backup_file: str | None = None) -> None:
        self.failures.append(Failure(name, error, backup_file))

    def raise_failures(self, result: Mapping[str, Any]) -> None:
        """End a run that got along without some of its guests. ``result`` is what it returns of the others.

        Raises GuestsFailedError, or what cut the run short, with ``result``, the whole answer, as an attribute.
        """
        if not self.failures and self.ended_by is None:
            return
        told = GuestsFailedError(self._line(), dict(result), failures=[each.as_result() for each in self.failures])
        told.changed = bool(result["changed"]) or any(each.error.changed for each in self.failures)
        if self.ended_by is None:
            raise told
        if self.left_over:
            told.fields["left_over"] = list(self.left_over)
        answer = told.as_result()
        answer["error"]["code"] = CutShortError.code
        self.ended_by.result = answer  # type: ignore[attr-defined]  # read by _module.run, whatever exception it is
        raise self.ended_by

    def _line(self) -> str:
        if self.ended_by is not None:
            more = f", and {len(self.left_over)} were not touched" if self.left_over else ""
            return (
                f"the run was cut short: {len(self.done)} of {self.all_of_them} domains were done{more}; run it again"
            )
        first = self.failures[0]
        return f"{len(self.failures)} of {self.all_of_them} domains failed, {first.name!r} first: {first.error}"


@contextlib.contextmanager
def one_guest(
    session: Session, tally: Tally[Any], name: str, known: Known | None, backup_dir: str | None
) -> Iterator[None]:
    """Do something to one guest; whatever it raises becomes its failure, with what is known to have changed.

    ``backup_dir``: where its definition would have been kept, None where it would not. What ends the process ends the
    run: it is in ``tally.ended_by`` then.
    """
    try:
        yield
    except NumaVirtError as error:
        _failed(session, tally, name, known, backup_dir, error)
    # A defect that shows with one guest must not hide what was done to the others before.
    except Exception as error:  # noqa: BLE001
        _failed(session, tally, name, known, backup_dir, InternalError(error))
    except (KeyboardInterrupt, SystemExit) as ending:
        tally.ended_by = ending
        said = CutShortError(f"domain {name!r}: the run was ended in the middle of it; run it again")
        _failed(session, tally, name, known, backup_dir, said)


def take_turns(names: Sequence[str], tally: Tally[Any], turn: Callable[[str], None]) -> None:
    """Every name its turn, unless the run is cut short; signals unwind meanwhile, so that it is told what was done."""
    with unwinding_here(tally):
        for number, name in enumerate(names):
            tally.left_over = tuple(names[number + 1 :])
            turn(name)
            if tally.ended_by is not None:
                return


@contextlib.contextmanager
def unwinding_here(tally: Tally[Any]) -> Iterator[None]:
    """Signals that arrive between two guests."""
    try:
        with unwinding_on_signals():
            yield
    except (KeyboardInterrupt, SystemExit) as ending:
        tally.ended_by = ending


def _failed(
    session: Session,
    tally: Tally[Any],
    name: str,
    known: Known | None,
    backup_dir: str | None,
    error: NumaVirtError,
) -> None:
    if not isinstance(error, (ChangedMeanwhileError, NotMovedError)) and not error.changed:
        differs = touched(session, name, known)
        # Of an error that is not ours nobody has said what it left.
        error.changed = differs if differs is not None else isinstance(error, (InternalError, CutShortError))
    kept = None
    if backup_dir is not None and known is not None and known.persistent:
        kept = backup.kept(backup_dir, known.domain.key, known.config.text)
    tally.fail(name, error, kept)
