# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Options that come with a libvirt connection."""

    DOCUMENTATION = r"""
options:
  uri:
    description:
      - The hypervisor's libvirt URI, as seen from the managed node; for example V(qemu:///system) or V(xen:///system).
      - V(xl) is no URI of libvirt. With it Xen's own tool C(xl) is used, as root on Xen's dom0, and guests are its
        configuration files. Neither libvirt nor lxml is needed then.
      - Without it libvirt chooses as it does for C(virsh), by E(LIBVIRT_DEFAULT_URI), its configuration, or what it
        finds.
    type: str
requirements:
  - The Python bindings of libvirt (C(python3-libvirt)) on the managed node, unless O(uri=xl).
  - lxml (C(python3-lxml)) on the managed node, unless O(uri=xl).
notes:
  - Where the Python that runs the module has no libvirt or lxml, the module looks for one that has both,
    and goes on under that.
"""

    CONFIG = r"""
options:
  config:
    description:
      - The path of the guest's configuration file, for O(uri=xl) only. Its C(cpus) is rewritten in place, and what was
        asked for is kept in a comment line above it; every other byte stays.
      - Without it the guest is looked for by its name in C(/etc/xen/*.cfg).
    type: path
    version_added: 0.2.0
"""

    BACKUP = r"""
options:
  backup:
    description:
      - Whether to keep the previous definition in a file before it is replaced.
      - The file holds the definition with its secrets. It has mode V(0600). The newest 10 of each domain are kept.
    type: bool
    default: true
  backup_dir:
    description:
      - The directory of the managed node for such files. It is made with mode V(0700) where it is missing.
      - The default is C(/var/lib/numa.virt/backup) for root, and C(~/.local/state/numa.virt/backup) for others.
    type: path
"""
