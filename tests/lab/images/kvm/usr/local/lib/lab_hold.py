# Copyright: Contributors to the numa.virt collection
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hold one KVM virtual machine, which never runs, for as long as this system does.

The kernel's scheduler has branches for "some virtual machine exists" and "some cpuset exists". It switches them by
rewriting its own code when the first one comes and when the last one goes: at every start and stop of a lone guest.
QEMU before 8.1 emulates such a rewrite wrongly once in a while, when another CPU translates the same code at that
moment: all CPUs then run, for ever, into a breakpoint that is long gone. With one machine held here, and one cpuset by
this service's unit, both branches are switched once, at boot.
"""

from __future__ import annotations

import fcntl
import os
import signal

# From linux/kvm.h.
KVM_CREATE_VM = 0xAE01
KVM_CREATE_VCPU = 0xAE41
KVM_CREATE_IRQCHIP = 0xAE60

if os.path.exists("/dev/kvm"):
    KVM = os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC)
    MACHINE = fcntl.ioctl(KVM, KVM_CREATE_VM, 0)
    # Its CPU has an interrupt controller that is off: two more such branches, in KVM itself.
    fcntl.ioctl(MACHINE, KVM_CREATE_IRQCHIP, 0)
    VCPU = fcntl.ioctl(MACHINE, KVM_CREATE_VCPU, 0)

while True:
    signal.pause()
