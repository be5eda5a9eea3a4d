/* opens.bt by hand. */
#include "vmlinux.h"

struct event { __u64 id; __u64 pid; char comm[16]; char path[1024]; };
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 1 << 18); } events SEC(".maps");
__u64 lost;
char LICENSE[] SEC("license") = "GPL";

SEC("tracepoint/syscalls/sys_enter_openat")
int opens(struct trace_event_raw_sys_enter *ctx)
{
	struct event *e = ringbuf_reserve(&events, sizeof(*e), 0);
	if (!e) {
		__sync_fetch_and_add(&lost, 1);
		return 0;
	}
	e->id = 0;
	e->pid = get_current_pid_tgid() >> 32;
	get_current_comm(e->comm, sizeof(e->comm));
	probe_read_user_str(e->path, sizeof(e->path), (void *)ctx->args[1]);
	ringbuf_submit(e, BPF_RB_NO_WAKEUP);
	return 0;
}
