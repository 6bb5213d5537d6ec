# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write a disk of one sector whose program switches the machine off when its power button is pressed.

usage: power_button_disk.py PATH

It stands for a guest system that listens to ACPI. Registers are those of the PIIX4 as SeaBIOS sets it up: power
management events at port 0x600 (status) and 0x602 (enable), control at 0x604.
"""

from __future__ import annotations

import sys

PROGRAM = bytes.fromhex(
    "ba0206"  # mov dx, 0x602
    "b80001"  # mov ax, 0x100       the power button's bit
    "ef"  # out dx, ax          let it be reported
    "fb"  # sti             <-- wait
    "f4"  # hlt                 until the next tick of the timer
    "ba0006"  # mov dx, 0x600
    "ed"  # in ax, dx
    "f6c401"  # test ah, 1          pressed?
    "74f5"  # jz wait
    "ba0406"  # mov dx, 0x604
    "b80020"  # mov ax, 0x2000      sleep type 0 (off), sleep enable
    "ef"  # out dx, ax
    "f4"  # hlt
    "ebfd"  # jmp to the hlt
)

with open(sys.argv[1], "wb") as disk:
    disk.write(PROGRAM.ljust(510, b"\0") + b"\x55\xaa" + bytes(1024 * 1024 - 512))
