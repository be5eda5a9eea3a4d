// SPDX-License-Identifier: GPL-2.0
/* Calls functions whose arguments have every shape, with values known in advance:
 * echo 0 > /sys/module/sonde_shapes/parameters/poke */

#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/percpu.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "poke.h"
#include "sonde_shapes.h"
#define CREATE_TRACE_POINTS
#include "sonde_shapes_trace.h"

DEFINE_PER_CPU(struct shape_counter, sonde_shapes_counter);
DEFINE_PER_CPU(u64, sonde_shapes_ticks);
struct shape_point sonde_shapes_origin = { .x = 1000, .y = -1000 };

static struct shape_counter __percpu *dynamic;
/* gcc may give per-CPU pointers an address space of their own. */
#define as_tagged(p) ((struct shape_counter tagged(percpu) *)(__force unsigned long)(p))
static struct shape_nest *nest;
static struct shape_point points[2] = { { 11, -12 }, { 13, -14 } };
static struct shape_point *point_handle = &points[1];

static struct shape_strings strings = {
	.full = { 'f', 'u', 'l', 'l' },
	.text = "text",
	.bytes = { 1, 2, 254, 255 },
	.signed_bytes = { 1, -2, 127, -128 },
	.table = { "one", "two", "eighteen" },
	.pointer = "pointed",
	.pointers = { "first", "second" },
	.unsigned_pointer = (const unsigned char *)"unsigned",
};

static struct shape_enums enums = {
	.tiny = TINY_C,
	.tiny_neg = TINY_NEG,
	.shorter = SHORT_B,
	.shorter_neg = SHORT_NEG,
	.plain = INT_NEG,
	.upper = UINT_MAX_,
	.wide = WIDE_HUGE,
	.wide_neg = WIDE_NEG,
	.anon = ANON_TWO,
	.unnamed_value = 42,
	.few = { INT_BIG, INT_ZERO, INT_NEG },
};

static struct shape_bits bits = {
	.u1 = 1, .u2 = 2, .u5 = 21, .u7 = 100, .u9 = 300, .u4 = 15,
	.s1 = -1, .s2 = -2, .s5 = -11, .s7 = 50, .s9 = -200, .s4 = 7,
	.u3 = 5, .u12 = 3000,
	.s3 = -3, .s12 = -1000,
	.u6 = 33, .s6 = -31, .u8_ = 200, .s8_ = -100,
	.u31 = 0x7abcdef1, .s31 = -123456789, .u32_ = 0xfedcba98, .s32_ = -2000000000,
	.u33 = 0x1fedcba98ULL, .u30 = 0x2abcdef1, .s33 = -4000000000LL, .s30 = 0x1bcdef12,
	.u63 = 0x7edcba9876543210ULL, .s63 = -4000000000000000000LL,
	.u64_ = 0xfedcba9876543210ULL, .s64_ = -9000000000000000000LL,
	.flag = 1, .plain = INT_BIG, .tiny = TINY_B, .wide = WIDE_HUGE,
};

static struct shape_packed_bits packed = {
	.lead = 170, .u3 = 5, .u11 = 1234, .s13 = -3000, .u17 = 100000, .s23 = -4000000,
	.u29 = 500000000, .s37 = -60000000000LL, .u40 = 1000000000000ULL,
	.s57 = -70000000000000000LL, .u2 = 3, .u64_ = 0xfedcba9876543210ULL, .s3 = -4,
	.after = 0xabcdef01,
};

static struct shape_item items[3] = {
	{ .id = 1, .text = "item one", .sub.before = 91 },
	{ .id = 2, .text = "item two", .sub.before = 92 },
	{ .id = 3, .text = "item three", .sub.before = 93 },
};
static LIST_HEAD(item_list);

long shapes_nest(struct shape_nest *n, const struct shape_point *point)
{
	return n->named.word + point->x;
}

int shapes_bits(struct shape_bits *b, struct shape_packed_bits *p)
{
	return b->s5 + p->u11;
}

void shapes_enums(struct shape_enums *e, enum shape_int plain, enum shape_tiny tiny,
		  enum shape_tiny_neg tiny_neg, enum shape_wide_neg wide_neg)
{
	barrier();
}

int shapes_strings(struct shape_strings *s, const char *label)
{
	return strlen(label);
}

struct shape_item *shapes_list(struct list_head *head, struct hlist_node *deep)
{
	return list_first_entry(head, struct shape_item, link);
}

u64 shapes_percpu(struct shape_counter tagged(percpu) *d, struct shape_counter tagged(percpu) *f)
{
	return (unsigned long)d ^ (unsigned long)f;
}

int shapes_tags(struct shape_tags *tags, const char tagged(user) *text,
		struct shape_point tagged(user) *point)
{
	return tags->text == text;
}

s8 shapes_s8(s8 v, u8 w) { return v; }
u8 shapes_u8(u8 v) { return v; }
s16 shapes_s16(s16 v, u16 w) { return v; }
u16 shapes_u16(u16 v) { return v; }
int shapes_int(int v, unsigned int w) { return v; }
unsigned int shapes_uint(unsigned int v) { return v; }
long shapes_long(long v, unsigned long w) { return v; }
bool shapes_bool(bool v, bool w) { return v; }
char shapes_char(char v) { return v; }
enum shape_tiny_neg shapes_enum(enum shape_tiny_neg v) { return v; }
shape_base_t shapes_alias(shape_alias_t v) { return v; }
void shapes_void(void *p, const void *q) { barrier(); }
void shapes_none(void) { barrier(); }
const char *shapes_text(void) { return strings.pointer; }
struct shape_point *shapes_point(struct shape_point **handle, int index) { return *handle + index; }

struct shape_point shapes_ret8(int v)
{
	return (struct shape_point){ v, -v };
}

struct shape_pair shapes_ret16(int v)
{
	return (struct shape_pair){ v, -v };
}

struct shape_triple shapes_ret24(int v)
{
	return (struct shape_triple){ v, v, v };
}

long shapes_by_value(struct shape_point p, struct shape_pair q, int v)
{
	return p.x + p.y + q.first + q.second + v;
}

long shapes_by_stack(struct shape_triple t, int v)
{
	return t.a + t.b + t.c + v;
}

long shapes_many(s8 a, u16 b, int c, long d, const char *e, struct shape_point *f, s16 g, u64 h)
{
	return a + b + c + d + f->x + g + h;
}

int shapes_call(shape_op_t op, struct shape_nest *n)
{
	return op(n, 5);
}

int shapes_union(union shape_value *value, int which)
{
	return value->bytes[which];
}

/* Local to the file, as most kernel functions are. */
static probed int shapes_hidden(struct shape_point *point, u8 times)
{
	return point->x * times;
}

static probed int nest_op(struct shape_nest *n, u64 arg)
{
	return n->count + arg;
}

static void fill_nest(struct shape_nest *n)
{
	int i;

	n->tag = 7;
	n->named.inner = 60001;
	n->named.word = 0x04030201;
	n->head = -1234567890123LL;
	n->foot = 42;
	n->corners[0] = points[0];
	n->corners[1] = points[1];
	for (i = 0; i < 6; i++) {
		n->grid[i / 3][i % 3] = 10 * (i / 3) - i;
		n->rows[i / 3][i % 3] = 100 * (i / 3) + i;
	}
	for (i = 0; i < 24; i++)
		n->cube[i / 12][i / 4 % 3][i % 4] = 200 + i;
	for (i = 0; i < 4; i++)
		n->board[i / 2][i % 2] = (struct shape_point){ i, -i };
	n->corner_ptrs[0] = &n->corners[1];
	n->corner_ptrs[1] = &n->corners[0];
	n->handle = &point_handle;
	n->corners_ptr = &n->corners;
	n->op = nest_op;
	n->plain_op = shapes_none;
	*(u32 *)&n->fixed = 0xdeadbeef;
	*(u32 *)&n->alias = 77;
	*(const struct shape_point **)&n->const_point = &points[0];
	n->opaque = n;
	n->huge = ((unsigned __int128)1 << 64) + 2;
	n->yes = true;
	n->letter = 'L';
	n->next = n;
	INIT_LIST_HEAD(&n->node);
	n->count = 2;
	n->tail[0] = (struct shape_point){ 31, -32 };
	n->tail[1] = (struct shape_point){ 33, -34 };
}

/* A page of the writing process, so that user pointers are the real thing. */
static void poke_user(void)
{
	struct { struct shape_point point; char text[16]; } image = { { 71, -72 }, "from user" };
	unsigned long page = vm_mmap(NULL, 0, PAGE_SIZE, PROT_READ | PROT_WRITE,
				     MAP_ANONYMOUS | MAP_PRIVATE, 0);
	struct shape_tags tags = { .counter = as_tagged(dynamic), .item = &items[0] };

	if (IS_ERR_VALUE(page))
		return;
	if (!copy_to_user((void __user *)page, &image, sizeof(image))) {
		tags.point = (struct shape_point tagged(user) *)page;
		tags.text = (const char tagged(user) *)(page + sizeof(image.point));
		shapes_tags(&tags, tags.text, tags.point);
	}
	vm_munmap(page, PAGE_SIZE);
}

static void poke_scalars(void)
{
	shapes_s8(-100, 200);
	shapes_u8(250);
	shapes_s16(-30000, 60000);
	shapes_u16(65000);
	shapes_int(-2000000000, 4000000000u);
	shapes_uint(4000000001u);
	shapes_long(-9000000000L, 18000000000000000000ul);
	shapes_bool(true, false);
	shapes_char('c');
	shapes_enum(TINY_NEG);
	shapes_alias(4000000002u);
	shapes_void(&points[0], NULL);
	shapes_none();
	shapes_text();
	shapes_hidden(&points[0], 3);
}

static void poke_structs(void)
{
	union shape_value value = { .text = "ABCDEFG" };

	shapes_nest(nest, &points[0]);
	shapes_bits(&bits, &packed);
	shapes_enums(&enums, INT_BIG, TINY_B, TINY_NEG, WIDE_NEG);
	shapes_strings(&strings, "a label");
	shapes_list(&item_list, &items[1].sub.deep);
	shapes_point(&point_handle, -1);
	shapes_ret8(81);
	shapes_ret16(161);
	shapes_ret24(241);
	shapes_by_value((struct shape_point){ 1, -2 }, (struct shape_pair){ 3, -4 }, 5);
	shapes_by_stack((struct shape_triple){ 1, 2, 3 }, 4);
	shapes_many(-1, 60000, -3, -4, "five", &points[0], -7, 8);
	shapes_call(nest->op, nest);
	shapes_union(&value, 2);
}

static void poke_percpu(void)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		*per_cpu_ptr(&sonde_shapes_counter, cpu) =
			(struct shape_counter){ 100 + cpu, cpu, { -1 - cpu, 1 + cpu } };
		*per_cpu_ptr(dynamic, cpu) =
			(struct shape_counter){ 500 + cpu, cpu, { -5, 5 } };
		*per_cpu_ptr(&sonde_shapes_ticks, cpu) = 7000 + cpu;
	}
	shapes_percpu(as_tagged(dynamic), as_tagged(&sonde_shapes_counter));
}

/* 0: everything, once. */
static void poke(int number)
{
	if (number == 0 || number == 1)
		poke_scalars();
	if (number == 0 || number == 2)
		poke_structs();
	if (number == 0 || number == 3)
		poke_percpu();
	if (number == 0 || number == 4)
		poke_user();
	if (number == 0 || number == 5) {
		trace_sonde_shapes_record("a label", "the place", &points[0], INT_BIG, 3);
		trace_sonde_shapes_enter(&points[0]);
		trace_sonde_shapes_leave(&points[1]);
	}
}

static int __init shapes_init(void)
{
	int i;

	dynamic = alloc_percpu(struct shape_counter);
	nest = kzalloc(struct_size(nest, tail, 2), GFP_KERNEL);
	if (!dynamic || !nest) {
		free_percpu(dynamic);
		kfree(nest);
		return -ENOMEM;
	}
	fill_nest(nest);
	for (i = 0; i < 3; i++)
		list_add_tail(&items[i].link, &item_list);
	return 0;
}

static void __exit shapes_exit(void)
{
	free_percpu(dynamic);
	kfree(nest);
}

module_init(shapes_init);
module_exit(shapes_exit);
