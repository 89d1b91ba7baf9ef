/* ranks: 1 2 3 4 */
/* tests/run/tokens.c -- language models in the engine: the same bits for any
 * folding and order of micro-batches, with matrices that stages share, dropout
 * and heads on some positions, with GPT-2's layers and with Llama's; copies
 * stay equal; random choices do not depend on micro-batches or replicas; one
 * stage is the same as four.
 */
#define TAP_MPI
#include "tests/rounding.h"
#include "tests/run/h5.h"

enum { STEPS = 3 };

struct row {
  const char *span, *mix, *head;
  bool tied, all;
  int micro;
  double clip, dropout, head_tokens;
  const char *orders; /* all have to agree with the first */
};

static const struct row rows[] = {
    {"1", "furthest", "ln-fc", false, false, 1, 0, 0, 1, "eager"},
    {"1", "furthest", "ln-fc", true, false, 2, 0, 0, 1, "eager 1f1b"},
    {"1", "furthest", "ln-shared", true, false, 1, 0, 0.1, 1, "eager"},
    {"2", "furthest", "ln-shared", false, true, 2, 0, 0.1, 0.5, "eager 1f1b"},
    {"2", "furthest", "ln-shared", true, true, 1, 0.5, 0, 1, "eager"},
    {"3", "sum", "ln-fc", true, false, 2, 0.5, 0.2, 0.5, "eager filldrain"},
    {"3", "mean", "ln-shared", true, false, 4, 0, 0.2, 0.25, "eager 1f1b"},
    {"4", "furthest", "ln-fc", true, false, 2, 0.5, 0.1, 1, "eager 1f1b"},
    {"4", "furthest", "ln-shared", true, true, 1, 0, 0, 0.5, "eager"},
};

/* Llama's layers in place of GPT-2's. */
static bool llama;

static void
config (const struct rig *r, int K, const struct row *row, struct config *c)
{
  rig_config (r, K, c);
  rig_language (c);
  c->dropout = row->dropout;
  c->tied = row->tied;
  snprintf (c->head, CONFIG_TEXT, "%s", row->head);
  c->head_tokens = row->head_tokens;
  snprintf (c->span, CONFIG_WORD, "%s", K == 1 ? "1" : row->span);
  key_set (KEY_OF (mix), row->mix, c);
  c->heads_all = row->all;
  c->micro = row->micro;
  c->clip = row->clip;
  c->optimizer = CONFIG_ADAMW;
  c->lr = 0.01;
  if (!llama)
    return;
  c->norm = CONFIG_RMSNORM;
  c->mlp = CONFIG_SWIGLU;
  c->positions = CONFIG_ROPE;
  c->kv_heads = 1;
  c->qk_norm = true;
}

static void
test_row (struct rig *r, const struct row *row, const char *border)
{
  struct config c;
  char *alone = NULL, *here = NULL, *save = NULL, orders[64];
  config (r, 4, row, &c);
  key_set (KEY_OF (border), border, &c);
  if (wire_rank (r->w) == 0)
    rig_walk_alone (&c, STEPS, &alone);
  snprintf (orders, sizeof orders, "%s", row->orders);
  for (char *word = strtok_r (orders, " ", &save); word;
       word = strtok_r (NULL, " ", &save)) {
    key_set (KEY_OF (run_schedule), word, &c);
    rig_walk (r->w, &c, STEPS, &here);
    const char *differs = here ? rig_difference (alone, here) : "";
    tap_ok (differs[0] == '\0',
            "span %s %s, %s%s, micro %d, clip %g, dropout %g, head_tokens %g, "
            "border %s, %s%s%s%s",
            row->span, row->mix, row->head, row->tied ? ", tied" : "",
            row->micro, row->clip, row->dropout, row->head_tokens, border, word,
            llama ? ", Llama's" : "", differs[0] ? ": differs: " : "", differs);
    mem_free (&here);
  }
  mem_free (&alone);
}

/* -- copies ------------------------------------------------------------------
 */

/* 32 bits of a digest of every copy on this rank: 0 none, -1 they differ. */
static double
copies (struct session *s)
{
  double first = 0;
  for (int i = 0; i < s->n_local; i++) {
    struct stage *stage = s->local[i].stage;
    float *value;
    size_t n;
    if (stage_shared (stage) == STAGE_SHARED_NONE)
      continue;
    stage_shared_value (stage, &value, &n);
    uint64_t h = hash_bytes (value, n * sizeof *value, 0);
    double mine = (double)(uint32_t)h + 1;
    if (first != 0 && mine != first)
      return -1;
    first = mine;
  }
  return first;
}

static void
test_copies (struct rig *r, const struct row *row)
{
  struct config c;
  struct session s;
  double all[64], before[64];
  int n = wire_size (r->w), users = 0;
  config (r, 4, row, &c);
  rig_session (r->w, &c, &s);
  double mine = copies (&s);
  rig_must (wire_all_gather (r->w, &mine, 1, before));
  rig_must (session_begin (&s, 0, STEPS));
  for (int step = 0; step < STEPS; step++)
    rig_step (&s, step);
  rig_must (session_end (&s));
  mine = copies (&s);
  rig_must (wire_all_gather (r->w, &mine, 1, all));
  bool good = mine >= 0;
  for (int i = 0; i < n; i++) {
    users += all[i] != 0;
    good = good && (all[i] == 0 || all[i] == all[n - 1]);
    good = good && (before[i] == 0 || before[i] == before[n - 1]);
  }
  tap_ok (good && all[n - 1] != before[n - 1],
          "%s%s: %d ranks have the shared matrix, equal at first and later",
          row->head, row->tied ? ", tied" : "", users);
  session_close (&s);
}

/* -- what random choices depend on -------------------------------------------
 */

/* Losses of all heads in the first step: of a forward pass alone. */
static void
first_losses (struct wire *w, const struct config *c, double *losses)
{
  struct session s;
  struct stage_loss loss[64];
  rig_session (w, c, &s);
  rig_must (session_begin (&s, 0, 1));
  rig_losses (&s, 0, loss);
  rig_must (session_end (&s));
  for (int k = 0; k < s.design->K; k++)
    losses[k] = loss[k].loss / (double)loss[k].counted;
  session_close (&s);
}

static double
apart (const double *a, const double *b, int n)
{
  double most = 0;
  for (int i = 0; i < n; i++)
    most = fmax (most, fabs (a[i] - b[i]));
  return most;
}

/* How far mean losses of one forward pass, of two that add in another order,
 * may be apart: layers do not know of each other's roundings, so squares add.
 */
static double
reach (const struct config *c, double loss)
{
  double d = rounding_of_result (c->d_model);
  double wide = rounding_of_result (c->mlp_ratio * c->d_model);
  double seen = rounding_of_result (c->context);
  /* Of a layer: q, k, v with their scores; the sum over positions; the matrix
   * behind it; two of the MLP.  Two norms, and a head. */
  double layer = 6 * d * d + seen * seen + wide * wide;
  return 2 * sqrt (c->layers * layer + d * d) * (1 + loss);
}

static void
test_random (struct rig *r)
{
  const struct row row = {"1", "furthest", "ln-fc", true, false,
                          1,   0,          0.3,     0.5,  "eager"};
  struct config c;
  double one[4], other[4];
  config (r, 4, &row, &c);
  first_losses (r->w, &c, one);
  const double limit = reach (&c, one[3]);
  c.micro = 4;
  first_losses (r->w, &c, other);
  tap_ok (apart (one, other, 4) <= limit,
          "four micro-batches drop and choose the same (%.1e)",
          apart (one, other, 4));
  c.micro = 2;
  if (wire_size (r->w) % 2 == 0) {
    c.replicas = 2;
    first_losses (r->w, &c, other);
    tap_ok (apart (one, other, 4) <= limit,
            "two replicas drop and choose the same (%.1e)",
            apart (one, other, 4));
    c.replicas = 1;
  }
  c.dropout = 0.29;
  first_losses (r->w, &c, other);
  tap_ok (apart (one, other, 4) > 10 * limit, "another dropout does not (%.1e)",
          apart (one, other, 4));
}

/* -- one stage ----------------------------------------------------------------
 */

static void
model_only (char *digests)
{
  char *to = digests;
  for (char *p = digests; *p;) {
    size_t n = strcspn (p, "\n") + 1;
    if (strncmp (p, "/model/", 7) == 0) {
      memmove (to, p, n);
      to += n;
    }
    p += n;
  }
  *to = '\0';
}

static void
test_uncut (struct rig *r, bool tied)
{
  const struct row row = {"4", "furthest", "ln-fc", tied, false,
                          2,   0,          0.1,     1,    "eager"};
  struct config c;
  char *cut = NULL, *whole = NULL;
  config (r, 4, &row, &c);
  rig_walk (r->w, &c, STEPS, &cut);
  const char *differs = "";
  if (wire_rank (r->w) == 0) {
    config (r, 1, &row, &c);
    rig_walk_alone (&c, STEPS, &whole);
    model_only (cut);
    model_only (whole);
    differs = rig_difference (whole, cut);
  }
  tap_ok (differs[0] == '\0' && (!whole || whole[0]),
          "end to end, four stages are one%s%s%s", tied ? ", tied" : "",
          differs[0] ? ": differs: " : "", differs);
  mem_free (&cut);
  mem_free (&whole);
}

int
main (int argc, char **argv)
{
  struct rig r;
  rig_open (&argc, &argv, &r);
  h5_language (&r, "data", 40);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    test_row (&r, &rows[i], "none");
  test_row (&r, &rows[1], "rms");
  test_row (&r, &rows[3], "ln");
  test_row (&r, &rows[4], "rms");
  test_row (&r, &rows[7], "ln");
  test_copies (&r, &rows[2]);
  test_copies (&r, &rows[3]);
  test_copies (&r, &rows[7]);
  test_random (&r);
  test_uncut (&r, false);
  test_uncut (&r, true);
  llama = true;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i += 2)
    test_row (&r, &rows[i], i % 4 ? "rms" : "none");
  test_row (&r, &rows[3], "none");
  test_copies (&r, &rows[3]);
  test_random (&r);
  test_uncut (&r, true);
  int result = tap_done ();
  rig_close (&r);
  return result;
}
