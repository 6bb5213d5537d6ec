/* Copyright: Contributors to the numa.virt collection
 * GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later */

/* The smallest HVM guest: a boot sector that lets no interrupt through and halts for ever. */

	.code16
	.text
	.globl start
start:
	movb $0xff, %al
	outb %al, $0x21			/* mask both interrupt controllers */
	outb %al, $0xa1
1:	sti				/* Xen takes a vCPU that halts with interrupts off for one that is switched off */
	hlt
	jmp 1b

	.org 510
	.word 0xaa55
