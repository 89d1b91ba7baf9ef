/* run/features.c -- outputs of every stage of a checkpoint, for who studies
 * them.
 *
 * An evaluation whose stages hand their outputs to a sink on the way.  Every
 * few batches all ranks take a turn together, in which the sink may send what
 * it was given.  A rank that has fewer batches joins the last turns with
 * nothing to send, since a turn is collective.
 *
 * Of images each is a sample; of tokens each position of a window is.  The
 * positions that were drawn are kept in the order of the split, so those of a
 * batch of windows are a range.
 */
#include "run/session.h"

#include "base/random.h"
#include <stdlib.h>
#include <string.h>

struct giving {
  const struct run_features *ask;
  const struct run_sink *sink;
  enum data_split split;
  bool tokens;
  int64_t n, inputs;   /* samples; images or windows they are in */
  int64_t length;      /* positions of a window; 1 of images */
  int64_t *place;      /* of tokens: n, window x T + position; else NULL */
  int32_t *next;       /* of tokens: n, the token behind each */
  int per_turn, since; /* batches between two turns, since the last one */
  int n_turns, turns;  /* of the whole, so far */
  int64_t batches;     /* of all replicas */
  int64_t most;        /* rows of a batch */
  float *rows;         /* of the widest stage here */
};

/* The first sample that is not before an input; n: there is none. */
static int64_t
first_sample (const struct giving *g, int64_t input)
{
  if (!g->tokens)
    return input < g->n ? input : g->n;
  int64_t low = 0, high = g->n;
  while (low < high) {
    int64_t middle = (low + high) / 2;
    if (g->place[middle] < input * g->length)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

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
  const struct design *d = s->design;
  struct giving *g = context;
  int64_t first = first_sample (g, batch * d->n_samples);
  int64_t here = first_sample (g, (batch + 1) * d->n_samples) - first;
  (void)n;
  if (g->tokens)
    stage_output_places (l->stage, here, g->place + first,
                         batch * d->n_samples * g->length, g->rows);
  else
    stage_output_rows (l->stage, here, g->ask->pooled, g->rows);
  TRY (g->sink->rows (g->sink->context, l->k, first, here, g->rows));
  if (l != &s->local[s->n_local - 1])
    return OK;
  if (++g->since == g->per_turn)
    TRY (take_turn (g));
  bool last = batch + d->R >= g->batches;
  while (last && g->turns < g->n_turns)
    TRY (take_turn (g));
  return OK;
}

/* -- positions --------------------------------------------------------------
 */

static int
by_place (const void *a, const void *b)
{
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

/* g->n of the positions of g->inputs windows. */
static enum status
draw_places (struct giving *g)
{
  struct random_key key = {g->ask->seed, RANDOM_PROBE, 1, 0};
  int64_t all = g->inputs * g->length, *order = NULL;
  TRY (MEM_NEW ((size_t)all, &order, "positions"));
  random_permutation (&key, order, (size_t)all);
  enum status e = MEM_NEW ((size_t)g->n, &g->place, "positions");
  if (e == OK) {
    memcpy (g->place, order, (size_t)g->n * sizeof *order);
    qsort (g->place, (size_t)g->n, sizeof *g->place, by_place);
  }
  mem_free (&order);
  return e;
}

static enum status
read_next (struct session *s, struct giving *g)
{
  int32_t *label = NULL;
  TRY (MEM_NEW ((size_t)g->n, &g->next, "next tokens"));
  TRY (MEM_NEW ((size_t)g->length, &label, "tokens of a window"));
  enum status e = OK;
  for (int64_t i = 0, window = -1; e == OK && i < g->n; i++) {
    if (g->place[i] / g->length != window) {
      window = g->place[i] / g->length;
      e = data_read_labels (s->design->data, g->split, window, 1, window + 1,
                            label);
    }
    g->next[i] = label[g->place[i] % g->length];
  }
  mem_free (&label);
  return e;
}

static enum status
find_samples (struct session *s, struct giving *g)
{
  const struct design *d = s->design;
  g->batches = (g->inputs + d->n_samples - 1) / d->n_samples;
  if (g->tokens) {
    TRY (draw_places (g));
    TRY (read_next (s, g));
  }
  for (int64_t b = 0; b < g->batches; b++) {
    int64_t here = first_sample (g, (b + 1) * d->n_samples) -
                   first_sample (g, b * d->n_samples);
    g->most = here > g->most ? here : g->most;
  }
  return OK;
}

/* -- ranks ------------------------------------------------------------------
 */

/* As many replicas as it takes for every rank to have a stage, and batches that
 * all of them have one of. */
static enum status
spread (struct wire *w, struct config *c, int64_t n)
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
tell_shape (struct session *s, struct giving *g, int64_t step)
{
  const struct design *d = s->design;
  const bool tokens = g->tokens, pooled = g->ask->pooled;
  int64_t *width = NULL;
  const char **behind = NULL;
  enum status e = MEM_NEW ((size_t)d->K, &width, "widths");
  if (e == OK)
    e = MEM_NEW ((size_t)d->K, &behind, "names of blocks");
  e = wire_agree (s->wire, e);
  for (int k = 0; e == OK && k < d->K; k++) {
    struct network_unit u;
    /* The last stage's body ends before the output unit. */
    int end = d->first[k + 1] - 1 - (k == d->K - 1);
    network_unit (d->net, end < 0 ? 0 : end, &u);
    behind[k] = u.name;
    width[k] = pooled ? u.out.c : u.out.c * u.out.h * u.out.w;
  }
  struct run_shape shape = {.n_stages = d->K,
                            .width = width,
                            .behind = behind,
                            .n_samples = g->n,
                            .batch = g->most,
                            .tokens = tokens,
                            .classes = d->info.classes,
                            .threads = d->threads,
                            .labels = tokens ? g->next
                                             : data_labels (d->data, g->split),
                            .step = step};
  uint64_t numbers[] = {d->info.digest, (uint64_t)g->split, (uint64_t)g->n,
                        (uint64_t)g->length, tokens ? g->ask->seed : 0};
  shape.digest = hash_bytes (numbers, sizeof numbers, 0);
  if (e == OK)
    e = g->sink->begin (g->sink->context, &shape, &g->per_turn);
  for (int i = 0; e == OK && i < s->n_local; i++)
    CHECK (stage_row_width (s->local[i].stage, pooled) == width[s->local[i].k],
           "stage %d is of another width than its last block", s->local[i].k);
  mem_free (&width);
  mem_free (&behind);
  return e;
}

static enum status
give_all (struct session *s, struct giving *g)
{
  const struct design *d = s->design;
  struct evaluation v = {0};
  int64_t widest = 0;
  int64_t each = (g->batches + d->R - 1) / d->R;
  g->n_turns = (int)((each + g->per_turn - 1) / g->per_turn);
  for (int i = 0; i < s->n_local; i++) {
    int64_t one = stage_row_width (s->local[i].stage, g->ask->pooled);
    widest = one > widest ? one : widest;
  }
  enum status e = MEM_NEW ((size_t)(widest * g->most), &g->rows, "rows");
  if (e == OK)
    e = MEM_NEW ((size_t)d->K, &v.loss, "evaluation");
  if (e == OK)
    e = MEM_NEW ((size_t)d->K, &v.accuracy, "evaluation");
  e = wire_agree (s->wire, e);
  s->on_output = on_output;
  s->on_output_context = g;
  if (e == OK)
    e = wire_agree (s->wire,
                    session_evaluate (s, g->split, g->inputs, NULL, &v));
  s->on_output = NULL;
  mem_free (&g->rows);
  mem_free (&v.loss);
  mem_free (&v.accuracy);
  return e;
}

/* -- the whole --------------------------------------------------------------
 */

/* Positions asked for, and the windows among whose they are drawn: whole ones,
 * so that each has a next token. */
static enum status
count_positions (const struct config *c, const struct data_info *info,
                 struct giving *g)
{
  struct model_spec spec;
  TRY (derive_spec (c, info, &spec));
  int64_t T = spec.context, ask = g->ask->samples;
  int64_t windows = (info->tokens[g->split] - 1) / T;
  if (!g->ask->pooled)
    return fail (E_CONFIG,
                 "%s: --features maps is for images; of tokens every position "
                 "is a sample",
                 c->file);
  if (windows < 1)
    return fail (E_DATA,
                 "%s: /%s/tokens has %lld tokens, a window of model.context = "
                 "%lld needs %lld",
                 c->file, g->ask->split, (long long)info->tokens[g->split],
                 (long long)T, (long long)T + 1);
  g->tokens = true;
  g->length = T;
  g->n = ask > 0 && ask < windows * T ? ask : windows * T;
  int64_t enough = (RUN_FEATURES_SPREAD * g->n + T - 1) / T;
  g->inputs = enough < windows ? enough : windows;
  return OK;
}

/* Samples asked for, of those there are. */
static enum status
no_split (const struct config *c, const struct data_info *info,
          const struct giving *g)
{
  struct text there;
  text_init (&there);
  for (int i = 0; i < DATA_SPLITS; i++)
    if (info->samples[i] > 0)
      text_add (&there, " --split %s", data_split_name ((enum data_split)i));
  enum status e =
      fail (E_DATA, "%s: there is no split /%s; what there is:%s", c->file,
            g->ask->split, there.size > 0 ? there.data : " nothing");
  text_clear (&there);
  return e;
}

static enum status
count_samples (const struct config *c, struct giving *g)
{
  struct data_set *data = NULL;
  struct data_info info;
  if (!c->file[0])
    return fail (E_CONFIG, "%s is not given", KEY_NAME (file));
  TRY (data_open (c->file, &data));
  data_info (data, &info);
  data_close (&data);
  int64_t n = info.samples[g->split], ask = g->ask->samples;
  if (n == 0)
    return no_split (c, &info, g);
  if (info.tokens[g->split] > 0)
    return count_positions (c, &info, g);
  if (g->ask->classes)
    return fail (E_CONFIG,
                 "%s: --classes is for tokens; images have the classes of "
                 "their labels",
                 c->file);
  g->n = g->inputs = ask > 0 && ask < n ? ask : n;
  return OK;
}

enum status
run_features (struct wire *w, const struct config *c,
              const struct run_features *ask, const struct run_sink *sink)
{
  struct session s;
  struct config config = *c;
  struct giving g = {.ask = ask, .sink = sink, .length = 1};
  char *tuning = NULL;
  int64_t step = 0;
  enum status e = derive_split_named (ask->split, &g.split);
  if (e == OK)
    e = session_tuning_of (ask->checkpoint, &tuning);
  if (e == OK)
    e = count_samples (c, &g);
  if (e == OK)
    e = spread (w, &config, g.inputs);
  e = wire_agree (w, e);
  struct session_spec spec = {
      .design = {.tuning = tuning, .forward_only = true}};
  if (e == OK)
    e = session_open (w, &config, &spec, &s);
  if (e != OK) {
    mem_free (&tuning);
    return e;
  }
  e = wire_agree (w, find_samples (&s, &g));
  if (e == OK && !ask->look)
    e = session_load (&s, ask->checkpoint, false, true, &step);
  if (e == OK)
    e = tell_shape (&s, &g, step);
  if (e == OK && !ask->look)
    e = give_all (&s, &g);
  mem_free (&g.place);
  mem_free (&g.next);
  mem_free (&tuning);
  session_close (&s);
  return e;
}
