/* calls.bt by hand. */
#include "vmlinux.h"

struct key { char comm[16]; };
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct key);
	__type(value, __u64);
} counts SEC(".maps");
char LICENSE[] SEC("license") = "GPL";

SEC("tracepoint/raw_syscalls/sys_enter")
int calls(void *ctx)
{
	struct key key;
	__u64 one = 1, *n;

	get_current_comm(&key, sizeof(key));
	n = map_lookup_elem(&counts, &key);
	if (n)
		*n += 1;
	else
		map_update_elem(&counts, &key, &one, BPF_ANY);
	return 0;
}
