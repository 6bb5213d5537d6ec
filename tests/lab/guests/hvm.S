/* Copyright: Contributors to the numa.virt collection
 * GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The smallest HVM guest: a boot sector that starts all other virtual CPUs and halts for ever, as they do. The image
 * boots as a disk, which one guest can have at a time, and as a CD-ROM, which any number can share.
 */

/* Registers of the x2APIC, which real mode can reach; the interrupt commands are for all CPUs but this one. */
#define IA32_APIC_BASE 0x1b
#define APIC_BASE_X2APIC 0xc00
#define X2APIC_ICR 0x830
#define ICR_INIT 0xc4500
#define ICR_STARTUP 0xc4600

/* Where a started CPU begins: at the start of some page of the first 640 KiB. */
#define PAGE 8

	.code16
	.text
	.globl start
start:
	cli
	cld
	movb $0xff, %al
	outb %al, $0x21			/* mask both interrupt controllers */
	outb %al, $0xa1

	xorw %ax, %ax			/* the BIOS put us at 0:7c00 or 7c0:0 */
	movw %ax, %ds
	movw $PAGE << 8, %ax
	movw %ax, %es
	movw $0x7c00 + idle - start, %si
	xorw %di, %di
	movw $end - idle, %cx
	rep movsb

	movl $IA32_APIC_BASE, %ecx
	rdmsr
	orl $APIC_BASE_X2APIC, %eax
	wrmsr
	movl $X2APIC_ICR, %ecx
	xorl %edx, %edx
	movl $ICR_INIT, %eax
	wrmsr
	movl $ICR_STARTUP | PAGE, %eax
	wrmsr

idle:
	sti				/* Xen takes a vCPU that halts with interrupts off for one that is switched off */
	hlt
	jmp idle
end:

	.org 510
	.word 0xaa55

/* El Torito, as much of it as a BIOS looks at: sector 17 says where the catalogue is, and that where the code is. */
#define CD_SECTOR 2048
#define CATALOGUE 18

	.org 17 * CD_SECTOR
	.byte 0
	.ascii "CD001\1EL TORITO SPECIFICATION"
	.org 17 * CD_SECTOR + 0x47
	.long CATALOGUE

	.org CATALOGUE * CD_SECTOR
	.byte 1, 0			/* the entry that validates: header, platform */
	.org CATALOGUE * CD_SECTOR + 0x1c
	.word 0x55aa, 0xaa55		/* checksum, by which all words make 0; key */
	.byte 0x88, 0			/* the entry to boot: bootable, emulating no disk */
	.word 0				/* segment: the usual one */
	.byte 0, 0
	.word 1				/* length, in sectors of 512 bytes */
	.long 0				/* first sector */
	.org (CATALOGUE + 1) * CD_SECTOR
