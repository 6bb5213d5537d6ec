# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Build, boot and reach real libvirt hosts for the tests of numa.virt.

From the bottom up: ``topology`` (values), ``boot`` and ``hosts`` (what there is to boot), ``recipes`` and ``images``
(what it boots from), ``process``, ``monitor`` and ``ssh`` (how a running one is reached and ended), ``machine`` and
``bring_up`` (its life),
``inventory`` (how Ansible sees it), ``cli``.
"""
