/* run/features.c -- outputs of every stage of a checkpoint, for who studies
 * them.
 *
 * An evaluation whose stages hand their outputs to a sink on the way.  Every
 * few batches all ranks take a turn together, in which the sink may send what
 * it was given; a rank that has fewer batches joins the last turns with
 * nothing.
 */
#include "run/run_impl.h"

#include <string.h>

struct giving {
  const struct run_features *ask;
  const struct run_sink *sink;
  int per_turn, since, n_turns, turns; /* n_turns: of the whole */
  int64_t batches;                     /* of all replicas */
  float *rows;                         /* of the widest stage here */
};

static enum status
take_turn (struct giving *g)
{
  g->since = 0;
  g->turns++;
  return g->sink->turn (g->sink->context);
}

static enum status
on_output (struct session *s, struct local_stage *l, int64_t batch, int64_t n,
           void *context)
{
  struct giving *g = context;
  int64_t first = batch * s->n_samples;
  int64_t here = n - first < s->n_samples ? n - first : s->n_samples;
  stage_output_rows (l->stage, here, g->ask->pooled, g->rows);
  TRY (g->sink->rows (g->sink->context, l->k, first, here, g->rows));
  if (l != &s->local[s->n_local - 1])
    return OK;
  if (++g->since == g->per_turn)
    TRY (take_turn (g));
  bool last = batch + s->R >= g->batches;
  while (last && g->turns < g->n_turns)
    TRY (take_turn (g));
  return OK;
}

/* -- ranks ------------------------------------------------------------------
 */

/* As many replicas as it takes for every rank to have a stage, and batches that
 * all of them have one of. */
static enum status
spread (struct wire *w, struct run_config *c, int64_t n)
{
  int64_t size = wire_size (w), replicas = 1;
  int64_t each = c->batch / (c->micro * c->replicas);
  while (size % replicas != 0 || size / replicas > c->count)
    replicas++;
  if (each * replicas > n)
    each = n / replicas;
  if (each < 1)
    return fail (E_DATA, "%lld samples are too few for %lld ranks",
                 (long long)n, (long long)size);
  c->replicas = replicas;
  c->micro = 1;
  c->batch = each * replicas;
  c->limit = 0;
  c->init[0] = '\0';
  return OK;
}

/* -- shape ------------------------------------------------------------------
 */

static enum status
tell_shape (struct session *s, const struct run_features *ask,
            enum store_split split, int64_t n, int64_t step,
            const struct run_sink *sink, int *per_turn)
{
  int64_t *width = NULL;
  const char **behind = NULL;
  enum status e = MEM_NEW ((size_t)s->K, &width, "widths");
  if (e == OK)
    e = MEM_NEW ((size_t)s->K, &behind, "names of blocks");
  e = wire_agree (s->wire, e);
  for (int k = 0; e == OK && k < s->K; k++) {
    struct network_unit u;
    /* The last stage's body ends before the output unit. */
    int end = s->first[k + 1] - 1 - (k == s->K - 1);
    network_unit (s->net, end < 0 ? 0 : end, &u);
    behind[k] = u.name;
    width[k] = ask->pooled ? u.out.c : u.out.c * u.out.h * u.out.w;
  }
  struct run_shape shape = {.n_stages = s->K,
                            .width = width,
                            .behind = behind,
                            .n_samples = n,
                            .batch = s->n_samples,
                            .classes = s->info.classes,
                            .threads = s->threads,
                            .labels = store_labels (s->data, split),
                            .step = step};
  uint64_t numbers[] = {s->info.digest, (uint64_t)split, (uint64_t)n};
  shape.digest = hash_bytes (numbers, sizeof numbers, 0);
  if (e == OK)
    e = sink->begin (sink->context, &shape, per_turn);
  for (int i = 0; e == OK && i < s->n_local; i++)
    CHECK (stage_row_width (s->local[i].stage, ask->pooled) ==
               width[s->local[i].k],
           "stage %d is of another width than its last block", s->local[i].k);
  mem_free (&width);
  mem_free (&behind);
  return e;
}

static enum status
give_all (struct session *s, struct giving *g, enum store_split split,
          int64_t n)
{
  struct evaluation v = {0};
  int64_t widest = 0;
  g->batches = (n + s->n_samples - 1) / s->n_samples;
  int64_t each = (g->batches + s->R - 1) / s->R;
  g->n_turns = (int)((each + g->per_turn - 1) / g->per_turn);
  for (int i = 0; i < s->n_local; i++) {
    int64_t one = stage_row_width (s->local[i].stage, g->ask->pooled);
    widest = one > widest ? one : widest;
  }
  enum status e = MEM_NEW ((size_t)(widest * s->n_samples), &g->rows, "rows");
  if (e == OK)
    e = MEM_NEW ((size_t)s->K, &v.loss, "evaluation");
  if (e == OK)
    e = MEM_NEW ((size_t)s->K, &v.accuracy, "evaluation");
  e = wire_agree (s->wire, e);
  s->on_output = on_output;
  s->on_output_context = g;
  if (e == OK)
    e = wire_agree (s->wire, session_evaluate (s, split, n, &v));
  s->on_output = NULL;
  mem_free (&g->rows);
  mem_free (&v.loss);
  mem_free (&v.accuracy);
  return e;
}

/* -- the whole --------------------------------------------------------------
 */

/* Samples asked for, of those there are. */
static enum status
count_samples (const struct run_config *c, const struct run_features *ask,
               enum store_split split, int64_t *out)
{
  struct store_dataset *data = NULL;
  struct store_dataset_info info;
  if (!c->file[0])
    return fail (E_CONFIG, "data.file is not given");
  TRY (store_dataset_open (c->file, &data));
  store_dataset_info (data, &info);
  store_dataset_close (&data);
  int64_t n = info.samples[split];
  if (strcmp (info.kind, "images") != 0)
    return fail (E_CONFIG,
                 "%s: data sets of %s cannot be probed in this "
                 "version",
                 c->file, info.kind);
  if (n == 0)
    return fail (E_DATA, "%s: there is no split /%s", c->file, ask->split);
  *out = ask->samples > 0 && ask->samples < n ? ask->samples : n;
  return OK;
}

enum status
run_features (struct wire *w, const struct run_config *c,
              const struct run_features *ask, const struct run_sink *sink)
{
  struct session s;
  struct run_config config = *c;
  struct giving g = {.ask = ask, .sink = sink};
  enum store_split split = STORE_VALID;
  char *tuning = NULL;
  int64_t n = 0, step = 0;
  enum status e = derive_split (ask->split, &split);
  if (e == OK)
    e = session_tuning_of (ask->checkpoint, &tuning);
  if (e == OK)
    e = count_samples (c, ask, split, &n);
  if (e == OK)
    e = spread (w, &config, n);
  e = wire_agree (w, e);
  struct session_how how = {.tuning = tuning, .forward_only = true};
  if (e == OK)
    e = session_open (w, &config, &how, &s);
  if (e != OK) {
    mem_free (&tuning);
    return e;
  }
  e = session_load (&s, ask->checkpoint, false, true, &step);
  if (e == OK)
    e = tell_shape (&s, ask, split, n, step, sink, &g.per_turn);
  if (e == OK)
    e = give_all (&s, &g, split, n);
  mem_free (&tuning);
  session_close (&s);
  return e;
}
