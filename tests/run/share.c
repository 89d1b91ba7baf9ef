/* ranks: 2 3 4 */
/* tests/run/share.c -- replicas that share the optimizer's state: after some
 * steps weights, moments and statistics have the bits that they have where
 * each replica keeps all of it, and a replica keeps its part alone.
 */
#define TAP_MPI
#include "tests/run/h5.h"
#include "tests/run/rig.h"

enum { STEPS = 3 };

struct row {
  const char *name, *span, *optimizer;
  bool tokens, tied, narrow;
  int K, micro;
  double clip;
};
static const struct row rows[] = {
    {"images", "2", "sgd", .K = 4, .micro = 2},
    {"images", "all", "sgd", .K = 4, .micro = 1, .clip = 0.3},
    {"images", "frozen,3,frozen,1", "adamw", .K = 4, .micro = 1},
    {"images", "1", "adamw", .K = 4, .micro = 1, .clip = 0.1, .narrow = true},
    {"tokens", "2", "adamw", .tokens = true, .K = 4, .micro = 1},
    {"tied tokens", "2", "adamw", true, true, false, 4, 2, 0.5},
    {"tied tokens", "all", "sgd", true, true, true, 4, 1, 0},
    {"one stage of tied tokens", "1", "adamw", true, true, false, 1, 1, 0},
};

static void
row_config (const struct rig *r, const struct row *row, int R, struct config *c)
{
  rig_config (r, row->K, c);
  if (row->tokens) {
    rig_language (c);
    snprintf (c->file, CONFIG_PATH, "%.*s/tokens.h5", CONFIG_PATH - 16,
              r->folder);
    snprintf (c->head, CONFIG_TEXT, "%s", row->tied ? "ln-shared" : "ln-fc");
    c->tied = row->tied;
  } else
    snprintf (c->groups, CONFIG_TEXT, "8x2,64x2"); /* several buckets */
  snprintf (c->span, CONFIG_WORD, "%s", row->span);
  key_set (KEY_OF (optimizer), row->optimizer, c);
  c->lr = c->optimizer == CONFIG_ADAMW ? 0.01 : 0.05;
  c->precision = row->narrow ? CONFIG_BF16 : c->precision;
  c->batch = 24;
  c->micro = row->micro;
  c->replicas = R;
  c->clip = row->clip;
}

/* A session after the steps; flow: norms are looked at in the second one. */
static void
walk (struct rig *r, const struct config *c, bool flow, struct session *s)
{
  rig_session (r->w, c, s);
  rig_must (session_begin (s, 0, STEPS));
  for (int step = 0; step < STEPS; step++) {
    s->flow.on = flow && step == 1;
    rig_step (s, step);
  }
  rig_must (session_end (s));
}

/* Bytes of weights, gradients and moments of this rank. */
static double
held (const struct session *s)
{
  double sum = 0;
  for (int i = 0; i < s->n_local; i++) {
    size_t bytes[5];
    stage_memory (s->local[i].stage, bytes);
    sum += (double)bytes[0];
  }
  return sum;
}

/* Bytes of all moments of this rank's stages, shared or not. */
static double
moments (const struct session *s)
{
  double sum = 0;
  for (int i = 0; i < s->n_local; i++)
    for (int j = 0; j < stage_tensors (s->local[i].stage); j++) {
      struct tensor_info info;
      bool head, statistic;
      stage_tensor (s->local[i].stage, j, &info, &head, &statistic);
      sum += statistic ? 0 : (double)tensor_info_count (&info);
    }
  const bool two = s->design->optimizer.kind == OPTIMIZER_ADAMW;
  return sum * (double)sizeof (float) * (two ? 2 : 1);
}

/* Moments that one twin alone holds become zeros. */
static void
spoil (struct session *s)
{
  struct local_stage *l = &s->local[s->n_local - 1];
  for (int i = 0; wire_replica (s->wire) == 1 && i < stage_tensors (l->stage);
       i++) {
    struct tensor_info info;
    bool head, statistic;
    float *v = NULL;
    stage_tensor (l->stage, i, &info, &head, &statistic);
    if (statistic)
      continue;
    rig_must (MEM_NEW ((size_t)tensor_info_count (&info), &v, "tensor"));
    rig_must (stage_tensor_in (l->stage, i, STAGE_MOMENT_1, v));
    mem_free (&v);
  }
}

static void
test_row (struct rig *r, const struct row *row, int R, bool flow)
{
  struct config c;
  struct session s;
  char *apart = NULL, *shared = NULL, *spoilt = NULL;
  row_config (r, row, R, &c);
  walk (r, &c, flow, &s);
  double bytes = held (&s);
  rig_must (check_state_digests (&s, &apart));
  session_close (&s);
  c.share_optimizer = true;
  walk (r, &c, flow, &s);
  /* Shares are whole cache lines, and convolutions may pad their weights. */
  const double saved = bytes - held (&s);
  const double want = moments (&s) * (R - 1) / R;
  tap_alone (saved > 0.98 * want - 2048 && saved < 1.25 * want + 2048,
             "%s, %s, %d replicas: %.0f bytes less, %.0f wanted", row->name,
             row->optimizer, R, saved, want);
  rig_must (check_state_digests (&s, &shared));
  spoil (&s);
  rig_must (check_state_digests (&s, &spoilt));
  session_close (&s);
  const char *differs = apart ? rig_difference (apart, shared) : "";
  tap_ok (differs[0] == '\0',
          "%s, span %s, %s, micro %d, clip %g, %d replicas: the same bits%s%s",
          row->name, row->span, row->optimizer, row->micro, row->clip, R,
          differs[0] ? ", but for " : "", differs);
  tap_ok (!shared || rig_difference (shared, spoilt)[0],
          "planted: %s: moments that twin 1 alone holds are seen", row->name);
  mem_free (&apart);
  mem_free (&shared);
  mem_free (&spoilt);
}

int
main (int argc, char **argv)
{
  struct rig r;
  rig_open (&argc, &argv, &r);
  rig_data (&r, 48, 16);
  h5_language (&r, "tokens", 40);
  for (int R = 2; R <= 4; R++)
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
      if (wire_size (r.w) % R == 0 && wire_size (r.w) / R <= rows[i].K)
        test_row (&r, &rows[i], R, i % 2 == 0);
  int result = tap_done ();
  rig_close (&r);
  return result;
}
