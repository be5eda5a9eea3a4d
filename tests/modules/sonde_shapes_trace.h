/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM sonde_shapes

#if !defined(SONDE_SHAPES_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define SONDE_SHAPES_TRACE_H

#include <linux/tracepoint.h>
#include <linux/version.h>
#include "sonde_shapes.h"

#ifndef shape_assign_str
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 10, 0)
#define shape_assign_str(field, from) __assign_str(field, from)
#define shape_assign_rel_str(field, from) __assign_rel_str(field, from)
#else
#define shape_assign_str(field, from) __assign_str(field)
#define shape_assign_rel_str(field, from) __assign_rel_str(field)
#endif
#endif

TRACE_EVENT(sonde_shapes_record,
	TP_PROTO(const char *label, const char *place, const struct shape_point *point,
		 enum shape_int plain, int count),
	TP_ARGS(label, place, point, plain, count),
	TP_STRUCT__entry(
		__field(u8, narrow)
		__field(s8, signed_narrow)
		__field(u16, half)
		__field(int, number)
		__field(long, wide)
		__field(bool, yes)
		__field(enum shape_int, plain)
		__field(enum shape_tiny, tiny)
		__field(const struct shape_point *, at)
		__field_struct(struct shape_point, point)
		__array(char, name, 8)
		__array(u32, numbers, 3)
		__string(label, label)
		__rel_string(place, place)
		__dynamic_array(u16, sequence, count)
		__rel_dynamic_array(u32, steps, count)
	),
	TP_fast_assign(
		__entry->narrow = 200;
		__entry->signed_narrow = -7;
		__entry->half = 60000;
		__entry->number = -123456;
		__entry->wide = -(1L << 40);
		__entry->yes = true;
		__entry->plain = plain;
		__entry->tiny = TINY_B;
		__entry->at = point;
		__entry->point = *point;
		memcpy(__entry->name, "tracked", 8);
		__entry->numbers[0] = 10;
		__entry->numbers[1] = 20;
		__entry->numbers[2] = 30;
		shape_assign_str(label, label);
		shape_assign_rel_str(place, place);
		for (int i = 0; i < count; i++) {
			((u16 *)__get_dynamic_array(sequence))[i] = 100 + i;
			((u32 *)__get_rel_dynamic_array(steps))[i] = 1000 * (i + 1);
		}
	),
	TP_printk("label=%s place=%s number=%d", __get_str(label), __get_rel_str(place), __entry->number)
);

/* Two events of one class: their record is struct trace_event_raw_sonde_shapes_class. */
DECLARE_EVENT_CLASS(sonde_shapes_class,
	TP_PROTO(const struct shape_point *point),
	TP_ARGS(point),
	TP_STRUCT__entry(
		__field(s32, x)
		__field(s32, y)
	),
	TP_fast_assign(
		__entry->x = point->x;
		__entry->y = point->y;
	),
	TP_printk("x=%d y=%d", __entry->x, __entry->y)
);
DEFINE_EVENT(sonde_shapes_class, sonde_shapes_enter,
	TP_PROTO(const struct shape_point *point), TP_ARGS(point));
DEFINE_EVENT(sonde_shapes_class, sonde_shapes_leave,
	TP_PROTO(const struct shape_point *point), TP_ARGS(point));

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE sonde_shapes_trace
#include <trace/define_trace.h>
