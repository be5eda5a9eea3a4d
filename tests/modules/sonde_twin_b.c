// SPDX-License-Identifier: GPL-2.0
/* Shares names with sonde_twin_a: what means the same there, and what does not. */

#include "poke.h"

#define probed noinline __attribute__((noipa))

/* A different layout in the other twin. */
struct sonde_twin {
	u64 value;
	char name[16];
	u32 flags;
	u16 id;
};

/* The same layout in the other twin. */
struct sonde_same {
	u32 first;
	s16 second;
	char name[10];
};

/* Only declared in the other twin. */
struct sonde_opaque {
	u64 first;
	struct sonde_twin *twin;
	u32 last;
};

/* Other values in the other twin. */
enum sonde_state { SONDE_IDLE = 10, SONDE_BUSY = 20 };

#undef TRACE_SYSTEM
#define TRACE_SYSTEM sonde_twin_b
#define TWIN_FIELDS __array(char, name, 16) __field(u16, id) __field(u64, value)
#define CREATE_TRACE_POINTS
#include "sonde_twin_trace.h"

static struct sonde_twin twin = { 0xbbbbbbbbbbULL, "this is twin_b", 5, 0xb };
static struct sonde_same same = { 3, -4, "same_b" };
static struct sonde_opaque opaque = { 0xb0, &twin, 0xb2 };

/* The other twin's has other parameters. */
static probed long sonde_twin_probe(const char *label, struct sonde_twin *t, u8 n)
{
	return t->id + n;
}

/* The other twin's is the same. */
static probed int sonde_twin_same(struct sonde_same *s)
{
	return s->first;
}

static probed int sonde_twin_b_only(struct sonde_opaque *o, enum sonde_state state)
{
	return o->last + state;
}

/* vmlinux has a function of this name. */
static probed int do_nanosleep(struct sonde_twin *t)
{
	return t->id;
}

static void poke(int number)
{
	sonde_twin_probe("label of b", &twin, number);
	sonde_twin_same(&same);
	sonde_twin_b_only(&opaque, SONDE_BUSY);
	do_nanosleep(&twin);
	trace_sonde_hit(&twin);
}
