/* Copyright: Contributors to the numa.virt collection
 * GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * A small Xen PV guest. It masks every event channel, starts all its virtual CPUs, and blocks for ever; with OBEY, the
 * first one goes on in obey.c.
 */

/* From xen/include/public: xen.h, sched.h, vcpu.h. */
#define HYPERVISOR_update_va_mapping 14
#define HYPERVISOR_vcpu_op 24
#define HYPERVISOR_sched_op 29
#define SCHEDOP_block 1
#define VCPUOP_initialise 0
#define VCPUOP_up 1
#define UVMF_INVLPG 2
#define VGCF_IN_KERNEL 4
#define MOST_VCPUS 32

/* Selectors that Xen has in every PV guest's descriptor table. */
#define FLAT_KERNEL_CS 0xe033
#define FLAT_KERNEL_SS 0xe02b

/* Offsets in struct start_info and struct shared_info. */
#define START_shared_info 40
#define SHARED_evtchn_mask 2560

/* Offsets in struct vcpu_guest_context of x86_64. */
#define CONTEXT_flags 512
#define CONTEXT_rip 648
#define CONTEXT_cs 656
#define CONTEXT_rsp 672
#define CONTEXT_ss 680
#define CONTEXT_kernel_ss 4968
#define CONTEXT_kernel_sp 4976
#define CONTEXT_cr3 5008

#define HYPERCALL(number) call hypercall_page + (number) * 32

.macro note type:req value:vararg
	.align 4
	.long 4, 12f - 11f, \type
	.asciz "Xen"
11:	\value
12:	.align 4
.endm

	.section .note.Xen, "a", @note
	note 6 .asciz "lab-pvidle"	/* GUEST_OS */
	note 8 .asciz "generic"		/* LOADER */
	note 5 .asciz "xen-3.0"		/* XEN_VERSION */
	note 3 .quad 0			/* VIRT_BASE */
	note 1 .quad start		/* ENTRY */
	note 2 .quad hypercall_page	/* HYPERCALL_PAGE */

	.text
	.globl start
start:					/* rsi: struct start_info */
	cld
	leaq stack_end(%rip), %rsp
	movq %rsi, %rbx

	leaq shared(%rip), %rdi		/* map struct shared_info over our page */
	movq START_shared_info(%rbx), %rsi
	orq $0x67, %rsi			/* present, writable, user, accessed, dirty */
	movl $UVMF_INVLPG, %edx
	HYPERCALL(HYPERVISOR_update_va_mapping)

	leaq shared + SHARED_evtchn_mask(%rip), %rdi
	movl $512 / 8, %ecx
	movq $-1, %rax
	rep stosq
	movb $0, shared(%rip)		/* and nothing is pending already */

	leaq context(%rip), %r12	/* every other vCPU begins where this one ends */
	leaq idle(%rip), %rax
	movq %rax, CONTEXT_rip(%r12)
	movq $FLAT_KERNEL_CS, CONTEXT_cs(%r12)
	leaq idle_stack_end(%rip), %rax	/* one for them all: they push nothing but where idle calls from */
	movq %rax, CONTEXT_rsp(%r12)
	movq %rax, CONTEXT_kernel_sp(%r12)
	movq $FLAT_KERNEL_SS, CONTEXT_ss(%r12)
	movq $FLAT_KERNEL_SS, CONTEXT_kernel_ss(%r12)
	movq %cr3, %rax
	movq %rax, CONTEXT_cr3(%r12)
	movl $VGCF_IN_KERNEL, CONTEXT_flags(%r12)
	movl $1, %r13d
1:	movl $VCPUOP_initialise, %edi
	movl %r13d, %esi
	movq %r12, %rdx
	HYPERCALL(HYPERVISOR_vcpu_op)
	testq %rax, %rax
	js 2f				/* there is no such vCPU: all are up */
	movl $VCPUOP_up, %edi
	movl %r13d, %esi
	xorl %edx, %edx
	HYPERCALL(HYPERVISOR_vcpu_op)
	incl %r13d
	cmpl $MOST_VCPUS, %r13d
	jb 1b

2:
#ifdef OBEY
	movq %rbx, %rdi
	call obey
#endif
idle:
	movl $SCHEDOP_block, %edi
	xorl %esi, %esi
	HYPERCALL(HYPERVISOR_sched_op)
	jmp idle

	.balign 4096
	.globl hypercall_page
hypercall_page:				/* Xen writes it before the guest starts */
	.skip 4096, 0xcc

	.bss
	.balign 4096
	.globl shared
shared:	.skip 4096
context:
	.skip 8192
idle_stack:
	.skip 64
idle_stack_end:
stack:	.skip 4096
stack_end:

	.section .note.GNU-stack, "", @progbits
