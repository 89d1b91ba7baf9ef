/* ranks: 1 2 3 4 */
/* tests/run/dial.c -- a strategy that changes: a run through three phases has
 * the bits of three runs, each with a strategy of its own, that hand weights
 * and moments on; and it has them on any ranks.
 *
 * What the phases do each by themselves is for other tests (routes, folding).
 */
#define TAP_MPI
#include "base/place.h"
#include "tests/run/h5.h"
#include "tests/run/rig.h"
#include <math.h>

enum { STEPS = 9, TENSORS = 1024 };

struct row {
  const char *dial;
  int micro, replicas;
  double clip;
  bool all; /* heads */
  const char *optimizer;
  const char *head; /* of tokens; NULL: images */
  bool tied;
  double head_tokens;
};
#define IMAGES .optimizer = "sgd", .micro = 1, .replicas = 1, .head_tokens = 1
static const struct row rows[] = {
    {"0:local, 3:2, 6:all", IMAGES},
    {"0:all, 3:local, 6:2", IMAGES},
    {"0:2, 30%:all, 70%:3 own=0.5", 2, 1, 0.3, false, "sgd", NULL, false, 1},
    {"0:1,1,2,all, 4:3, 5:local own=2", 4, 1, 0, true, "sgd", NULL, false, 1},
    {"0:all, 1:1 0 0 0/0 1 1 0/0 0 1 2/0 0 0 1, 8:0.5 0 2 0/0 1 0 0/0 0 1 0/0 "
     "0 "
     "0 3",
     2, 1, 0, false, "sgd", NULL, false, 1},
    {"0:local, 3:frozen,2,2,all, 6:all", IMAGES},
    {"0:1,1,frozen,frozen, 3:frozen,frozen,2,1, 6:2", 2, 1, 0.3, false, "sgd",
     NULL, false, 1},
    {"0:local, 3:2, 6:all", 2, 2, 0.3, false, "sgd", NULL, false, 1},
    {"0:2, 3:all, 6:frozen,local,2,1", 1, 3, 0, false, "sgd", NULL, false, 1},
    {"0:all, 3:2, 6:local", 2, 1, 0.3, false, "sgd", "ln-shared", true, 0.5},
    {"0:2, 3:all, 6:2 own=0.4", 1, 1, 0.3, false, "sgd", "ln-shared", false, 1},
    {"0:2, 3:all, 6:3", 2, 1, 0, true, "adamw", "ln-shared", true, 1},
    {"0:local, 3:all, 6:2", 4, 1, 0.3, false, "sgd", "ln-fc", true, 1},
    {"0:frozen,1,1,1, 3:2 own=0.2, 6:3", 1, 1, 0, false, "adamw", "ln-fc",
     false, 0.5},
};

static void
make_config (const struct rig *r, const struct row *row, struct config *c)
{
  rig_config (r, 4, c);
  c->steps = STEPS;
  c->micro = row->micro;
  c->replicas = row->replicas;
  c->batch = 24;
  c->clip = row->clip;
  c->heads_all = row->all;
  c->schedule = CONFIG_COSINE;
  key_set (KEY_OF (optimizer), row->optimizer, c);
  c->lr = c->optimizer == CONFIG_ADAMW ? 0.01 : 0.05;
  if (!row->head)
    return;
  rig_language (c);
  snprintf (c->file, CONFIG_PATH, "%.*s/tokens.h5", CONFIG_PATH - 16,
            r->folder);
  snprintf (c->cut, CONFIG_TEXT, "1,1,1,rest");
  snprintf (c->head, CONFIG_TEXT, "%s", row->head);
  c->tied = row->tied;
  c->head_tokens = row->head_tokens;
}

/* -- what runs hand on -------------------------------------------------------
 */

struct kept {
  char path[256];
  size_t n;
  float *v;
};
static struct kept kept[TENSORS];
static int n_kept;

static struct kept *
find (const char *path, size_t n)
{
  int i = 0;
  while (i < n_kept && strcmp (kept[i].path, path) != 0)
    i++;
  if (i < n_kept)
    return &kept[i];
  CHECK (n_kept < TENSORS, "more tensors than expected");
  struct kept *k = &kept[n_kept++];
  snprintf (k->path, sizeof k->path, "%s", path);
  k->n = n;
  k->v = NULL;
  return k;
}

/* All tensors of this rank; out: from the session, else into it those that are
 * there already. */
static void
move_tensors (struct session *s, bool out)
{
  for (int i = 0; i < s->n_local; i++) {
    struct local_stage *l = &s->local[i];
    for (int j = 0; j < stage_tensors (l->stage); j++)
      for (int w = 0; w <= session_moments (s); w++) {
        struct store_tensor t = {0};
        size_t n = 1;
        if (!session_has (l, j, session_what (w)))
          continue;
        session_tensor (s, l, j, session_what (w), l->k, &t);
        for (int d = 0; d < t.n_dims; d++)
          n *= (size_t)t.dims[d];
        struct kept *k = find (t.path, n);
        if (out && !k->v)
          rig_must (MEM_NEW (n, &k->v, "tensor"));
        if (out)
          rig_must (stage_tensor_out (l->stage, j, session_what (w), k->v));
        else if (k->v)
          rig_must (stage_tensor_in (l->stage, j, session_what (w), k->v));
      }
    rig_must (stage_refresh (l->stage));
  }
  if (!out) {
    rig_must (shared_spread (s, -1));
    rig_must (shared_settle (s));
  }
}

static void
forget (void)
{
  for (int i = 0; i < n_kept; i++)
    mem_free (&kept[i].v);
  n_kept = 0;
}

/* Tensors of this rank that are not as they were kept; those that were not are
 * at their beginnings in both. */
static int
differences (struct session *s, char *first, size_t size)
{
  int n_bad = 0;
  for (int i = 0; i < s->n_local; i++) {
    struct local_stage *l = &s->local[i];
    for (int j = 0; j < stage_tensors (l->stage); j++)
      for (int w = 0; w <= session_moments (s); w++) {
        struct store_tensor t = {0};
        float *v = NULL;
        if (!session_has (l, j, session_what (w)))
          continue;
        session_tensor (s, l, j, session_what (w), l->k, &t);
        struct kept *k = find (t.path, 0);
        rig_must (MEM_NEW (k->n + 1, &v, "tensor"));
        if (k->v)
          rig_must (stage_tensor_out (l->stage, j, session_what (w), v));
        if (!k->v || memcmp (v, k->v, k->n * sizeof *v) != 0) {
          if (n_bad++ == 0)
            snprintf (first, size, "%s", t.path);
        }
        mem_free (&v);
      }
  }
  return n_bad;
}

/* -- walks -------------------------------------------------------------------
 */

/* The strategy of a phase as that of a whole run. */
static void
plain_config (const struct config *c, const struct config_phase *p,
              struct config *out)
{
  struct text words;
  *out = *c;
  out->dial[0] = '\0';
  text_init (&words);
  config_phase_words (p, &words);
  CHECK (key_set (config_phase_is_table (p) ? KEY_OF (route) : KEY_OF (span),
                  words.data, out),
         "no strategy: %s", words.data);
  if (p->own >= 0)
    out->own = p->own;
  text_clear (&words);
}

/* One run after the other; each goes on where the one before has ended.  late:
 * by so many steps the second begins too late. */
static void
walk_runs (struct wire *w, const struct config *c, int late)
{
  struct config_dial dial;
  int64_t first[CONFIG_PHASES];
  rig_must (config_dial_parse (c->dial, &dial));
  rig_must (config_dial_steps (&dial, c->steps, first));
  first[1] += late;
  for (int i = 0; i < dial.n; i++) {
    struct config one;
    struct session s;
    const int64_t end = i + 1 < dial.n ? first[i + 1] : c->steps;
    plain_config (c, &dial.phase[i], &one);
    rig_session (w, &one, &s);
    move_tensors (&s, false);
    rig_must (session_begin (&s, first[i], end));
    for (int64_t step = first[i]; step < end; step++)
      rig_step (&s, step);
    rig_must (session_end (&s));
    move_tensors (&s, true);
    session_close (&s);
  }
}

/* Each rank by itself, since each run may lay stages onto ranks in its own way;
 * but for replicas, where the pipes here have too few ranks for that. */
static void
walk_chain (struct rig *r, const struct config *c, int late)
{
  struct wire *alone = NULL;
  const int rank = place_rank (), size = place_size ();
  if (c->replicas > 1) {
    walk_runs (r->w, c, late);
    return;
  }
  rig_must (wire_open_alone (&alone));
  walk_runs (alone, c, late);
  wire_close (&alone);
  place_rank_set (rank, size);
}

/* A chain and the run with a dial: tensors that differ, over all ranks.
 * stop: the run with a dial ends after so many steps, and another begins there.
 */
static int
compare (struct rig *r, const struct config *c, int late, int64_t stop,
         char *first, size_t size)
{
  struct session s;
  double mine, all[16];
  int sum = 0;
  first[0] = '\0';
  walk_chain (r, c, late);
  rig_session (r->w, c, &s);
  rig_must (session_begin (&s, 0, stop));
  for (int64_t step = 0; step < stop; step++)
    rig_step (&s, step);
  rig_must (session_end (&s));
  if (stop < c->steps)
    rig_must (session_begin (&s, stop, c->steps));
  for (int64_t step = stop; step < c->steps; step++)
    rig_step (&s, step);
  if (stop < c->steps)
    rig_must (session_end (&s));
  mine = differences (&s, first, size);
  session_close (&s);
  forget ();
  rig_must (wire_all_gather (r->w, &mine, 1, all));
  for (int i = 0; i < wire_size (r->w); i++)
    sum += (int)all[i];
  return sum;
}

/* AdamW corrects its moments by the number of updates that a part has had,
 * which the runs of a chain do not know of each other. */
static bool
chain_knows (const struct row *row)
{
  return row->all || strcmp (row->optimizer, "sgd") == 0;
}

static void
test_row (struct rig *r, const struct row *row)
{
  struct config c;
  char first[256], *here = NULL, *alone = NULL;
  const char *what = row->head ? row->head : "images", *differs = "";
  if (wire_size (r->w) % row->replicas != 0)
    return;
  make_config (r, row, &c);
  CHECK (key_set (KEY_OF (dial), row->dial, &c), "dial");
  if (chain_knows (row)) {
    int n = compare (r, &c, 0, c.steps, first, sizeof first);
    tap_ok (n == 0,
            "%s, micro %d, clip %g, %d replica(s), %s: as run after run: %d "
            "tensors differ %s",
            what, row->micro, row->clip, row->replicas, row->dial, n, first);
  }
  if (chain_knows (row))
    return;
  rig_walk (r->w, &c, STEPS, &here);
  if (wire_rank (r->w) == 0) {
    rig_walk_alone (&c, STEPS, &alone);
    differs = rig_difference (alone, here);
  }
  tap_ok (differs[0] == '\0', "%s, %s: like alone%s%s", what, row->dial,
          differs[0] ? ": differs: " : "", differs);
  mem_free (&here);
  mem_free (&alone);
}

/* In every phase, and where one ends. */
static void
test_stops (struct rig *r)
{
  struct config c;
  char first[256];
  make_config (r, &rows[2], &c);
  CHECK (key_set (KEY_OF (dial), rows[2].dial, &c), "dial");
  for (int64_t stop = 1; stop < STEPS; stop++) {
    int n = compare (r, &c, 0, stop, first, sizeof first);
    tap_ok (n == 0, "stopped after %d steps: %d tensors differ %s", (int)stop,
            n, first);
  }
}

static void
test_fault (struct rig *r)
{
  struct config c;
  char first[256];
  make_config (r, &rows[0], &c);
  CHECK (key_set (KEY_OF (dial), rows[0].dial, &c), "dial");
  int n = compare (r, &c, 1, c.steps, first, sizeof first);
  tap_ok (n > 0,
          "planted: a phase that begins a step late is seen in %d "
          "tensors",
          n);
}

/* Heads that rest, and stages, in a run through three phases: how often each
 * has learnt. */
static void
test_updates (struct rig *r)
{
  struct config c;
  struct session s;
  make_config (r, &rows[0], &c);
  CHECK (key_set (KEY_OF (dial), "0:all, 3:2, 6:all", &c), "dial");
  rig_session (r->w, &c, &s);
  static const int64_t want[3][STEPS] = {{1, 2, 3, 4, 5, 6, 7, 8, 9},
                                         {1, 1, 1, 1, 2, 3, 3, 3, 3},
                                         {1, 1, 1, 1, 1, 1, 1, 1, 1}};
  bool good = true;
  for (int64_t i = 0; i < STEPS; i++)
    good = good && design_updates (s.design, 0, false, i) == want[0][i] &&
           design_updates (s.design, 2, false, i) == want[0][i] &&
           design_updates (s.design, 3, true, i) == want[0][i] &&
           design_updates (s.design, 1, true, i) == want[1][i] &&
           design_updates (s.design, 0, true, i) == want[2][i];
  session_close (&s);
  tap_ok (good, "AdamW counts the updates that a part has had");
}

/* The largest move of a weight of head 0. */
static double
head_move (struct session *s)
{
  double most = 0;
  for (int i = 0; i < s->n_local && s->local[i].k == 0; i++)
    for (int j = 0; j < stage_tensors (s->local[i].stage); j++) {
      struct store_tensor t = {0};
      float *v = NULL;
      if (!session_tensor (s, &s->local[i], j, STAGE_VALUE, 0, &t) ||
          !strstr (t.path, "weight"))
        continue;
      const struct kept *k = find (t.path, 0);
      rig_must (MEM_NEW (k->n, &v, "tensor"));
      rig_must (stage_tensor_out (s->local[i].stage, j, STAGE_VALUE, v));
      for (size_t x = 0; x < k->n; x++)
        most = fmax (most, fabs ((double)v[x] - k->v[x]));
      mem_free (&v);
    }
  return most;
}

/* AdamW's first update of a weight is as long as the rate, whatever its
 * gradient: with the moments corrected for more updates than there were it
 * would be shorter. */
static void
test_first_move (struct rig *r)
{
  struct config c;
  struct session s;
  double mine, all[16], most = 0;
  make_config (r, &rows[0], &c);
  CHECK (key_set (KEY_OF (dial), "0:all, 3:local", &c), "dial");
  c.optimizer = CONFIG_ADAMW;
  c.schedule = CONFIG_CONSTANT;
  c.lr = 0.01;
  c.weight_decay = 0;
  rig_session (r->w, &c, &s);
  move_tensors (&s, true);
  rig_must (session_begin (&s, 0, 4));
  for (int64_t step = 0; step < 4; step++)
    rig_step (&s, step);
  rig_must (session_end (&s));
  mine = head_move (&s);
  session_close (&s);
  forget ();
  rig_must (wire_all_gather (r->w, &mine, 1, all));
  for (int i = 0; i < wire_size (r->w); i++)
    most = fmax (most, all[i]);
  tap_ok (fabs (most - 0.01) < 1e-4,
          "a head that has rested begins with a move of the rate: %.6f", most);
}

int
main (int argc, char **argv)
{
  struct rig r;
  rig_open (&argc, &argv, &r);
  rig_data (&r, 72, 16);
  h5_language (&r, "tokens", 40);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    test_row (&r, &rows[i]);
  test_stops (&r);
  test_fault (&r);
  test_updates (&r);
  test_first_move (&r);
  int result = tap_done ();
  rig_close (&r);
  return result;
}
