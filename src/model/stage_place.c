/* model/stage_place.c -- where things of a stage are: its slots, its borders,
 * what layers work on.
 *
 * The lowest of the stage's files: stage_token.c calls this one, stage.c and
 * stage_work.c call both, and nobody calls back.
 */
#include "model/stage_impl.h"

struct place *
stage_place (const struct stage *s, int slot)
{
  CHECK (slot == STAGE_EVAL || (slot >= 0 && slot < s->n_slots),
         "slot %d of %d%s", slot, s->n_slots,
         s->spec.training ? "" : " (the stage is made for evaluation only)");
  return slot == STAGE_EVAL ? (struct place *)&s->eval : &s->place[slot];
}

/* How numbers lie between two stages. */
static struct tensor_form
inner_form (const struct stage *s)
{
  struct tensor_form f = {.type = NETWORK_BORDER, .layout = TENSOR_BLOCKED};
  if (s->rows || s->inner == KERN_PLAIN)
    f.layout = TENSOR_PLAIN;
  else if (s->inner == KERN_LAST)
    f.layout = TENSOR_LAST;
  else
    f.block = (uint8_t)kern_block (s->k);
  return f;
}

/* Rows are [B, T, D], or [B, T] in the first stage's input. */
static struct tensor
border (const struct stage *s, struct kern_dims d, size_t bytes, void *data)
{
  if (s->rows)
    return (struct tensor){.data = data,
                           .bytes = bytes,
                           .n_dims = d.c == 1 ? 2 : 3,
                           .dims = {d.n, d.h, d.c},
                           .form = inner_form (s)};
  return (struct tensor){.data = data,
                         .bytes = bytes,
                         .n_dims = 4,
                         .dims = {d.n, d.c, d.h, d.w},
                         .form = inner_form (s)};
}

/* The first stage's images or tokens are as the loader gives them. */
static struct tensor
input_border (const struct stage *s, float *data)
{
  struct tensor t = border (s, s->in, s->in_bytes, data);
  if (stage_is_first (s))
    t.form = (struct tensor_form){.type = s->rows ? TENSOR_I32 : TENSOR_F32,
                                  .layout = TENSOR_PLAIN};
  return t;
}

enum status
stage_input (struct stage *s, int slot, struct tensor *out)
{
  struct place *p = stage_place (s, slot);
  if (!p->input) {
    TRY (MEM_NEW (TENSOR_HEADER + s->in_bytes, &p->input, "stage input"));
    s->input_bytes += TENSOR_HEADER + s->in_bytes;
  }
  *out = input_border (s, (float *)(p->input + TENSOR_HEADER));
  return OK;
}

void
stage_output (const struct stage *s, int slot, struct tensor *out)
{
  const struct place *p = stage_place (s, slot);
  float *y = p->y;
  /* An empty body hands its input on; nobody writes to an output. */
  if (!s->body)
    y = p->x       ? (float *)(uintptr_t)p->x
        : p->input ? (float *)(p->input + TENSOR_HEADER)
                   : NULL;
  *out = border (s, s->out, s->out_bytes, y);
}

void
stage_border (const struct stage *s, struct tensor *in, struct tensor *out)
{
  *in = input_border (s, NULL);
  *out = border (s, s->out, s->out_bytes, NULL);
}

void
stage_take (const struct stage *s, struct tensor *x)
{
  if (x->form.type == TENSOR_F32)
    stage_settle (s, x->bytes / tensor_bytes (TENSOR_F32, 1), x->data);
}

/* -- messages ---------------------------------------------------------------
 */

bool
stage_packs (const struct stage *s)
{
  return kern_precision (s->k) != KERN_F32;
}

static size_t
numbers (const struct tensor *t)
{
  return t->bytes / tensor_bytes (NETWORK_BORDER, 1);
}

/* t as 16-bit numbers that begin at data. */
static struct tensor
packed (const struct tensor *t, void *data)
{
  struct tensor p = *t;
  p.data = data;
  p.bytes = tensor_bytes (TENSOR_BF16, (int64_t)numbers (t));
  p.form.type = TENSOR_BF16;
  return p;
}

void
stage_message (const struct stage *s, const struct tensor *t,
               struct tensor *out)
{
  *out = *t;
  if (stage_packs (s))
    *out = packed (t, (char *)t->data + t->bytes / 2);
}

void
stage_pack (const struct stage *s, const struct tensor *t, void *room,
            struct tensor *out)
{
  const struct tensor whole = *t; /* which out may lie over */
  *out = whole;
  if (!stage_packs (s))
    return;
  *out = packed (&whole, room ? room : whole.data);
  if (room)
    kern_pack (s->k, numbers (&whole), whole.data, room);
  else
    kern_pack_over (s->k, numbers (&whole), whole.data);
}

void
stage_unpack (const struct stage *s, const struct tensor *t)
{
  if (stage_packs (s))
    kern_unpack_over (s->k, numbers (t), t->data);
}

bool
stage_is_first (const struct stage *s)
{
  return s->spec.unit_first == 0;
}

bool
stage_rebuilds (const struct stage *s)
{
  return s->rebuild.decoder != NULL;
}

void
stage_picture (struct stage *s, int slot, const float *x, const double *mean,
               const double *std)
{
  stage_place (s, slot)->picture =
      (struct kern_picture){.x = x, .mean = mean, .std = std};
}

bool
stage_has_head (const struct stage *s)
{
  return s->head != NULL || s->project.on;
}

/* -- for the work -----------------------------------------------------------
 */

struct work
stage_work (struct stage *s, enum stage_part part, const struct place *p,
            char *slot, char *pair)
{
  return (struct work){.k = s->k,
                       .params = &s->params[part],
                       .slot = slot,
                       .pair = pair,
                       .scratch = kern_room (s->k),
                       .rows = stage_rows (s),
                       .all_rows = stage_rows (s),
                       .still = s->aside,
                       .fixed = part == STAGE_BODY && s->mode != STAGE_LEARNS,
                       .at = &p->when};
}

void
stage_settle (const struct stage *s, size_t n, float *t)
{
  if (kern_precision (s->k) != KERN_F32)
    kern_round (s->k, n, t, t);
}

const float *
stage_output_of (const struct stage *s, const struct place *p)
{
  return s->body ? p->y : p->x;
}
