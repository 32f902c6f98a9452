/* The doubly linked list: order, membership and removal while walking. */
#include "net/base/list.h"

#include "net/base/check.h"
#include "unit.h"

struct item {
	int value;
	struct list link;
};

static int sum_digits(const struct list *head)
{
	const struct list *pos;
	int digits = 0;

	list_for_each (pos, head) {
		const struct item *it =
			(const struct item *)(const void *)((const char *)pos -
							    offsetof(struct item, link));
		digits = digits * 10 + it->value;
	}
	return digits;
}

static void test_push_and_del(void)
{
	struct list head;
	struct item a = {.value = 1}, b = {.value = 2}, c = {.value = 3};

	list_init(&head);
	CU_ASSERT_TRUE(list_empty(&head));
	CU_ASSERT_FALSE(list_linked(&a.link));
	list_push(&head, &a.link);
	list_push(&head, &b.link);
	list_push(&head, &c.link);
	CU_ASSERT_EQUAL(sum_digits(&head), 123);
	CU_ASSERT_TRUE(list_linked(&b.link));
	list_del(&b.link);
	CU_ASSERT_FALSE(list_linked(&b.link));
	CU_ASSERT_EQUAL(sum_digits(&head), 13);
	list_push(&head, &b.link);
	CU_ASSERT_EQUAL(sum_digits(&head), 132);
	list_del(&a.link);
	list_del(&c.link);
	CU_ASSERT_FALSE(list_empty(&head));
	list_del(&b.link);
	CU_ASSERT_TRUE(list_empty(&head));
	/* Removing what is alone changes nothing. */
	list_del(&b.link);
	CU_ASSERT_FALSE(list_linked(&b.link));
}

static void test_del_while_walking(void)
{
	struct list head, *pos, *tmp;
	struct item items[9];

	list_init(&head);
	for (int i = 0; i < 9; i++) {
		items[i].value = i + 1;
		list_push(&head, &items[i].link);
	}
	list_for_each_safe (pos, tmp, &head) {
		if (CONTAINER_OF(pos, struct item, link)->value % 2 == 0)
			list_del(pos);
	}
	CU_ASSERT_EQUAL(sum_digits(&head), 13579);
	list_for_each_safe (pos, tmp, &head) {
		list_del(pos);
	}
	CU_ASSERT_TRUE(list_empty(&head));
}

UNIT_MAIN("list", UNIT(push_and_del), UNIT(del_while_walking))
