/* base/tensor.c -- counting elements; words for how they lie. */
#include "base/tensor.h"

#include <stdio.h>

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

bool
tensor_form_same (struct tensor_form a, struct tensor_form b)
{
  return a.type == b.type && a.layout == b.layout && a.block == b.block;
}

void
tensor_form_text (struct tensor_form f, char out[TENSOR_FORM])
{
  char type[16];
  /* What came over the wire may be any number. */
  if (f.type == TENSOR_F32)
    snprintf (type, sizeof type, "f32");
  else
    snprintf (type, sizeof type, "type %d", f.type);
  if (f.layout == TENSOR_PLAIN)
    snprintf (out, TENSOR_FORM, "%s, plain", type);
  else if (f.layout == TENSOR_BLOCKED)
    snprintf (out, TENSOR_FORM, "%s, channels in blocks of %d", type, f.block);
  else if (f.layout == TENSOR_LAST)
    snprintf (out, TENSOR_FORM, "%s, channels last", type);
  else
    snprintf (out, TENSOR_FORM, "%s, layout %d", type, f.layout);
}
