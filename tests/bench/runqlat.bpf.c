/* runqlat.bt by hand: time of wake-up kept by pid, a histogram by powers of two. */
#include "vmlinux.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, __u64);
} start SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, __u64);
} usecs SEC(".maps");
REPORTS_FULL_MAPS
char LICENSE[] SEC("license") = "GPL";

static __attribute__((always_inline)) __u64 log2_u64(__u64 v)
{
	__u64 r = 0, shift;
	shift = (v > 0xffffffff) << 5; v >>= shift; r |= shift;
	shift = (v > 0xffff) << 4; v >>= shift; r |= shift;
	shift = (v > 0xff) << 3; v >>= shift; r |= shift;
	shift = (v > 0xf) << 2; v >>= shift; r |= shift;
	shift = (v > 0x3) << 1; v >>= shift; r |= shift;
	return r | (v >> 1);
}

SEC("tracepoint/sched/sched_wakeup")
int wakeup(struct trace_event_raw_sched_wakeup_template *ctx)
{
	__u64 pid = (__s32)ctx->pid, now = ktime_get_ns();
	long error = map_update_elem(&start, &pid, &now, BPF_ANY);
	if (error)
		map_full(0, error);
	return 0;
}

SEC("tracepoint/sched/sched_switch")
int switched(struct trace_event_raw_sched_switch *ctx)
{
	__u64 pid = (__s32)ctx->next_pid, one = 1, bucket, us, *then, *n;
	long error;

	then = map_lookup_elem(&start, &pid);
	if (!then || !*then)
		return 0;
	us = (ktime_get_ns() - *then) / 1000;
	/* Buckets: negative, zero, then one for each power of two. */
	bucket = (long long)us < 0 ? 0 : us == 0 ? 1 : log2_u64(us) + 2;
	n = map_lookup_elem(&usecs, &bucket);
	if (n)
		*n += 1;
	else if ((error = map_update_elem(&usecs, &bucket, &one, BPF_ANY)))
		map_full(1, error);
	map_delete_elem(&start, &pid);
	return 0;
}
