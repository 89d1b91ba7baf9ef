/* base/tensor.c -- counting elements. */
#include "base/tensor.h"

static int64_t
product (const int64_t *dims, int n)
{
  int64_t count = 1;
  for (int i = 0; i < n; i++)
    count *= dims[i];
  return count;
}

int64_t
tensor_count (const struct tensor *t)
{
  return product (t->dims, t->n_dims);
}

int64_t
tensor_info_count (const struct tensor_info *t)
{
  return product (t->dims, t->n_dims);
}
