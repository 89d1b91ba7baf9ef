/* ranks: 1 2 4 */
/* tests/run/narrow.c -- train.precision = bf16: the same bits for any folding,
 * where a border inside a rank has to round as one between ranks does; numbers
 * at borders are bf16's; messages have half the bytes; and a step is as near to
 * that of f32 as the rounding of so many layers allows.
 */
#define TAP_MPI
#include "base/fault.h"
#include "tests/run/h5.h"

#include <math.h>

enum { STEPS = 3, TOKENS = 1, IMAGES = 0 };

struct row {
  int kind; /* of samples */
  const char *span, *mix, *order;
  int micro;
  double clip;
};

static const struct row rows[] = {
    {IMAGES, "1", "furthest", "post", 1, 0},
    {IMAGES, "2", "furthest", "post", 2, 0},
    {IMAGES, "4", "furthest", "pre", 2, 0.5},
    {IMAGES, "3", "sum", "post", 2, 0},
    {IMAGES, "frozen,2,2,all", "furthest", "pre", 1, 0},
    {TOKENS, "1", "furthest", "post", 1, 0},
    {TOKENS, "2", "furthest", "post", 2, 0},
    {TOKENS, "4", "furthest", "post", 2, 0.5},
    {TOKENS, "3", "mean", "post", 2, 0},
};
enum { ROWS = sizeof rows / sizeof *rows };

static void
row_config (const struct rig *r, const struct row *row, struct config *c)
{
  rig_config (r, 4, c);
  if (row->kind == TOKENS) {
    rig_language (c);
    snprintf (c->head, CONFIG_TEXT, "ln-shared");
    snprintf (c->file, CONFIG_PATH, "%.*s/tokens.h5", CONFIG_PATH - 16,
              r->folder);
    c->tied = true;
    c->dropout = 0.1;
    c->head_tokens = 0.5;
    c->optimizer = CONFIG_ADAMW;
    c->lr = 0.01;
  } else {
    c->augment = CONFIG_AUGMENT_FLIP_CROP4;
    key_set (KEY_OF (model_order), row->order, c);
  }
  snprintf (c->span, CONFIG_WORD, "%s", row->span);
  key_set (KEY_OF (mix), row->mix, c);
  c->micro = row->micro;
  c->clip = row->clip;
  c->precision = CONFIG_BF16;
}

static void
test_row (struct rig *r, const struct row *row)
{
  struct config c;
  char *alone = NULL, *here = NULL;
  row_config (r, row, &c);
  if (wire_rank (r->w) == 0)
    rig_walk_alone (&c, STEPS, &alone);
  rig_walk (r->w, &c, STEPS, &here);
  const char *differs = here ? rig_difference (alone, here) : "";
  tap_ok (differs[0] == '\0',
          "%s, span %s, mix %s, order %s, micro %d, clip %g%s%s",
          row->kind == TOKENS ? "tokens" : "images", row->span, row->mix,
          row->order, row->micro, row->clip, differs[0] ? ": differs: " : "",
          differs);
  mem_free (&here);
  mem_free (&alone);
}

/* One output, or gradient between layers, that is left as it came: a border
 * inside a rank among them. */
static void
test_unrounded (struct rig *r, const struct row *row, int nth)
{
  struct config c;
  char *right = NULL, *wrong = NULL, plant[32];
  row_config (r, row, &c);
  if (wire_rank (r->w) == 0) {
    rig_walk_alone (&c, 1, &right);
    snprintf (plant, sizeof plant, "round:%d", nth);
    fault_plant (plant);
    rig_walk_alone (&c, 1, &wrong);
    fault_plant ("");
  }
  tap_ok (!right || rig_difference (right, wrong)[0],
          "%s: rounding %d left out is noticed",
          row->kind == TOKENS ? "tokens" : "images", nth);
  mem_free (&wrong);
  mem_free (&right);
}

/* -- borders -----------------------------------------------------------------
 */

static bool
are_narrow (const float *v, size_t n)
{
  uint32_t bits, any = 0;
  for (size_t i = 0; v && i < n; i++) {
    memcpy (&bits, &v[i], sizeof bits);
    any |= bits & 0xffff;
  }
  return any == 0;
}

/* Those that came to a stage from the next one on this rank. */
static bool
inner_are_narrow (const struct session *s, const struct local_stage *l,
                  size_t n)
{
  const struct plan *p = s->lane.plan;
  const int border = l->k + 1;
  bool narrow = true;
  if (l == &s->local[s->n_local - 1])
    return true;
  for (int j = 0; j < p->n_streams[border]; j++)
    for (int m = 0; m < p->n_micro; m++)
      narrow = narrow && are_narrow (gradients_at (s, border, j, m), n);
  return narrow;
}

/* Outputs and gradients at borders of this rank's stages, and traffic. */
static bool
walk (struct rig *r, const struct config *c, double traffic[2],
      struct stage_loss *loss)
{
  struct session s;
  double bytes[2];
  int64_t messages[2];
  bool narrow = true;
  rig_session (r->w, c, &s);
  rig_must (session_begin (&s, 0, STEPS));
  wire_traffic (r->w, &bytes[0], &messages[0]);
  for (int step = 0; step < STEPS; step++)
    rig_losses (&s, step, step == 0 ? loss : loss + 4);
  rig_must (session_end (&s));
  wire_traffic (r->w, &bytes[1], &messages[1]);
  traffic[0] = bytes[1] - bytes[0];
  traffic[1] = (double)(messages[1] - messages[0]);
  for (int i = 0; i < s.n_local; i++) {
    struct local_stage *l = &s.local[i];
    struct tensor y;
    stage_output (l->stage, 0, &y);
    const size_t n = y.bytes / sizeof (float);
    narrow = narrow && are_narrow (y.data, n);
    for (int j = 0; j < l->n_cot * l->n_slots; j++)
      narrow = narrow && are_narrow (l->cot[j].t.data, n);
    narrow = narrow && inner_are_narrow (&s, l, n);
  }
  session_close (&s);
  return narrow;
}

/* Of images: no matrix is shared, and all messages are borders. */
static void
test_borders (struct rig *r)
{
  struct config c;
  struct stage_loss loss[8];
  double narrow[2], wide[2], all[128];
  row_config (r, &rows[3], &c);
  bool good = walk (r, &c, narrow, loss);
  c.precision = CONFIG_F32;
  bool wrong = walk (r, &c, wide, loss);
  tap_ok (good && !wrong, "numbers at borders are those of 16 bits; of f32 "
                          "they are not");
  double mine[2] = {narrow[0] * 2 - wide[0], narrow[1] - wide[1]};
  rig_must (wire_all_gather (r->w, mine, 2, all));
  bool half = wire_size (r->w) == 1 || narrow[0] + wide[0] > 0;
  for (int i = 0; i < 2 * wire_size (r->w); i++)
    half = half && all[i] == 0;
  tap_ok (half, "as many messages, %.0f bytes in place of %.0f", narrow[0],
          wide[0]);
}

/* -- beside f32 --------------------------------------------------------------
 */

struct gradients {
  float *v;
  size_t n, room;
};

static void
keep (struct session *s, struct local_stage *l, int64_t step, void *context)
{
  struct gradients *g = context;
  (void)s, (void)step;
  for (int part = 0; part < 2; part++) {
    float *block;
    size_t n;
    stage_gradients (l->stage, (enum stage_part)part, &block, &n);
    CHECK (g->n + n <= g->room, "room for gradients");
    memcpy (g->v + g->n, block, n * sizeof *block);
    g->n += n;
  }
}

static void
first_step (struct rig *r, const struct config *c, struct gradients *g,
            struct stage_loss *loss)
{
  struct session s;
  g->room = 1 << 20;
  g->n = 0;
  mem_open ();
  rig_must (MEM_NEW (g->room, &g->v, "gradients"));
  rig_session (r->w, c, &s);
  rig_must (session_begin (&s, 0, 1));
  s.on_gradients = keep;
  s.on_gradients_context = g;
  rig_losses (&s, 0, loss);
  rig_must (session_end (&s));
  session_close (&s);
}

/* A layer rounds its output, its weights and its input's gradient by 2^-9 at
 * most each, half of 2^-8; behind d layers up and d down that is no more than
 * 2 d 3/2 2^-8 of a gradient if none makes the error larger than the signal,
 * and d 2^-8 of a loss. */
static void
test_near (struct rig *r, const struct row *row, int depth)
{
  struct config c;
  struct gradients narrow = {NULL, 0, 0}, wide = {NULL, 0, 0};
  struct stage_loss a[8], b[8];
  double apart = 0, size = 0, worst = 0;
  row_config (r, row, &c);
  first_step (r, &c, &narrow, a);
  c.precision = CONFIG_F32;
  first_step (r, &c, &wide, b);
  for (size_t i = 0; i < wide.n; i++) {
    const double d = (double)narrow.v[i] - wide.v[i];
    apart += d * d;
    size += (double)wide.v[i] * wide.v[i];
  }
  for (int k = 0; k < 4; k++)
    if (b[k].loss > 0)
      worst = fmax (worst, fabs (a[k].loss - b[k].loss) / b[k].loss);
  const double one = ldexp (1, -8);
  apart = sqrt (apart / size);
  tap_ok (worst <= depth * one && worst > 0,
          "%s, span %s: losses off by %.2g of them, at most %.2g",
          row->kind == TOKENS ? "tokens" : "images", row->span, worst,
          depth * one);
  tap_ok (narrow.n == wide.n && apart <= 3 * depth * one && apart > one / 64,
          "gradients by %.2g of their norm, at most %.2g", apart,
          3 * depth * one);
  mem_free (&narrow.v);
  mem_free (&wide.v);
}

int
main (int argc, char **argv)
{
  struct rig r;
  rig_open (&argc, &argv, &r);
  rig_data (&r, 32, 16);
  h5_language (&r, "tokens", 40);
  for (int i = 0; i < ROWS; i++)
    test_row (&r, &rows[i]);
  /* 11 and 12 are gradients at a mean over 2^n numbers, which come out the same
   * rounded before or behind it. */
  for (int nth = 1; nth <= 16; nth++)
    if (nth != 11 && nth != 12)
      test_unrounded (&r, &rows[0], nth);
  for (int nth = 2; nth <= 12; nth++)
    test_unrounded (&r, &rows[7], nth);
  test_borders (&r);
  test_near (&r, &rows[0], 12);
  test_near (&r, &rows[2], 12);
  test_near (&r, &rows[5], 20);
  test_near (&r, &rows[7], 20);
  int result = tap_done ();
  rig_close (&r);
  return result;
}
