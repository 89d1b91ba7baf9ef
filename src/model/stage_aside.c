/* model/stage_aside.c -- two gradients of one micro-batch, side by side,
 * between two batches of training.
 *
 * At such a moment gradients hold nothing that counts (params_begin), so their
 * blocks are free to use; the first writer of the next batch overwrites.
 */
#include "model/stage_impl.h"
#include <string.h>

/* Nothing was written since the last update. */
static void
begin (struct stage *s)
{
  for (int part = 0; part < 2; part++) {
    params_begin (&s->params[part]);
    params_begin (&s->shared[part]);
  }
}

void
stage_aside (struct stage *s)
{
  CHECK (s->spec.training && !s->aside, "stage %d: aside of what?", s->spec.k);
  for (int part = 0; part < 2; part++)
    CHECK (!s->params[part].touched && !s->shared[part].touched,
           "stage %d: in the middle of a batch", s->spec.k);
  s->aside = true;
}

void
stage_aside_end (struct stage *s)
{
  CHECK (s->aside, "stage_aside_end before stage_aside");
  begin (s);
  s->aside = false;
}

size_t
stage_aside_size (const struct stage *s)
{
  return s->params[STAGE_BODY].n_values + s->shared[STAGE_BODY].n_values;
}

void
stage_aside_keep (struct stage *s, float *copy)
{
  struct params *p[2] = {&s->params[STAGE_BODY], &s->shared[STAGE_BODY]};
  CHECK (s->aside, "stage_aside_keep before stage_aside");
  for (int i = 0; i < 2; i++) {
    if (p[i]->n_values == 0)
      continue;
    params_settle (p[i]);
    memcpy (copy, p[i]->grad, p[i]->n_values * sizeof *copy);
    copy += p[i]->n_values;
  }
  begin (s);
}

void
stage_aside_compare (struct stage *s, const float *copy, double product[3])
{
  struct params *p[2] = {&s->params[STAGE_BODY], &s->shared[STAGE_BODY]};
  CHECK (s->aside, "stage_aside_compare before stage_aside");
  product[0] = product[1] = product[2] = 0;
  for (int i = 0; i < 2; i++) {
    const size_t n = p[i]->n_values;
    if (n == 0)
      continue;
    params_settle (p[i]);
    product[0] += kern_dot (s->k, n, copy, copy);
    product[1] += kern_dot (s->k, n, copy, p[i]->grad);
    product[2] += kern_dot (s->k, n, p[i]->grad, p[i]->grad);
    copy += n;
  }
}
