/* model/recipe_cost.c -- what units and heads cost, each step by its kind. */
#include "model/layer_impl.h"
#include "base/hash.h"

/* A number for the arithmetic of a step, names left out. */
static uint64_t
step_alike (const struct recipe_step *s, uint64_t h)
{
  int64_t word[] = {s->kind,   s->in.c,     s->in.h,   s->in.w,     s->out.c,
                    s->out.h,  s->out.w,    s->kernel, s->stride,   s->pad,
                    s->bias,   s->relu,     s->plain,  s->flat,     s->heads,
                    s->words,  s->drop > 0, s->shared, s->kv_heads, s->turned,
                    s->normed, s->n_parts};
  return hash_bytes (word, sizeof word, h);
}

void
recipe_cost (const struct recipe *r, struct network_unit *out)
{
  struct network_unit u = {.in = r->in, .out = r->out};
  u.alike = (uint64_t)r->residual + 2 * (uint64_t)r->n_skip;
  for (int i = 0; i < recipe_steps (r); i++) {
    const struct recipe_step *s = recipe_step_at (r, i);
    u.act_bytes += network_border_bytes (s->out, 1);
    const double before = u.flops;
    if (layer_kind (s)->cost)
      layer_kind (s)->cost (s, &u);
    work_add (s, u.flops - before, &u.work);
    u.alike = step_alike (s, u.alike);
  }
  if (r->residual)
    work_add_sum (&r->out, &u.work);
  u.name = out->name;
  *out = u;
}

void
recipe_row_cost (const struct recipe_row *row, struct network_unit *out)
{
  struct network_unit u = {0};
  recipe_cost (&row->part[0], out);
  for (int i = 1; i < recipe_row_parts (row); i++) {
    recipe_cost (&row->part[i], &u);
    out->out = i < row->n ? u.out : out->out;
    out->params += u.params;
    out->flops += u.flops;
    out->work.forward += u.work.forward;
    out->work.data += u.work.data;
    out->work.weights += u.work.weights;
    out->act_bytes += u.act_bytes;
    out->alike = hash_bytes (&u.alike, sizeof u.alike, out->alike);
    out->mixes = out->mixes || u.mixes;
  }
}

bool
recipe_divides (const struct recipe *r, int block)
{
  for (int i = 0; i < recipe_steps (r); i++) {
    const struct recipe_step *s = recipe_step_at (r, i);
    if (layer_kind (s)->chooses && !s->last &&
        (s->out.c % block || (!s->plain && s->in.c % block)))
      return false;
  }
  return true;
}

static bool
same_dims (struct kern_dims a, struct kern_dims b)
{
  return a.c == b.c && a.h == b.h && a.w == b.w;
}

bool
recipe_same_kernels (const struct recipe_step *a, const struct recipe_step *b)
{
  return a->kind == b->kind && same_dims (a->in, b->in) &&
         same_dims (a->out, b->out) && a->kernel == b->kernel &&
         a->stride == b->stride && a->pad == b->pad && a->bias == b->bias &&
         a->relu == b->relu && a->plain == b->plain && a->flat == b->flat &&
         a->last == b->last && a->heads == b->heads &&
         a->kv_heads == b->kv_heads;
}
