# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What goes wrong in the lab, said in one sentence to whoever ran it."""

from __future__ import annotations


class LabError(Exception):
    """A failure whose message is all that its reader needs."""


class UnavailableError(LabError):
    """This machine cannot run the lab: a tool, a right or some room is missing."""
