/* report/group.c -- which runs are one and the same but for their seed, what
 * they are called, and whether the groups may be compared at all.
 *
 * Keys of the subject (network, stages, strategy, ranks) may differ: they are
 * what is compared.  Other keys must not; where the user insists, they become
 * part of the subject.
 */
#include "report/report_impl.h"

#include "base/hash.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is compared beside keys of the configuration: facts of a start, and the
 * data set by what is in it, not by where it lies. */
#define RANKS "run.ranks"
#define THREADS "run.threads"
#define DIGEST "data.digest"

#define MOST 128 /* of keys that differ */

/* -- values ---------------------------------------------------------------- */

static const char *
number_text (double v)
{
  static _Thread_local char words[4][24];
  static _Thread_local int turn;
  char *out = words[turn = (turn + 1) % 4];
  if (isfinite (v))
    snprintf (out, sizeof words[0], "%.0f", v);
  else
    out[0] = '\0';
  return out;
}

/* What is not written is what its version did that did not know the key, or has
 * no effect: the default. */
static const char *
config_value (const struct run *r, const char *key)
{
  const char *word = words_get (&r->config, key);
  const struct key *k = key_named (key);
  if (word[0] || r->config.n == 0 || !k)
    return word;
  word = k->before ? k->before : k->value;
  return word ? word : "";
}

const char *
group_value (const struct run *r, const char *key)
{
  const struct start *s = &r->start[r->n_starts - 1];
  if (strcmp (key, RANKS) == 0)
    return number_text (s->ranks);
  if (strcmp (key, THREADS) == 0)
    return number_text (s->threads);
  if (strcmp (key, KEY_NAME (span)) == 0)
    return r->reach;
  if (strcmp (key, DIGEST) != 0)
    return config_value (r, key);
  const char *digest = words_get (&r->facts, "facts.data");
  return digest[0] ? digest : words_get (&r->config, KEY_NAME (file));
}

const char *
group_data (const struct run *r)
{
  return group_value (r, DIGEST);
}

int
group_natural (const char *a, const char *b)
{
  for (; *a || *b; a++, b++) {
    if (isdigit ((unsigned char)*a) && isdigit ((unsigned char)*b)) {
      char *x, *y;
      double u = strtod (a, &x), v = strtod (b, &y);
      if (u != v)
        return u < v ? -1 : 1;
      a = x - 1;
      b = y - 1;
    } else if (*a != *b)
      return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
  }
  return 0;
}

/* -- what differs ---------------------------------------------------------- */

struct keys {
  const char *key[MOST];
  int n;
};

static bool
varies (const struct report *r, const char *key)
{
  for (int i = 1; i < r->n_runs; i++)
    if (strcmp (group_value (&r->run[i], key), group_value (&r->run[0], key)) !=
        0)
      return true;
  return false;
}

/* "train.lr: 0.1 (a, b), 0.05 (c)". */
static void
tell_difference (struct report *r, const char *key)
{
  text_add (&r->unlike, "%s:", key);
  const char *between = " ";
  for (int i = 0; i < r->n_runs; i++) {
    const char *value = group_value (&r->run[i], key);
    bool told = false;
    int runs = 0;
    for (int j = 0; j < i; j++)
      told = told || strcmp (group_value (&r->run[j], key), value) == 0;
    for (int j = i; j < r->n_runs; j++)
      runs += strcmp (group_value (&r->run[j], key), value) == 0;
    if (told)
      continue;
    text_add (&r->unlike, "%s%s (", between, value[0] ? value : "not given");
    escape_plain (r->run[i].name, &r->unlike);
    if (runs > 1)
      text_add (&r->unlike, " and %d more", runs - 1);
    text_add (&r->unlike, ")");
    between = ", ";
  }
  text_add (&r->unlike, "\n");
}

static void
add_if_varied (const struct report *r, const char *key, struct keys *k)
{
  CHECK (k->n < MOST - 1, "room for %d keys only", MOST);
  if (varies (r, key))
    k->key[k->n++] = key;
}

static void
find_keys (struct report *r, struct keys *k)
{
  *k = (struct keys){0};
  for (size_t i = 0; i < key_count; i++)
    if (key_table[i].report == KEY_REPORT_ALIKE)
      add_if_varied (
          r, &key_table[i] == KEY_OF (file) ? DIGEST : key_table[i].full, k);
  for (int i = 0; i < k->n; i++)
    tell_difference (r, k->key[i]);
  for (size_t i = 0; i < key_count; i++)
    if (key_table[i].report == KEY_REPORT_SUBJECT &&
        &key_table[i] != KEY_OF (span) && &key_table[i] != KEY_OF (route) &&
        &key_table[i] != KEY_OF (dial))
      add_if_varied (r, key_table[i].full, k);
  add_if_varied (r, RANKS, k);
  add_if_varied (r, THREADS, k);
  k->key[k->n++] = KEY_NAME (span);
}

/* Neither steps so far nor the cut keep runs apart: runs of different length
 * are compared where all have been, and a measured cut may differ between
 * seeds. */
static bool
same_group (const struct keys *k, const struct run *a, const struct run *b)
{
  for (int i = 0; i < k->n; i++)
    if (strcmp (group_value (a, k->key[i]), group_value (b, k->key[i])) != 0)
      return false;
  return true;
}

/* -- names ----------------------------------------------------------------- */

/* A table, or a dial, that is too long to tell is known by its digest. */
static void
add_long (const char *what, const char *words, struct text *out)
{
  char digest[33];
  hash_digest (words, strlen (words), digest);
  if (strlen (words) <= 40)
    text_add (out, "%s %s", what, words);
  else
    text_add (out, "%s %.8s", what, digest);
}

static void
add_strategy (const struct run *r, struct text *out)
{
  const char *span = group_value (r, KEY_NAME (span));
  int64_t n;
  bool number = text_to_long (span, &n);
  if (!span[0])
    text_add (out, "not recorded");
  else if (words_get (&r->config, KEY_NAME (dial))[0])
    add_long ("dial", span, out);
  else if (words_get (&r->config, KEY_NAME (route))[0])
    add_long ("route", span, out);
  else if (strchr (span, ','))
    text_add (out, "spans %s", span);
  else if ((number && n >= r->K && r->K > 0) || strcmp (span, "all") == 0 ||
           strncmp (span, "e2", 2) == 0)
    text_add (out, "end to end");
  else if (number && n == 1)
    text_add (out, "%s", "local");
  else if (number)
    text_add (out, "%lld-wise", (long long)n);
  else
    text_add (out, "%s", strncmp (span, "pair", 4) == 0 ? "2-wise" : span);
}

static void
add_value (const struct run *r, const char *key, struct text *out)
{
  const char *value = group_value (r, key);
  const char *dot = strchr (key, '.') + 1;
  const struct key *k = key_named (key);
  if (k == KEY_OF (span))
    add_strategy (r, out);
  else if (!value[0])
    text_add (out, "no %s", dot);
  else if (k == KEY_OF (preset) || k == KEY_OF (groups) || k == KEY_OF (mix))
    text_add (out, "%s", value);
  else if (k == KEY_OF (count))
    text_add (out, "K = %s", value);
  else if (strcmp (key, RANKS) == 0 || strcmp (key, THREADS) == 0 ||
           k == KEY_OF (replicas))
    text_add (out, "%s %s", value, dot);
  else if (strcmp (key, DIGEST) == 0)
    text_add (out, "data %.12s", value);
  else
    add_long (dot, value, out);
}

/* What only some groups have is not told of those without it, nor the usual
 * way of a strategy. */
static bool
is_absent (const char *key, const char *value)
{
  const struct key *k = key_named (key);
  if (!k)
    return false;
  return strcmp (value, "none") == 0 || strcmp (value, "0") == 0 ||
         (strcmp (k->section, KEY_OF (span)->section) == 0 && k->value &&
          strcmp (value, k->value) == 0);
}

/* Heads that were chosen for the stages differ wherever their number does. */
static bool
heads_follow (const struct report *r)
{
  const char *head = KEY_NAME (head), *count = KEY_NAME (count);
  for (int i = 1; i < r->n_runs; i++)
    for (int k = 0; k < i; k++)
      if (strcmp (group_value (&r->run[i], head),
                  group_value (&r->run[k], head)) != 0 &&
          strcmp (group_value (&r->run[i], count),
                  group_value (&r->run[k], count)) == 0)
        return false;
  return true;
}

static char *
make_label (struct report *r, const struct keys *k, const struct run *run)
{
  struct text out, clean;
  text_init (&out);
  text_init (&clean);
  const bool spans = varies (r, KEY_NAME (span));
  for (int i = 0; i < k->n; i++) {
    /* The span comes last; where all have the same one, it is left out if there
     * is something else to tell groups apart by. */
    const bool last = i == k->n - 1;
    if (k->n > 1 && last && !spans)
      break;
    const char *value = group_value (run, k->key[i]);
    if (strcmp (k->key[i], KEY_NAME (head)) == 0 && heads_follow (r))
      continue;
    if (!last &&
        ((spans && is_absent (k->key[i], value)) || (!value[0] && out.size)))
      continue;
    text_add (&out, "%s", out.size ? ", " : "");
    add_value (run, k->key[i], &out);
  }
  escape_plain (out.data, &clean);
  char *label = pool_text (&r->pool, "%s", clean.data);
  text_clear (&out);
  text_clear (&clean);
  return label;
}

/* -- groups ---------------------------------------------------------------- */

static int
before (const struct keys *k, const struct run *a, const struct run *b)
{
  for (int i = 0; i < k->n; i++) {
    int order =
        group_natural (group_value (a, k->key[i]), group_value (b, k->key[i]));
    if (order != 0)
      return order;
  }
  return 0;
}

static void
make_groups (struct report *r, const struct keys *k)
{
  r->group = pool_take (&r->pool, (size_t)r->n_runs, sizeof *r->group);
  for (int i = 0; i < r->n_runs; i++) {
    struct run *run = &r->run[i];
    int at = 0, end = r->n_groups;
    while (at < end && !same_group (k, &r->run[r->group[at].run[0]], run))
      at++;
    if (at == end) {
      /* In order of what differs. */
      at = 0;
      while (at < end && before (k, &r->run[r->group[at].run[0]], run) <= 0)
        at++;
      memmove (r->group + at + 1, r->group + at,
               (size_t)(end - at) * sizeof *r->group);
      r->n_groups++;
      r->group[at] = (struct group){
          .label = make_label (r, k, run),
          .run = pool_take (&r->pool, (size_t)r->n_runs, sizeof (int))};
    }
    struct group *g = &r->group[at];
    g->run[g->n++] = i;
    g->K = run->K > g->K ? run->K : g->K;
  }
}

/* Labels that came out the same, and seeds that come twice. */
static void
check_groups (struct report *r)
{
  for (int i = 0; i < r->n_groups; i++) {
    struct group *g = &r->group[i];
    bool twice = false, cuts = false;
    for (int a = 0; a < g->n; a++) {
      struct run *run = &r->run[g->run[a]];
      run->group = i;
      for (int b = 0; b < a; b++) {
        const struct run *other = &r->run[g->run[b]];
        twice = twice || run->seed == other->seed;
        cuts = cuts || strcmp (words_get (&run->config, KEY_NAME (cut)),
                               words_get (&other->config, KEY_NAME (cut))) != 0;
      }
    }
    if (twice)
      text_add (&r->notes,
                "%s: a seed comes more than once; deviation and confidence "
                "take the runs as independent\n",
                g->label);
    if (cuts)
      text_add (&r->notes, "%s: the cut into stages differs between its runs\n",
                g->label);
  }
}

/* -- budgets --------------------------------------------------------------- */

static double
last_x (struct report *r, const struct run *run, enum run_axis axis)
{
  double *x, *y;
  int n;
  x = pool_take (&r->pool, (size_t)run->metrics.n_rows + 1, sizeof *x);
  y = pool_take (&r->pool, (size_t)run->metrics.n_rows + 1, sizeof *y);
  run_points (run, r->split, measure_output (r, run), axis, &n, x, y);
  return n > 0 ? x[n - 1] : NAN;
}

static int
evaluations (struct report *r, enum data_split split)
{
  int some = 0;
  for (int i = 0; i < r->n_runs; i++)
    some +=
        isfinite (run_last (&r->run[i], split, measure_output (r, &r->run[i])));
  return some;
}

/* The split that most runs have been evaluated on, validation first; or the one
 * that was asked for. */
static void
choose_split (struct report *r)
{
  static const enum data_split order[] = {DATA_VALID, DATA_TEST, DATA_TRAIN};
  int best = -1;
  for (int i = 0; i < 3; i++) {
    int n = evaluations (r, order[i]);
    if (n > best) {
      best = n;
      r->split = order[i];
    }
  }
  for (int s = 0; r->spec->split && s < DATA_SPLITS; s++)
    if (strcmp (r->spec->split, data_split_name ((enum data_split)s)) == 0)
      r->split = (enum data_split)s;
}

/* The budget on each axis at which runs are compared: as far as the one that
 * has come least far.  Runs without a number there do not count (fmin skips
 * NAN). */
static void
choose_budgets (struct report *r)
{
  for (int a = 0; a < AXES; a++) {
    r->budget[a] = NAN;
    for (int i = 0; i < r->n_runs; i++)
      r->budget[a] =
          fmin (r->budget[a], last_x (r, &r->run[i], (enum run_axis)a));
  }
}

/* The best value of each run, and the worst of these: every run has reached it.
 * sign: -1 where the lowest is the best. */
static double
best_of_worst (struct report *r, int sign)
{
  double least = NAN;
  for (int i = 0; i < r->n_runs; i++) {
    const struct run *run = &r->run[i];
    int n;
    double most = NAN;
    double *x = pool_take (&r->pool, (size_t)run->metrics.n_rows + 1, 8);
    double *y = pool_take (&r->pool, (size_t)run->metrics.n_rows + 1, 8);
    run_points (run, r->split, measure_output (r, run), AXIS_STEPS, &n, x, y);
    for (int k = 0; k < n; k++)
      most = fmax (most, sign * y[k]);
    least = fmin (least, most);
  }
  return sign * least;
}

/* What is asked for, or what all runs reach, in whole steps of a hundredth. */
static void
choose_target (struct report *r)
{
  bool lower = r->measure->lower;
  double asked = lower ? r->spec->loss : r->spec->accuracy;
  double there = 100 * best_of_worst (r, lower ? -1 : 1);
  r->target = asked > 0
                  ? asked
                  : (lower ? ceil (there - 1e-9) : floor (there + 1e-9)) / 100;
}

/* Is the time asked to a value of what is compared? */
static enum status
check_target (const struct report *r)
{
  if (r->spec->accuracy > 0 && r->measure->lower)
    return fail (E_CONFIG,
                 "--accuracy: runs of language models are compared by their "
                 "loss; --loss asks for the time to one, here in %s",
                 r->measure->unit);
  if (r->spec->loss > 0 && !r->measure->lower)
    return fail (E_CONFIG, "--loss is for runs of language models; these are "
                           "compared by their accuracy, and --accuracy asks "
                           "for the time to one");
  return OK;
}

enum status
group_runs (struct report *r)
{
  struct keys k;
  find_keys (r, &k);
  if (r->unlike.size > 0 && !r->spec->unlike)
    return fail (E_CONFIG,
                 "these runs differ in more than network, stages and "
                 "strategy, so that a comparison would not be fair:\n%s"
                 "--unlike compares them all the same, and says so",
                 r->unlike.data);
  r->measure = measure_choose (r);
  TRY (check_target (r));
  choose_split (r);
  make_groups (r, &k);
  check_groups (r);
  choose_budgets (r);
  choose_target (r);
  if (varies (r, RANKS) || varies (r, THREADS))
    text_add (&r->notes, "runs used different ranks or threads: at equal wall "
                         "time they had different means\n");
  for (int i = 1; i < r->n_runs; i++)
    if (strcmp (r->run[i].processor, r->run[0].processor) != 0) {
      text_add (&r->notes, "runs were made on different processors: their "
                           "times do not compare\n");
      break;
    }
  return OK;
}

struct spread
group_stat (const struct report *r, const struct group *g,
            double (*of) (const struct report *r, const struct run *run,
                          const void *how),
            const void *how)
{
  double *v = NULL;
  if (MEM_NEW ((size_t)g->n, &v, "numbers of a group") != OK)
    CHECK (false, "%s", fail_message ());
  for (int i = 0; i < g->n; i++)
    v[i] = of (r, &r->run[g->run[i]], how);
  struct spread s = stat_of (g->n, v);
  mem_free (&v);
  return s;
}
