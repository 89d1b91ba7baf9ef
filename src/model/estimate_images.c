/* model/estimate_images.c -- how much memory a stage over images will take,
 * from its recipes alone: for plans, before anything is made.
 *
 * Follows layer_build.c, layer_group.c and stage.c: what they take when the
 * stage is made is added up here, and a test holds one to the other.  Left out
 * are vectors of a channel's size, channels that only fill a block up, and
 * rounding to whole cache lines.
 */
#include "model/stage_impl.h"
#include <math.h>

/* A layer, as layer_impl.h's, in bytes. */
struct box {
  double x, y, scratch;
  bool keeps;
};

struct sums {
  double n; /* samples */
  double slot, pair, params;
};

/* Layers in a row, so far: the sequence of layer_group.c. */
struct row {
  int n;
  double largest; /* tensor between two of them */
  struct box all; /* y, keeps: of the last one; scratch: the most of one */
};

static void
row_add (struct sums *z, struct row *r, struct box b)
{
  if (r->n++ == 0) {
    r->all = b;
    return;
  }
  r->largest = fmax (r->largest, r->all.y);
  z->slot += r->all.y;
  z->pair += r->all.keeps ? r->all.y : 0;
  r->all.y = b.y;
  r->all.keeps = b.keeps;
  r->all.scratch = fmax (r->all.scratch, b.scratch);
}

static struct box
row_end (const struct row *r)
{
  struct box b = r->all;
  b.scratch += 2 * r->largest;
  return b;
}

static struct box
step_box (struct sums *z, const struct recipe_step *s)
{
  struct network_unit u = {0};
  struct box b = {.x = network_border_bytes (s->in, z->n),
                  .y = network_border_bytes (s->out, z->n),
                  .keeps = layer_kind (s)->keeps};
  const double numbers = b.y / (double)tensor_bytes (NETWORK_BORDER, 1);
  if (layer_kind (s)->cost)
    layer_kind (s)->cost (s, &u);
  z->params += (double)u.params;
  if (s->kind == RECIPE_BN) {
    z->slot += s->relu ? numbers / 8 : 0; /* bits: which are positive */
    b.scratch = b.x;
  } else if (s->kind == RECIPE_MAXPOOL) {
    z->slot += numbers; /* bytes: where the largest was */
    b.scratch = numbers;
  }
  return b;
}

static struct box
row_box (struct sums *z, const struct recipe *r, const struct recipe_step *s,
         int n);

/* A sum of both ways round; x is held beside y where that is `both`. */
static struct box
sum_box (struct sums *z, const struct recipe *r, const struct recipe_step *s,
         int n, bool both)
{
  struct box b = row_box (z, r, s, n), skip = {0};
  if (r->n_skip > 0)
    skip = row_box (z, r, r->skip, r->n_skip);
  b.keeps = b.keeps || skip.keeps;
  b.scratch = fmax (b.scratch, skip.scratch);
  if (both)
    b.scratch += b.x + b.y;
  else if (r->n_skip > 0)
    b.scratch += fmax (b.x, b.y);
  return b;
}

static struct box
row_box (struct sums *z, const struct recipe *r, const struct recipe_step *s,
         int n)
{
  struct row row = {0};
  for (int i = 0; i < n; i++) {
    int inside = 0;
    if (s[i].kind != RECIPE_BRANCH) {
      row_add (z, &row, step_box (z, &s[i]));
      continue;
    }
    while (s[i + 1 + inside].kind != RECIPE_JOIN)
      inside++;
    row_add (z, &row, sum_box (z, r, s + i + 1, inside, false));
    i += inside + 1;
  }
  return row_end (&row);
}

static struct box
recipe_box (struct sums *z, const struct recipe *r)
{
  return r->residual ? sum_box (z, r, r->path, r->n_path, true)
                     : row_box (z, r, r->path, r->n_path);
}

/* -- a stage --------------------------------------------------------------- */

struct stage_sums {
  struct sums body, head;
  bool has_body, has_head;
  double in, out, logits; /* bytes of its borders, and of what the head says */
  double scratch;
};

static void
add_body (const struct stage_spec *spec, int end, struct stage_sums *s)
{
  const struct network *net = spec->net;
  const struct kern_dims in = network_recipe (net, spec->unit_first)->in;
  struct row row = {0};
  struct recipe border;
  s->in = s->out = network_border_bytes (in, s->body.n);
  if (stage_has_border (spec)) {
    recipe_border (&border, spec->border, in, false);
    row_add (&s->body, &row, recipe_box (&s->body, &border));
  }
  for (int i = spec->unit_first; i < end; i++)
    row_add (&s->body, &row, recipe_box (&s->body, network_recipe (net, i)));
  s->has_body = row.n > 0;
  if (!s->has_body)
    return;
  const struct box b = row_end (&row);
  s->out = b.y;
  s->scratch = b.scratch;
}

/* The decoder has its gradient, or in evaluation its output, besides. */
static void
add_head (const struct stage_spec *spec, const struct recipe_row *r,
          struct stage_sums *s)
{
  struct row row = {0};
  for (int i = 0; i < r->n; i++)
    row_add (&s->head, &row, recipe_box (&s->head, &r->part[i]));
  s->has_head = true;
  s->scratch = fmax (s->scratch, row_end (&row).scratch);
  s->logits = s->head.n * (double)network_spec (spec->net)->classes *
              (double)tensor_bytes (NETWORK_BORDER, 1);
  if (r->n_beside == 0)
    return;
  const struct box b = recipe_box (&s->head, &r->part[r->n]);
  s->head.slot += b.y;
  s->scratch = fmax (s->scratch, b.scratch + fmax (s->out, b.y));
}

static double
slot_bytes (const struct stage_spec *spec, const struct stage_sums *s)
{
  double sum = s->has_body ? s->out : 0;
  if (s->has_body && spec->mode < STAGE_STILL)
    sum += s->body.slot;
  if (s->has_head)
    sum += s->head.slot + s->head.pair + s->out + 2 * s->logits;
  return sum;
}

enum status
stage_estimate_images (const struct stage_spec *spec, bool own_input,
                       double copies, struct stage_bytes *out)
{
  const int units = network_units (spec->net);
  const bool last = spec->unit_end == units;
  const int end = last ? units - 1 : spec->unit_end;
  const double n = (double)spec->n_samples;
  struct stage_sums s = {.body.n = n, .head.n = n};
  struct recipe_row head = {.n = 1};
  const int pairs = spec->n_pairs > 0 ? spec->n_pairs : 1;
  add_body (spec, end, &s);
  if (last)
    head.part[0] = *network_recipe (spec->net, units - 1);
  else if (spec->head)
    TRY (recipe_head (spec->head, spec->net, end - 1, &head));
  if (last || spec->head)
    add_head (spec, &head, &s);
  out->work = s.scratch;
  out->held = network_param_bytes (s.body.params + s.head.params) * copies +
              (s.has_body ? s.out : 0) + s.logits;
  if (spec->training)
    out->held += slot_bytes (spec, &s) * spec->n_slots;
  if (spec->training && spec->mode < STAGE_HANDS_ON)
    out->held += s.body.pair * pairs;
  if (own_input)
    out->held += s.in * (1 + (spec->training ? spec->n_slots : 0));
  return OK;
}
