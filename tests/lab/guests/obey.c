/* Copyright: Contributors to the numa.virt collection
 * GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What makes a guest go away when it is asked to: a client of xenstore that watches control/shutdown and does as it says,
 * as the drivers of a whole operating system would.
 *
 * No interrupt is ever taken: SCHEDOP_poll sleeps until the event channel of xenstore has something to tell.
 */

#include <stddef.h>
#include <stdint.h>

/* From xen/include/public: xen.h, sched.h, event_channel.h, memory.h, hvm/hvm_op.h, hvm/params.h. */
#define HYPERVISOR_memory_op 12
#define HYPERVISOR_update_va_mapping 14
#define HYPERVISOR_sched_op 29
#define HYPERVISOR_event_channel_op 32
#define HYPERVISOR_hvm_op 34
#define DOMID_SELF 0x7ff0
#define SCHEDOP_shutdown 2
#define SCHEDOP_poll 3
#define SHUTDOWN_poweroff 0
#define SHUTDOWN_reboot 1
#define EVTCHNOP_send 4
#define UVMF_INVLPG 2
#define XENMEM_add_to_physmap 7
#define HVMOP_get_param 1
#define HVM_PARAM_STORE_PFN 1
#define HVM_PARAM_STORE_EVTCHN 2
#define PAGE_SHIFT 12

/* From xen/include/public/io/xs_wire.h. */
#define XS_READ 2
#define XS_WATCH 4
#define XS_WRITE 11
#define XS_WATCH_EVENT 15
#define RING_SIZE 1024

struct message {
	uint32_t type, request, transaction, length;
};

struct ring {
	char requests[RING_SIZE], answers[RING_SIZE];
	volatile uint32_t requests_consumed, requests_produced, answers_consumed, answers_produced;
};

struct shared_info {
	char vcpus[2048];
	volatile unsigned char pending[128];
};

/* Filled or laid out by the entry code. */
extern char hypercall_page[];
extern struct shared_info shared;

static long hypercall(unsigned int number, unsigned long first, const void *second, unsigned long third)
{
	long result;
	char *entry = hypercall_page + number * 32;

#ifdef __x86_64__
	asm volatile("call *%4"
		     : "=a"(result), "+D"(first), "+S"(second), "+d"(third)
		     : "r"(entry)
		     : "rcx", "r8", "r10", "r11", "memory");
#else
	asm volatile("call *%4" : "=a"(result), "+b"(first), "+c"(second), "+d"(third) : "r"(entry) : "memory");
#endif
	return result;
}

#ifdef __x86_64__
/* The beginning of what a PV guest is told. */
struct start_info {
	char magic[32];
	uint64_t pages, shared_info;
	uint32_t flags;
	uint64_t store_frame;
	uint32_t store_port;
};

static struct ring ring_page __attribute__((aligned(4096)));

static struct ring *find_store(const struct start_info *info, uint32_t *port)
{
	uint64_t entry = info->store_frame << PAGE_SHIFT | 0x67; /* present, writable, user, accessed, dirty */

	hypercall(HYPERVISOR_update_va_mapping, (unsigned long)&ring_page, (void *)entry, UVMF_INVLPG);
	*port = info->store_port;
	return &ring_page;
}
#else
struct start_info;

struct parameter {
	uint16_t domain;
	uint32_t index;
	uint64_t value;
};

struct mapping {
	uint16_t domain, size;
	uint32_t space;
	unsigned long index, frame;
};

static struct ring *find_store(const struct start_info *info, uint32_t *port)
{
	struct mapping mapping = {.domain = DOMID_SELF, .frame = (unsigned long)&shared >> PAGE_SHIFT};
	struct parameter frame = {DOMID_SELF, HVM_PARAM_STORE_PFN, 0};
	struct parameter channel = {DOMID_SELF, HVM_PARAM_STORE_EVTCHN, 0};

	(void)info;
	hypercall(HYPERVISOR_memory_op, XENMEM_add_to_physmap, &mapping, 0);
	hypercall(HYPERVISOR_hvm_op, HVMOP_get_param, &frame, 0);
	hypercall(HYPERVISOR_hvm_op, HVMOP_get_param, &channel, 0);
	*port = channel.value;
	return (struct ring *)((uint32_t)frame.value << PAGE_SHIFT);
}
#endif

static struct ring *ring;
static uint32_t port;

static void barrier(void)
{
	asm volatile("" ::: "memory");
}

static void tell(void)
{
	barrier();
	hypercall(HYPERVISOR_event_channel_op, EVTCHNOP_send, &port, 0);
}

static void sleep(void)
{
	struct {
		uint32_t *ports;
		uint32_t count;
		uint64_t timeout;
	} poll = {&port, 1, 0};

	hypercall(HYPERVISOR_sched_op, SCHEDOP_poll, &poll, 0);
	__atomic_fetch_and(&shared.pending[port / 8], ~(1 << port % 8), __ATOMIC_SEQ_CST);
}

/* The ring has room: there is never more than one small request in it. */
static void put(const void *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		ring->requests[(ring->requests_produced + i) % RING_SIZE] = ((const char *)bytes)[i];
	barrier();
	ring->requests_produced += count;
}

static void request(uint32_t type, const char *payload, uint32_t length)
{
	struct message message = {type, 0, 0, length};

	put(&message, sizeof(message));
	put(payload, length);
	tell();
}

static char get(void)
{
	char byte;

	while (ring->answers_consumed == ring->answers_produced) {
		tell();
		sleep();
	}
	barrier();
	byte = ring->answers[ring->answers_consumed % RING_SIZE];
	barrier();
	ring->answers_consumed++;
	return byte;
}

/* Take one message, whose payload counts as far as there is room for it, and return its type. */
static uint32_t answer(char *payload, size_t room)
{
	struct message message;

	for (size_t i = 0; i < sizeof(message); i++)
		((char *)&message)[i] = get();
	for (size_t i = 0; i < room; i++)
		payload[i] = 0;
	for (uint32_t i = 0; i < message.length; i++) {
		char byte = get();

		if (i < room)
			payload[i] = byte;
	}
	return message.type;
}

static void go(uint32_t reason)
{
	hypercall(HYPERVISOR_sched_op, SCHEDOP_shutdown, &reason, 0);
}

#define NODE "control/shutdown"
#define WATCH NODE "\0lab"

void obey(const struct start_info *info)
{
	char payload[2];
	uint32_t reason = SHUTDOWN_poweroff;

	ring = find_store(info, &port);
	request(XS_WATCH, WATCH, sizeof(WATCH));
	for (;;)
		switch (answer(payload, sizeof(payload))) {
		case XS_WATCH_EVENT: /* the first one comes at once */
			request(XS_READ, NODE, sizeof(NODE));
			break;
		case XS_READ: /* "poweroff", "halt" or "reboot"; all else is beyond us */
			if (payload[0] != 'p' && payload[0] != 'h' && payload[0] != 'r')
				break;
			reason = payload[0] == 'r' ? SHUTDOWN_reboot : SHUTDOWN_poweroff;
			/* The tool stack waits for a minute until the word is taken away. */
			request(XS_WRITE, NODE, sizeof(NODE));
			break;
		case XS_WRITE:
			go(reason);
		}
}
