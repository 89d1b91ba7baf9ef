/* model/layer.c -- what layers are made with: room in slots, pairs and caches,
 * and parameters.  What is made of it is in layer_*.c and layer_build.c.
 */
#include "model/layer_impl.h"
#include "base/fault.h"
#include "base/hash.h"
#include <stdio.h>

void *
work_take (struct work *w, size_t bytes)
{
  void *p = w->scratch;
  w->scratch += arena_round (bytes);
  return p;
}

/* Of a tensor that may have room for more rows than there are. */
static void
settle (const struct layer *l, struct work *w, size_t bytes, float *t)
{
  if (kern_precision (w->k) == KERN_F32 || l->kind->row || !t ||
      fault_here ("round"))
    return;
  const size_t row = layer_numbers (bytes) / (size_t)w->all_rows;
  kern_round (w->k, row * (size_t)w->rows, t, t);
}

enum status
layer_forward (struct layer *l, struct work *w, const float *x, float *y)
{
  TRY (l->kind->forward (l, w, x, y));
  settle (l, w, l->y_bytes, l->wide ? NULL : y);
  return OK;
}

enum status
layer_eval (struct layer *l, struct work *w, const float *x, float *y)
{
  TRY (l->kind->eval (l, w, x, y));
  settle (l, w, l->y_bytes, l->wide ? NULL : y);
  return OK;
}

enum status
layer_back (struct layer *l, struct work *w, const float *d_y, float *d_x)
{
  TRY (l->kind->back (l, w, d_y, d_x));
  settle (l, w, l->x_bytes, d_x);
  return OK;
}

/* Rounded up, so that the next piece begins on a cache line of its own. */
static size_t
give (size_t *total, size_t bytes)
{
  size_t at = *total;
  *total += arena_round (bytes);
  return at;
}

size_t
maker_slot (struct layer_maker *m, size_t bytes)
{
  return give (&m->slot_bytes, bytes);
}

size_t
maker_pair (struct layer_maker *m, size_t bytes)
{
  return give (&m->pair_bytes, bytes);
}

size_t
maker_cache (struct layer_maker *m, size_t bytes)
{
  return give (&m->cache_bytes, bytes);
}

int64_t
maker_rows (const struct layer_maker *m)
{
  return m->n * m->length;
}

size_t
maker_row_bytes (const struct layer_maker *m, int64_t width)
{
  return tensor_bytes (NETWORK_BORDER, maker_rows (m) * width);
}

struct kern_dims
maker_dims (const struct layer_maker *m, struct kern_dims d)
{
  d.n = m->n;
  return d;
}

size_t
maker_bytes (const struct layer_maker *m, struct kern_dims d, bool flat)
{
  return kern_bytes (m->k, maker_dims (m, d), flat ? KERN_PLAIN : m->inner);
}

enum status
maker_param (struct params *p, const struct recipe_step *s, const char *part,
             struct param want, size_t floats, int *id)
{
  snprintf (want.info.name, sizeof want.info.name, "%s.%s", s->name, part);
  return params_add (p, &want, floats, id);
}

enum status
maker_part (struct params *p, const struct recipe_step *s, int i,
            const char *what, struct param want, int *id)
{
  char part[RECIPE_NAME];
  if (i >= s->n_parts)
    return maker_param (p, s, what, want, 0, id);
  snprintf (part, sizeof part, "%.24s.%.12s", s->part[i].name, what);
  return maker_param (p, s, part, want, 0, id);
}

/* The site is the step's name: the same numbers go wherever it runs. */
struct kern_drop
layer_drop_of (const struct recipe_step *s)
{
  return (struct kern_drop){.p = (float)s->drop,
                            .site = hash_text (s->name, 0)};
}

struct kern_drop
layer_drop_now (struct kern_drop d, const struct work *w)
{
  d.seed = w->at->seed;
  d.step = w->at->step;
  d.first_sample = w->at->first_sample;
  d.p = w->fixed ? 0 : d.p;
  return d;
}

void
layer_destroy (struct layer **l)
{
  if (!*l)
    return;
  if ((*l)->kind->destroy)
    (*l)->kind->destroy (*l);
  mem_free (l);
}

enum status
layer_prove_product (struct kern *k, const struct kern_linear_shape *shape,
                     const struct kern_tuning *t)
{
  struct kern_linear *linear = NULL;
  enum status s = kern_linear_create (k, shape, t, &linear);
  kern_linear_destroy (&linear);
  return s;
}
