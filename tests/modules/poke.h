/* SPDX-License-Identifier: GPL-2.0 */
/* A module's parameter `poke`: writing to it calls poke(). */
#include <linux/init.h>
#include <linux/module.h>

static void poke(int number);

static int poke_set(const char *text, const struct kernel_param *param)
{
	int number, failed = kstrtoint(text, 0, &number);

	if (!failed)
		poke(number);
	return failed;
}

static const struct kernel_param_ops poke_ops = { .set = poke_set };
module_param_cb(poke, &poke_ops, NULL, 0200);
MODULE_PARM_DESC(poke, "call the functions to be traced");
MODULE_DESCRIPTION("functions and types for the tests of a tracer");
MODULE_LICENSE("GPL");
