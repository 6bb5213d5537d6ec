# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Calls of libvirt, whose failures are raised as our own errors; and the module itself, where there is one.

This file must not import ansible or lxml.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any, TypeVar

from ansible_collections.numa.virt.plugins.module_utils._errors import (
    DomainNotFoundError,
    LibvirtCallError,
    UnsupportedError,
)
from ansible_collections.numa.virt.plugins.module_utils._secrets import masked_message

# The module is had from here.
__all__ = ["LIBVIRT_IMPORT_ERROR", "Calls", "libvirt", "without_secrets"]

LIBVIRT_IMPORT_ERROR: str | None = None
try:
    import libvirt
except ImportError:
    # Said by _module.libraries, which offers another interpreter or the package's name.
    LIBVIRT_IMPORT_ERROR = traceback.format_exc()
    libvirt = None

T = TypeVar("T")


class Calls:
    """The calls of one connection, counted."""

    _conn: Any
    calls = 0

    def _call(self, action: str, function: Callable[..., T], *arguments: Any) -> T:
        self.calls += 1
        try:
            return function(*arguments)
        except libvirt.libvirtError as error:
            raise _translated(action, error) from None


def _translated(action: str, error: libvirt.libvirtError) -> Exception:
    code, reason = error.get_error_code(), error.get_error_message() or str(error)
    if code == libvirt.VIR_ERR_NO_DOMAIN:
        return DomainNotFoundError("name", None, masked_message(reason))
    if code == libvirt.VIR_ERR_NO_SUPPORT:
        return UnsupportedError("libvirt", action, reason)
    return LibvirtCallError(action, reason, code)


def without_secrets(error: LibvirtCallError, definition: str) -> LibvirtCallError:
    """The same error without what is secret in a definition: QEMU quotes its arguments, libvirt what it cannot read."""
    from ansible_collections.numa.virt.plugins.module_utils._libvirt.secrets import secrets_of

    reason = masked_message(str(error.fields["reason"]), secrets_of(definition))
    return LibvirtCallError(str(error.fields["action"]), reason, error.fields["libvirt_code"])
