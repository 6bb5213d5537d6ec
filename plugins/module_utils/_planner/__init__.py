# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Policies: a host, the guests that are there and what is asked for, made into a plan. Pure and deterministic.

Use ``plan.plan`` with the values of ``request``; the answer is in ``result``.
"""
