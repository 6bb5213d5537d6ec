# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read, plan, change set, (unless check mode) apply, re-read, verify: one file for each module's work.

Nothing here knows Ansible; nothing here imports libvirt.
"""
