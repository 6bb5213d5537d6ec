/* Copyright: Contributors to the numa.virt collection
 * GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later */

/* A small Xen PVH guest. It starts all its virtual CPUs and halts for ever; with OBEY, the first one goes on in obey.c. */

/* From xen/include/public: elfnote.h, vcpu.h, hvm/hvm_vcpu.h, arch-x86/cpuid.h. */
#define XEN_ELFNOTE_PHYS32_ENTRY 18
#define XEN_CPUID_HYPERCALLS 0x40000002
#define HYPERVISOR_vcpu_op 24
#define VCPUOP_initialise 0
#define VCPUOP_up 1
#define MOST_VCPUS 32

#define HYPERCALL(number) call hypercall_page + (number) * 32

	.section .note.Xen, "a", @note
	.long 4, 4, XEN_ELFNOTE_PHYS32_ENTRY
	.asciz "Xen"
	.long start

	.code32
	.text
	.globl start
start:					/* 32-bit protected mode, flat, no paging, interrupts off */
	movl $stack_end, %esp
	movl $XEN_CPUID_HYPERCALLS, %eax
	cpuid				/* ebx: the register that wants to know where the hypercalls shall be */
	movl %ebx, %ecx
	movl $hypercall_page, %eax
	xorl %edx, %edx
	wrmsr

	movl $1, %esi
1:	movl $VCPUOP_initialise, %ebx
	movl %esi, %ecx
	movl $context, %edx
	HYPERCALL(HYPERVISOR_vcpu_op)
	testl %eax, %eax
	js 2f				/* there is no such vCPU: all are up */
	movl $VCPUOP_up, %ebx
	movl %esi, %ecx
	xorl %edx, %edx
	HYPERCALL(HYPERVISOR_vcpu_op)
	incl %esi
	cmpl $MOST_VCPUS, %esi
	jb 1b

2:
#ifdef OBEY
	call obey
#endif
idle:
	sti				/* Xen takes a vCPU that halts with interrupts off for one that is switched off */
	hlt
	jmp idle

	.data
	.balign 8
context:				/* struct vcpu_hvm_context: every other vCPU begins where this one ends */
	.long 0, 0			/* mode: 32 bits */
	.skip 8 * 4			/* eax to edi */
	.long idle, 2			/* eip, eflags */
	.long 1, 0, 0, 0		/* cr0: protected; cr3, cr4, padding */
	.quad 0				/* efer */
	.long 0, 0, 0, 0, 0		/* bases of cs, ds, ss, es, tr */
	.long -1, -1, -1, -1, 0x67	/* their limits */
	.word 0xc9b, 0xc93, 0xc93, 0xc93, 0x8b
	.skip 3 * 2

	.bss
	.balign 4096
	.globl hypercall_page
hypercall_page:
	.skip 4096
	.globl shared
shared:	.skip 4096
stack:	.skip 1024
stack_end:

	.section .note.GNU-stack, "", @progbits
