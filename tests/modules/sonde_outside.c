// SPDX-License-Identifier: GPL-2.0
/* As modules built outside the kernel's tree are: its BTF carries a distilled base. */

#include <linux/fs.h>
#include <linux/list.h>
#include <linux/sched.h>
#include "poke.h"

#define probed noinline __attribute__((noipa))

enum outside_mode { OUTSIDE_OFF, OUTSIDE_ON = 3 };

/* Kernel types by value, whose sizes the distilled base must keep, and by pointer. */
struct outside_item {
	struct list_head link;
	struct path path;
	spinlock_t lock;
	struct task_struct *task;
	struct outside_item *next;
	enum outside_mode mode;
	char name[12];
};

static struct outside_item item = { .mode = OUTSIDE_ON, .name = "outside" };

static probed long outside_walk(struct outside_item *i, struct task_struct *task, u32 times)
{
	return i->mode + times;
}

static probed struct outside_item *outside_file(struct file *file, loff_t *at)
{
	return &item;
}

static void poke(int number)
{
	struct file *file = current->mm->exe_file;
	loff_t at = -8;

	item.task = current;
	item.next = &item;
	item.path = file->f_path;
	outside_walk(&item, current, number);
	outside_file(file, &at);
}
