/* SPDX-License-Identifier: GPL-2.0 */
/* An event of the same name in both twins; TWIN_FIELDS and TWIN_ASSIGN are the including module's. */
#if !defined(SONDE_TWIN_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define SONDE_TWIN_TRACE_H

#include <linux/tracepoint.h>

TRACE_EVENT(sonde_hit,
	TP_PROTO(struct sonde_twin *twin),
	TP_ARGS(twin),
	TP_STRUCT__entry(TWIN_FIELDS),
	TP_fast_assign(
		__entry->id = twin->id;
		__entry->value = twin->value;
		memcpy(__entry->name, twin->name, sizeof(__entry->name));
	),
	TP_printk("id=%d", (int)__entry->id)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE sonde_twin_trace
#include <trace/define_trace.h>
