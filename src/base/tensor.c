/* base/tensor.c -- counting elements; words for how they lie. */
#include "base/tensor.h"

#include "base/status.h"
#include <stdio.h>

/* clang-format off */
static const struct { const char *name; size_t bytes; } types[] = {
    [TENSOR_F32] = {"f32", 4}, [TENSOR_BF16] = {"bf16", 2},
    [TENSOR_I32] = {"i32", 4}, [TENSOR_U8] = {"u8", 1},
};
/* clang-format on */
#define TYPES (sizeof types / sizeof *types)
_Static_assert(sizeof (float) == 4, "f32 is C's float");

size_t
tensor_bytes (enum tensor_type type, int64_t count)
{
  CHECK (type < TYPES, "a tensor of type %d", (int)type);
  return (size_t)count * types[type].bytes;
}

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
  if (f.type < TYPES)
    snprintf (type, sizeof type, "%s", types[f.type].name);
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
