# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is wrong on a host: facts in, findings out; pure and deterministic.

One file for each family of rules; ``codes`` is the one list of what can be found, ``find`` the way in; ``remedies``
says what to do about it.
A finding that is wrong is worse than one that is missing: a rule that cannot be sure is silent.
Nothing here imports Ansible, libvirt or lxml, or reads anything.
"""
