/* run/gradients.c -- gradients that go from one stage of this rank to another.
 *
 * They live from the pass that makes them to the last that reads them, and
 * those that do not meet share memory, as plan_buffers_make says for the list
 * of each phase.  Phases come one after the other, and no gradient lives from
 * one step to the next, so all phases use the same memory.
 */
#include "run/session.h"

/* Bytes of each of the buffers: of the largest that lies there.  Headers stay
 * in front, since a gradient is a border tensor. */
static void
measure (const struct session *s, const struct plan *p,
         const struct plan_buffers *b, size_t *bytes)
{
  for (int i = 0; i + 1 < s->n_local; i++) {
    const int border = s->local[i].k + 1;
    struct tensor in, out;
    stage_border (s->local[i].stage, &in, &out);
    const size_t one = arena_round (TENSOR_HEADER + out.bytes);
    for (int j = 0; j < p->n_streams[border]; j++)
      for (int m = 0; m < p->n_micro; m++) {
        const int at = plan_buffer (p, b, border, j, m);
        if (at >= 0 && one > bytes[at])
          bytes[at] = one;
      }
  }
}

/* Lays the buffers out from `from` on (NULL: nowhere); all they take. */
static size_t
lay (const struct session *s, int phase, char *from)
{
  struct inner_gradients *g = &s->gradients[phase];
  size_t sum = 0;
  for (int i = 0; i < g->buffers.n; i++) {
    if (from)
      g->data[i] = (float *)(from + sum + TENSOR_HEADER);
    sum += g->bytes[i];
  }
  return sum;
}

enum status
gradients_plan (struct session *s, size_t *bytes)
{
  const struct design *d = s->design;
  *bytes = 0;
  if (d->spec.forward_only)
    return OK;
  TRY (MEM_NEW ((size_t)d->n_phases, &s->gradients, "gradients"));
  for (int i = 0; i < d->n_phases; i++) {
    const struct plan *p = d->phase[i].plan;
    struct inner_gradients *g = &s->gradients[i];
    TRY (plan_buffers_make (p, wire_pipe_rank (s->wire), &g->buffers));
    TRY (MEM_NEW ((size_t)g->buffers.n, &g->bytes, "gradients"));
    TRY (MEM_NEW ((size_t)g->buffers.n, &g->data, "gradients"));
    measure (s, p, &g->buffers, g->bytes);
    const size_t all = lay (s, i, NULL);
    *bytes = all > *bytes ? all : *bytes;
  }
  return OK;
}

void
gradients_make (struct session *s, size_t bytes)
{
  char *from = bytes > 0 ? arena_take (&s->borders, bytes) : NULL;
  for (int i = 0; from && i < s->design->n_phases; i++)
    lay (s, i, from);
}

void
gradients_clear (struct session *s)
{
  for (int i = 0; s->gradients && i < s->design->n_phases; i++) {
    plan_buffers_clear (&s->gradients[i].buffers);
    mem_free (&s->gradients[i].bytes);
    mem_free (&s->gradients[i].data);
  }
  mem_free (&s->gradients);
}

float *
gradients_at (const struct session *s, int border, int stream, int micro)
{
  const struct inner_gradients *g = s->lane.gradients;
  const int at = plan_buffer (s->lane.plan, &g->buffers, border, stream, micro);
  CHECK (at >= 0, "stream %d at border %d is not of this rank", stream, border);
  return g->data[at];
}
