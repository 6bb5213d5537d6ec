# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a hypervisor gives to one domain only, said before the first write, and in check mode.

This file must not import ansible or libvirt.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ansible_collections.numa.virt.plugins.module_utils._errors import InputError, shown
from ansible_collections.numa.virt.plugins.module_utils._libvirt.definition import XmlDefinition

if TYPE_CHECKING:
    from ansible_collections.numa.virt.plugins.module_utils._values.hypervisor import Domain


def check_uuids(given: Iterable[tuple[str, XmlDefinition]], there: Iterable[Domain]) -> None:
    """``given`` are pairs of an option and its document. Raises InputError where a UUID is another domain's too.

    Where a document has another UUID than the domain of its name, plan_domain() says so.
    """
    owners = {str(domain.uuid): domain.name for domain in there}
    for option, document in given:
        uuid, name = document.uuid, document.shape.name
        if uuid is None:
            continue
        owner = owners.setdefault(uuid, name)
        if owner != name:
            raise InputError(
                option, uuid, f"is the UUID of domain {shown(owner)!r} too",
                "leave <uuid> out to have one made, or give each its own",
            )  # fmt: skip
