/*
 * Copyright: Contributors to the numa.virt collection
 * GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 */

/*
 * The firmware of a QEMU guest without a system: 64 KiB that write to one place in each 256 KiB of the guest's memory,
 * so that there is memory to look for, and then sleep for ever. A real firmware that finds nothing to boot keeps an
 * emulated host's CPUs busy as long as the guest is there.
 */

	.text
	.code16
base:
	.org	0xff00, 0xff
start:
	/* CMOS 0x34 and 0x35 tell the memory above 16 MiB, in 64 KiB. */
	movb	$0x35, %al
	outb	%al, $0x70
	inb	$0x71, %al
	movb	%al, %bh
	movb	$0x34, %al
	outb	%al, $0x70
	inb	$0x71, %al
	movb	%al, %bl
	movzwl	%bx, %ebx
	shll	$16, %ebx
	addl	$0x1000000, %ebx

	lgdtl	%cs:(table - base)
	movl	%cr0, %eax
	orb	$1, %al
	movl	%eax, %cr0
	ljmpl	$8, $(0xffff0000 + protected - base)

	.code32
protected:
	movw	$16, %ax
	movw	%ax, %ds
	xorl	%edi, %edi
1:	movl	$1, (%edi)
	addl	$0x40000, %edi
	cmpl	%ebx, %edi
	jb	1b
2:	hlt
	jmp	2b

	.align	8
segments:
	.quad	0
	.quad	0x00cf9b000000ffff	/* code, all 4 GiB */
	.quad	0x00cf93000000ffff	/* data, all 4 GiB */
table:
	.word	table - segments - 1
	.long	0xffff0000 + segments - base

	.code16
	.org	0xfff0, 0xff
	/* Where a CPU begins. */
	.byte	0xe9
	.word	start - (. + 2)
	.org	0x10000, 0xff
