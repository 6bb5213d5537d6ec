# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The map as a page: SVG of a host, HTML of a host and of a fleet. Pure and deterministic.

    from …_map.svg import host_svg

    picture = host_svg(host, guests, findings)

``host`` is what numa_cell_info returns, ``guests`` what numa_domain_info returns, and ``picture`` one SVG document.

| file | what |
|---|---|
| model | results of the two modules as what a map shows: guests with signs, findings with numbers, parts of memory |
| layout | cells in a grid, near ones next to each other |
| largest_fit | the largest guest that a host still takes |
| markup | elements, escaped |
| style | colours and type, light, dark and printed |
| shapes, lanes, dense, memory | parts of the picture: signs; guests as bars below CPUs; many CPUs; memory |
| legend | the key to the signs |
| svg | the picture of a host |
| page, fleet, names | HTML pages and the names of their files |

This file must not import anything: modules ship what they import.
"""
