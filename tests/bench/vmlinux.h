/* What the benchmark's C programs need of the kernel: types by the fields used (the rest is CO-RE's
 * business), map macros, helpers by number (include/uapi/linux/bpf.h, __BPF_FUNC_MAPPER). */
#pragma once

typedef unsigned char __u8;
typedef unsigned int __u32;
typedef int __s32;
typedef unsigned long long __u64;

#define SEC(name) __attribute__((section(name), used))
#define __uint(name, val) int(*name)[val]
#define __type(name, val) typeof(val) *name
#define CORE __attribute__((preserve_access_index))

enum { BPF_MAP_TYPE_HASH = 1, BPF_MAP_TYPE_PERCPU_HASH = 5, BPF_MAP_TYPE_PERCPU_ARRAY = 6, BPF_MAP_TYPE_RINGBUF = 27 };
enum { BPF_ANY = 0, BPF_NOEXIST = 1 };
enum { BPF_RB_NO_WAKEUP = 1 };

struct trace_event_raw_sys_enter { unsigned long args[6]; } CORE;
struct trace_event_raw_sched_wakeup_template { int pid; } CORE;
struct trace_event_raw_sched_switch { int prev_pid; long prev_state; int next_pid; } CORE;

static void *(*map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*map_update_elem)(void *map, const void *key, const void *value, __u64 flags) = (void *)2;
static long (*map_delete_elem)(void *map, const void *key) = (void *)3;
static __u64 (*ktime_get_ns)(void) = (void *)5;
static __u64 (*get_current_pid_tgid)(void) = (void *)14;
static long (*get_current_comm)(void *buf, __u32 size) = (void *)16;
static long (*probe_read_user_str)(void *dst, __u32 size, const void *src) = (void *)114;
static long (*ringbuf_output)(void *ringbuf, void *data, __u64 size, __u64 flags) = (void *)130;
static void *(*ringbuf_reserve)(void *ringbuf, __u64 size, __u64 flags) = (void *)131;
static void (*ringbuf_submit)(void *data, __u64 flags) = (void *)132;

/* What the script's author gets without asking, and these programs too: a full map is reported, and a
 * report that finds no room is counted. */
#define REPORTS_FULL_MAPS \
	struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 1 << 18); } reports SEC(".maps"); \
	__u64 lost; \
	static __attribute__((noinline)) int map_full(__u64 id, __u64 error) \
	{ \
		struct { __u64 id, error; } report = { id, error }; \
		if (ringbuf_output(&reports, &report, sizeof(report), 0)) \
			__sync_fetch_and_add(&lost, 1); \
		return 0; \
	}
