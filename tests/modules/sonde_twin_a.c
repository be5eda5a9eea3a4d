// SPDX-License-Identifier: GPL-2.0
/* Shares names with sonde_twin_b: what means the same there, and what does not. */

#include "poke.h"

#define probed noinline __attribute__((noipa))

/* A different layout in the other twin. */
struct sonde_twin {
	u32 id;
	u64 value;
	char name[8];
};

/* The same layout in the other twin. */
struct sonde_same {
	u32 first;
	s16 second;
	char name[10];
};

/* Defined in the other twin only. */
struct sonde_opaque;

/* Other values in the other twin. */
enum sonde_state { SONDE_IDLE = 1, SONDE_BUSY = 2 };

#undef TRACE_SYSTEM
#define TRACE_SYSTEM sonde_twin_a
#define TWIN_FIELDS __field(u32, id) __field(u64, value) __array(char, name, 8)
#define CREATE_TRACE_POINTS
#include "sonde_twin_trace.h"

static struct sonde_twin twin = { 0xa, 0xaaaaaaaaaaULL, "twin_a" };
static struct sonde_same same = { 1, -2, "same_a" };
/* What the other twin calls struct sonde_opaque. */
static u64 opaque[3] = { 0xa0, 0xa1, 0xa2 };

/* The other twin's has other parameters. */
static probed int sonde_twin_probe(struct sonde_twin *t, int n)
{
	return t->id + n;
}

/* The other twin's is the same. */
static probed int sonde_twin_same(struct sonde_same *s)
{
	return s->first;
}

static probed int sonde_twin_a_only(struct sonde_twin *t, struct sonde_opaque *o,
				    enum sonde_state state)
{
	return t->id + state;
}

static void poke(int number)
{
	sonde_twin_probe(&twin, number);
	sonde_twin_same(&same);
	sonde_twin_a_only(&twin, (struct sonde_opaque *)opaque, SONDE_BUSY);
	trace_sonde_hit(&twin);
}
