/* calls.bt by hand. */
#include "vmlinux.h"

struct key { char comm[16]; };
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct key);
	__type(value, __u64);
} counts SEC(".maps");
REPORTS_FULL_MAPS
char LICENSE[] SEC("license") = "GPL";

SEC("tracepoint/raw_syscalls/sys_enter")
int calls(void *ctx)
{
	struct key key;
	__u64 one = 1, *n;
	long error;

	get_current_comm(&key, sizeof(key));
	n = map_lookup_elem(&counts, &key);
	if (n)
		*n += 1;
	else if ((error = map_update_elem(&counts, &key, &one, BPF_ANY)))
		map_full(0, error);
	return 0;
}
