# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write a disk of one sector whose program keeps two numbers in memory, which only a guest that goes on has.

usage: counting_disk.py PATH

At 0x8000 is the time stamp of the guest's birth, at 0x8004 a count of the timer's ticks since.
"""

from __future__ import annotations

import sys

PROGRAM = bytes.fromhex(
    "31c0"  # xor ax, ax
    "8ed8"  # mov ds, ax
    "0f31"  # rdtsc
    "66a30080"  # mov [0x8000], eax
    "6631c0"  # xor eax, eax
    "66a30480"  # mov [0x8004], eax
    "fb"  # sti
    "f4"  # hlt             <-- until the next tick of the timer
    "66ff060480"  # inc dword [0x8004]
    "ebf8"  # jmp
)

with open(sys.argv[1], "wb") as disk:
    disk.write(PROGRAM.ljust(510, b"\0") + b"\x55\xaa" + bytes(1024 * 1024 - 512))
