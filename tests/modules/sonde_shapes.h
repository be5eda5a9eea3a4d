/* SPDX-License-Identifier: GPL-2.0 */
/* One type of every shape that a script may walk through. Values are in sonde_shapes.c. */
#ifndef SONDE_SHAPES_H
#define SONDE_SHAPES_H

#include <linux/list.h>
#include <linux/types.h>

/* What pahole writes as BTF_KIND_TYPE_TAG; the kernel's own macros are empty for gcc. */
#if __has_attribute(btf_type_tag)
#define tagged(tag) __attribute__((btf_type_tag(#tag)))
#else
#define tagged(tag)
#endif

/* Kept as it is written: no inlining, no clones, no changed arguments. */
#define probed __attribute__((noipa))

enum shape_tiny { TINY_A, TINY_B = 7, TINY_C = 255 } __packed;
enum shape_tiny_neg { TINY_NEG = -3, TINY_POS = 5 } __packed;
enum shape_short { SHORT_A = 1, SHORT_B = 40000 } __packed;
enum shape_short_neg { SHORT_NEG = -300, SHORT_POS = 300 } __packed;
enum shape_int { INT_NEG = -5, INT_ZERO = 0, INT_BIG = 70000 };
enum shape_uint { UINT_ONE = 1, UINT_MAX_ = 0xfffffff0u };
enum shape_wide { WIDE_ONE = 1, WIDE_HUGE = 0x123456789abcULL };
enum shape_wide_neg { WIDE_NEG = -0x123456789abcLL, WIDE_POS = 3 };

struct shape_enums {
	enum shape_tiny tiny;
	enum shape_tiny_neg tiny_neg;
	enum shape_short shorter;
	enum shape_short_neg shorter_neg;
	enum shape_int plain;
	enum shape_uint upper;
	enum shape_wide wide;
	enum shape_wide_neg wide_neg;
	enum { ANON_ONE = 101, ANON_TWO } anon;
	enum shape_int unnamed_value;
	enum shape_int few[3];
};

/* Widths whose fields stay inside a unit of their type. */
struct shape_bits {
	u32 u1 : 1, u2 : 2, u5 : 5, u7 : 7, u9 : 9, : 3, u4 : 4;
	s32 s1 : 1, s2 : 2, s5 : 5, s7 : 7, s9 : 9, : 3, s4 : 4;
	u16 u3 : 3, u12 : 12;
	s16 s3 : 3, s12 : 12;
	u8 u6 : 6;
	s8 s6 : 6;
	u8 u8_ : 8;
	s8 s8_ : 8;
	u32 u31 : 31;
	s32 s31 : 31;
	u32 u32_ : 32;
	s32 s32_ : 32;
	u64 u33 : 33, u30 : 30;
	s64 s33 : 33, s30 : 30;
	u64 u63 : 63;
	s64 s63 : 63;
	u64 u64_ : 64;
	s64 s64_ : 64;
	bool flag : 1, other : 1;
	enum shape_int plain : 20;
	enum shape_tiny tiny : 8;
	enum shape_wide wide : 50;
};

/* The same packed: fields cross bytes, words, and in the end nine bytes. */
struct shape_packed_bits {
	u8 lead;
	u32 u3 : 3;
	u32 u11 : 11;
	s32 s13 : 13;
	u32 u17 : 17;
	s32 s23 : 23;
	u32 u29 : 29;
	s64 s37 : 37;
	u64 u40 : 40;
	s64 s57 : 57;
	u64 u2 : 2;
	u64 u64_ : 64;
	s64 s3 : 3;
	u32 after;
} __packed;

struct shape_point {
	s32 x, y;
};

struct shape_pair {
	u64 first;
	s64 second;
};

struct shape_triple {
	u64 a, b, c;
};

struct shape_nest;
typedef int (*shape_op_t)(struct shape_nest *nest, u64 arg);
typedef s16 shape_row_t[3];
typedef u32 shape_base_t;
typedef const shape_base_t shape_middle_t;
typedef volatile shape_middle_t shape_alias_t;

struct shape_nest {
	u8 tag;
	struct {
		u16 inner;
		union {
			u32 word;
			u8 bytes[4];
			struct {
				u16 low, high;
			};
		};
	} named;
	union {
		struct {
			s64 head;
			s64 foot;
		};
		u8 raw[16];
		struct shape_pair pair;
	};
	struct shape_point corners[2];
	s16 grid[2][3];
	shape_row_t rows[2];
	u8 cube[2][3][4];
	struct shape_point board[2][2];
	struct shape_point *corner_ptrs[2];
	struct shape_point **handle;
	struct shape_point (*corners_ptr)[2];
	shape_op_t op;
	void (*plain_op)(void);
	const volatile u32 fixed;
	shape_alias_t alias;
	const struct shape_point *const const_point;
	void *opaque;
	unsigned __int128 huge;
	bool yes, no;
	char letter;
	struct shape_nest *next;
	struct list_head node;
	u8 none[0];
	u16 count;
	struct shape_point tail[];
};

struct shape_strings {
	char full[4]; /* has no NUL */
	char text[16];
	u8 bytes[4];
	s8 signed_bytes[4];
	char table[3][8];
	const char *pointer;
	const char *pointers[2];
	char empty[4];
	const unsigned char *unsigned_pointer;
};

struct shape_item {
	u32 id;
	struct list_head link;
	char text[12];
	struct {
		u8 before;
		struct hlist_node deep;
	} sub;
};

struct shape_counter {
	u64 hits;
	u32 cpu;
	s16 pair[2];
};

struct shape_tags {
	const char tagged(user) *text;
	struct shape_point tagged(user) *point;
	struct shape_counter tagged(percpu) *counter;
	struct shape_item tagged(rcu) *item;
	int tagged(user) *const tagged(kernel) *chain;
};

union shape_value {
	u64 number;
	struct shape_point point;
	char text[8];
	u8 bytes[8];
};

probed long shapes_nest(struct shape_nest *nest, const struct shape_point *point);
probed int shapes_bits(struct shape_bits *bits, struct shape_packed_bits *packed);
probed void shapes_enums(struct shape_enums *enums, enum shape_int plain, enum shape_tiny tiny,
			 enum shape_tiny_neg tiny_neg, enum shape_wide_neg wide_neg);
probed int shapes_strings(struct shape_strings *strings, const char *label);
probed struct shape_item *shapes_list(struct list_head *head, struct hlist_node *deep);
probed u64 shapes_percpu(struct shape_counter tagged(percpu) *dynamic,
			 struct shape_counter tagged(percpu) *fixed);
probed int shapes_tags(struct shape_tags *tags, const char tagged(user) *text,
		       struct shape_point tagged(user) *point);
probed s8 shapes_s8(s8 v, u8 w);
probed u8 shapes_u8(u8 v);
probed s16 shapes_s16(s16 v, u16 w);
probed u16 shapes_u16(u16 v);
probed int shapes_int(int v, unsigned int w);
probed unsigned int shapes_uint(unsigned int v);
probed long shapes_long(long v, unsigned long w);
probed bool shapes_bool(bool v, bool w);
probed char shapes_char(char v);
probed enum shape_tiny_neg shapes_enum(enum shape_tiny_neg v);
probed shape_base_t shapes_alias(shape_alias_t v);
probed void shapes_void(void *p, const void *q);
probed void shapes_none(void);
probed const char *shapes_text(void);
probed struct shape_point *shapes_point(struct shape_point **handle, int index);
probed struct shape_point shapes_ret8(int v);
probed struct shape_pair shapes_ret16(int v);
probed struct shape_triple shapes_ret24(int v);
probed long shapes_by_value(struct shape_point p, struct shape_pair q, int v);
probed long shapes_by_stack(struct shape_triple t, int v);
probed long shapes_many(s8 a, u16 b, int c, long d, const char *e, struct shape_point *f, s16 g,
			u64 h);
probed int shapes_call(shape_op_t op, struct shape_nest *nest);
probed int shapes_union(union shape_value *value, int which);

#endif
