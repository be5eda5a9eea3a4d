// Every kind of CO-RE relocation that clang 14 can write, with fields that move between kernels, flavours, and what no
// kernel has where that is an answer and not an error.
typedef unsigned long long u64;

#define SEC(name) __attribute__((section(name), used))
#define CORE __attribute__((preserve_access_index))
#define FIELD(type, path, what) __builtin_preserve_field_info(((struct type *)0)->path, what)
#define TYPE_EXISTS(type) __builtin_preserve_type_info(*(type *)0, 0)
#define TYPE_SIZE(type) __builtin_preserve_type_info(*(type *)0, 1)
#define TYPE_ID(type, what) __builtin_btf_type_id(*(type *)0, what)
#define ENUMERATOR(type, name, what) __builtin_preserve_enum_value(*(typeof(type) *)name, what)

enum { OFFSET, SIZE, EXISTS, SIGNED, LSHIFT, RSHIFT };

struct load_weight { unsigned long weight; } CORE;
struct sched_entity { struct load_weight load; u64 sum_exec_runtime; } CORE;
struct task_struct {
	int pid;
	int prio;
	unsigned int flags;
	char comm[16];
	unsigned sched_reset_on_fork : 1;
	unsigned in_execve : 1;
	unsigned no_cgroup_migration : 1;
	struct sched_entity se;
	struct task_struct *group_leader;
} CORE;
struct task_struct___old { long state; } CORE;
struct task_struct___new { unsigned int __state; } CORE;
struct task_struct___not { int no_such_field; struct { int x; } se; } CORE;
struct sk_buff { unsigned char pkt_type : 3, cloned : 1; unsigned short protocol; unsigned int len; } CORE;
struct tcphdr { unsigned short res1 : 4, doff : 4, fin : 1, syn : 1; } CORE;
struct no_such_struct { int x; } CORE;
union bpf_attr { unsigned int map_type; } CORE;
typedef int pid_t;
typedef struct { int x; } no_such_typedef;
enum pid_type { PIDTYPE_PID, PIDTYPE_TGID, PIDTYPE_SID, PIDTYPE_MAX };
enum pid_type___other { PIDTYPE_NONE___other = 99 };
enum bpf_map_type { BPF_MAP_TYPE_HASH = 77, BPF_MAP_TYPE_RINGBUF = 5 };
enum no_such_enum { NO_SUCH_NAME = 7 };

volatile u64 out[80];
char _license[] SEC("license") = "GPL";

SEC("raw_tp") int fields(void *ctx)
{
	out[0] = FIELD(task_struct, pid, OFFSET);
	out[1] = FIELD(task_struct, comm[3], OFFSET);
	out[2] = FIELD(task_struct, comm, SIZE);
	out[3] = FIELD(task_struct, se.load.weight, OFFSET);
	out[4] = FIELD(task_struct, se.load.weight, SIZE);
	out[5] = FIELD(task_struct, prio, SIGNED);
	out[6] = FIELD(task_struct, flags, SIGNED);
	out[7] = FIELD(task_struct, group_leader, SIZE);
	out[8] = FIELD(task_struct___old, state, EXISTS);
	out[9] = FIELD(task_struct___new, __state, EXISTS);
	out[10] = FIELD(task_struct___not, no_such_field, EXISTS);
	out[11] = FIELD(task_struct___not, se.x, EXISTS);
	out[12] = FIELD(no_such_struct, x, EXISTS);
	out[13] = FIELD(sk_buff, len, OFFSET);
	out[14] = FIELD(sk_buff, protocol, SIZE);
	return 0;
}

SEC("raw_tp") int bitfields(void *ctx)
{
	out[20] = FIELD(task_struct, in_execve, LSHIFT);
	out[21] = FIELD(task_struct, in_execve, RSHIFT);
	out[22] = FIELD(task_struct, in_execve, OFFSET);
	out[23] = FIELD(task_struct, in_execve, SIZE);
	out[24] = FIELD(task_struct, sched_reset_on_fork, LSHIFT);
	out[25] = FIELD(task_struct, no_cgroup_migration, LSHIFT);
	out[26] = FIELD(task_struct, no_cgroup_migration, SIGNED);
	out[27] = FIELD(sk_buff, pkt_type, LSHIFT);
	out[28] = FIELD(sk_buff, pkt_type, RSHIFT);
	out[29] = FIELD(sk_buff, cloned, OFFSET);
	out[30] = FIELD(tcphdr, doff, LSHIFT);
	out[31] = FIELD(tcphdr, doff, RSHIFT);
	out[32] = FIELD(tcphdr, syn, LSHIFT);
	out[33] = FIELD(tcphdr, syn, EXISTS);
	return 0;
}

SEC("raw_tp") int types(void *ctx)
{
	out[40] = TYPE_ID(struct task_struct, 0);
	out[41] = TYPE_ID(struct task_struct, 1);
	out[42] = TYPE_ID(pid_t, 1);
	out[43] = TYPE_EXISTS(struct task_struct);
	out[44] = TYPE_EXISTS(struct no_such_struct);
	out[45] = TYPE_EXISTS(pid_t);
	out[46] = TYPE_EXISTS(no_such_typedef);
	out[47] = TYPE_EXISTS(enum pid_type);
	out[48] = TYPE_EXISTS(union bpf_attr);
	out[49] = TYPE_SIZE(struct task_struct);
	out[50] = TYPE_SIZE(struct sk_buff);
	out[51] = TYPE_SIZE(union bpf_attr);
	out[52] = TYPE_SIZE(struct no_such_struct);
	out[53] = TYPE_SIZE(struct task_struct___not);
	return 0;
}

SEC("raw_tp") int enumerators(void *ctx)
{
	out[60] = ENUMERATOR(enum pid_type, PIDTYPE_TGID, 0);
	out[61] = ENUMERATOR(enum pid_type, PIDTYPE_TGID, 1);
	out[62] = ENUMERATOR(enum pid_type, PIDTYPE_MAX, 1);
	out[63] = ENUMERATOR(enum bpf_map_type, BPF_MAP_TYPE_HASH, 1);
	out[64] = ENUMERATOR(enum bpf_map_type, BPF_MAP_TYPE_RINGBUF, 1);
	out[65] = ENUMERATOR(enum pid_type___other, PIDTYPE_NONE___other, 0);
	out[66] = ENUMERATOR(enum no_such_enum, NO_SUCH_NAME, 0);
	return 0;
}
