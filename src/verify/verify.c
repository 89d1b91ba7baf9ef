/* verify/verify.c -- the self-check: gradients, foldings, resume, on this
 * machine.
 *
 * A small ResNet on a small synthetic data set and a small Transformer on drawn
 * tokens, trained a few steps on the ranks there are and once more in another
 * way; the tensors are compared by digest.  Ends with OK or with the first
 * difference.
 */
#include "base/place.h"
#include "verify/verify_impl.h"

#include "import/import.h"

#include <dirent.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* E_FAULT naming the first tensor that differs. */
static enum status
compare (const char *a, const char *b, const char *what)
{
  while (*a && *b) {
    size_t na = strcspn (a, "\n"), nb = strcspn (b, "\n");
    if (na != nb || memcmp (a, b, na) != 0)
      return fail (E_FAULT, "%s: %.*s here, %.*s there", what, (int)na, a,
                   (int)nb, b);
    a += na + 1;
    b += nb + 1;
  }
  if (*a || *b)
    return fail (E_FAULT, "%s: not the same tensors", what);
  return OK;
}

/* -- the command
 * ---------------------------------------------------------------- */

struct verify {
  struct wire *w;
  struct config config; /* of the small run */
  char folder[64];
  int checks;
};

static void
small_config (struct verify *v, int K)
{
  struct config *c = &v->config;
  config_plain (c);
  c->family = CONFIG_RESNET;
  c->block = CONFIG_BASIC;
  c->stem = CONFIG_STEM_CIFAR;
  snprintf (c->groups, CONFIG_TEXT, "16x%d,32x1", K > 4 ? K - 2 : 2);
  snprintf (c->cut, CONFIG_TEXT, "auto");
  snprintf (c->head, CONFIG_TEXT, "conv16-bn-gap-fc");
  c->augment = CONFIG_AUGMENT_FLIP_CROP4;
  snprintf (c->file, CONFIG_PATH, "%s/data.h5", v->folder);
  c->count = K;
  c->batch = 16;
  c->steps = 4;
  c->seed = 7;
  c->lr = 0.05;
  c->momentum = 0.9;
  c->weight_decay = 1e-4;
  c->heads_all = true;
  c->threads = 1;
}

/* The same with a language model in place of the ResNet. */
static void
language_config (const struct verify *v, struct config *c)
{
  *c = v->config;
  c->family = CONFIG_TRANSFORMER;
  c->augment = CONFIG_AUGMENT_NONE;
  c->groups[0] = '\0';
  c->block = CONFIG_BLOCK_NOT_GIVEN;
  c->stem = CONFIG_STEM_NOT_GIVEN;
  snprintf (c->file, CONFIG_PATH, "%s/tokens.h5", v->folder);
  c->layers = c->count; /* one more block than that with the embedding */
  c->d_model = 24;
  c->heads = 3;
  c->context = 16;
  c->mlp_ratio = 2;
}

/* Some steps of a run, and the digests of its tensors. */
static enum status
walk (struct wire *w, const struct config *c, int64_t end, char **digests)
{
  struct session s;
  struct session_spec spec = {.design = {.guess_costs = true}};
  TRY (session_open (w, c, &spec, &s));
  enum status e = wire_agree (w, session_begin (&s, 0, end));
  for (int64_t step = 0; e == OK && step < end; step++)
    e = train_lone_step (&s, step, NULL);
  if (e == OK)
    e = session_end (&s);
  if (e == OK)
    e = check_all_digests (&s, digests);
  session_close (&s);
  return e;
}

__attribute__ ((format (printf, 2, 3))) static void
passed (struct verify *v, const char *fmt, ...)
{
  char line[256];
  va_list args;
  va_start (args, fmt);
  vsnprintf (line, sizeof line, fmt, args);
  va_end (args);
  say (LOG_INFO, "ok %d - %s", ++v->checks, line);
}

/* Gradients of one configuration, named. */
static enum status
one_gradient (struct verify *v, struct config *c, const char *name)
{
  struct session s;
  struct session_spec spec = {.design = {.guess_costs = true}};
  double worst;
  int stage;
  char where[32];
  c->augment = CONFIG_AUGMENT_NONE;
  c->order = CONFIG_SEQUENTIAL;
  c->limit = c->batch;
  c->lr = 0;
  c->weight_decay = 0;
  c->steps = CHECK_STEPS * c->count;
  TRY (session_open (v->w, c, &spec, &s));
  enum status e = check_gradients (&s, &worst, &stage);
  session_close (&s);
  TRY (e);
  snprintf (where, sizeof where, "the shared matrix");
  if (stage < c->count)
    snprintf (where, sizeof where, "stage %d", stage);
  if (!(worst < 2e-2))
    return wire_agree (v->w, fail (E_FAULT,
                                   "gradients of %s: %s is off by %.2g of its "
                                   "finite difference",
                                   name, where, worst));
  passed (v, "gradients, %s: within %.1e of finite differences", name, worst);
  return OK;
}

static enum status
verify_gradients (struct verify *v)
{
  static const struct {
    const char *span, *mix, *head; /* head NULL: of the ResNet */
    bool tied;
  } cases[] = {{"1", "furthest", NULL, false},
               {"2", "furthest", NULL, false},
               {"3", "sum", NULL, false},
               {"3", "mean", NULL, false},
               {"all", "furthest", NULL, false},
               {"1", "furthest", "ln-fc", true},
               {"2", "furthest", "ln-shared", true},
               {"3", "sum", "ln-shared", true},
               {"3", "mean", "ln-shared", false},
               {"all", "furthest", "ln-fc", true}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct config c = v->config;
    char name[160];
    if (cases[i].head) {
      language_config (v, &c);
      snprintf (c.head, CONFIG_TEXT, "%s", cases[i].head);
      c.tied = cases[i].tied;
    }
    snprintf (c.span, CONFIG_WORD, "%s", cases[i].span);
    key_set (KEY_OF (mix), cases[i].mix, &c);
    snprintf (name, sizeof name, "%s%s%s%sspan %s, mix %s",
              cases[i].head ? "Transformer, " : "",
              cases[i].head ? cases[i].head : "", cases[i].head ? ", " : "",
              cases[i].tied ? "tied, " : "", c.span, cases[i].mix);
    TRY (one_gradient (v, &c, name));
  }
  return OK;
}

/* The same steps on all ranks and on the root alone. */
static enum status
one_folding (struct verify *v, const struct config *c, const char *name)
{
  char *here = NULL, *alone = NULL;
  TRY (walk (v->w, c, c->steps, &here));
  enum status e = OK;
  if (wire_rank (v->w) == 0) {
    struct wire *one = NULL;
    e = wire_open_alone (&one);
    if (e == OK)
      e = walk (one, c, c->steps, &alone);
    wire_close (&one);
    place_rank_set (0, wire_size (v->w));
    if (e == OK)
      e = compare (here, alone, "folding");
  }
  mem_free (&here);
  mem_free (&alone);
  TRY (wire_agree (v->w, e));
  if (wire_size (v->w) > 1)
    passed (v, "foldings, %s: same bits on %d ranks and on one", name,
            wire_size (v->w));
  else
    passed (v, "foldings, %s: same bits twice on one rank", name);
  return OK;
}

static enum status
verify_foldings (struct verify *v)
{
  static const char *const spans[] = {"1", "2", "all"};
  for (int i = 0; i < 6; i++)
    for (int micro = 1; micro <= 2; micro++) {
      struct config c = v->config;
      char name[160];
      if (i >= 3) {
        language_config (v, &c);
        snprintf (c.head, CONFIG_TEXT, "ln-shared");
        c.tied = true;
        c.dropout = 0.1;
        c.head_tokens = 0.5;
      }
      snprintf (c.span, CONFIG_WORD, "%s", spans[i % 3]);
      c.micro = micro;
      snprintf (name, sizeof name, "%sspan %s, %d micro-batch%s",
                i < 3 ? "" : "Transformer, ", c.span, micro,
                micro == 1 ? "" : "es");
      TRY (one_folding (v, &c, name));
    }
  return OK;
}

/* -- resume ------------------------------------------------------------------
 *
 * The command train itself, in run directories: once without a stop, and
 * several times stopped in the middle, and started again.
 */

enum { RESUME_STEPS = 12, RESUME_STOP = 3 };

/* One start of run `name`; stop: it is to stop after a few steps. */
static enum status
start_run (struct wire *w, const struct verify *v, const char *name, bool stop)
{
  struct config c = v->config;
  snprintf (c.dir, sizeof c.dir, "%s/%s", v->folder, name);
  c.steps = RESUME_STEPS;
  c.stop_after = stop ? RESUME_STOP : 0;
  c.at_end = true;
  c.keep = 1;
  enum log_level level = log_level_get ();
  log_level_set (level > LOG_INFO ? level : LOG_WARN);
  enum status e = train_run (w, &c);
  log_level_set (level);
  if (e == E_STOPPED && stop)
    return OK;
  if (e == OK && stop)
    return wire_agree (w, fail (E_FAULT, "resume: a run that was to stop did "
                                         "not"));
  return e;
}

/* A start on the root alone, while the others wait. */
static enum status
start_alone (const struct verify *v, const char *name, bool stop)
{
  enum status e = OK;
  if (wire_rank (v->w) == 0) {
    struct wire *one = NULL;
    e = wire_open_alone (&one);
    if (e == OK)
      e = start_run (one, v, name, stop);
    wire_close (&one);
    place_rank_set (0, wire_size (v->w));
  }
  return wire_agree (v->w, e);
}

/* On the root: what the last checkpoint of a run holds, and what the receipt of
 * its last start claims. */
static enum status
outcome_of (const struct verify *v, const char *name, struct store_digests *out,
            bool *exact)
{
  char dir[128];
  struct text path;
  struct store_checkpoint *file = NULL;
  struct store_attributes a;
  struct store_history *h = NULL;
  snprintf (dir, sizeof dir, "%s/%s", v->folder, name);
  text_init (&path);
  enum status e = store_checkpoint_newest (dir, &path);
  if (e == OK)
    e = store_checkpoint_open (path.data, &file);
  if (e == OK) {
    store_checkpoint_attributes (file, &a);
    *out = a.digests;
    if (a.step != RESUME_STEPS)
      e = fail (E_FAULT, "resume: %s: step %lld, wanted %d", path.data,
                (long long)a.step, RESUME_STEPS);
  }
  store_checkpoint_close (&file);
  text_clear (&path);
  *exact = false;
  if (e == OK)
    e = store_history_read (dir, &h);
  for (int i = 0; e == OK && i < store_history_count (h); i++)
    if (strcmp (store_history_word (h, i, "event"), "resume") == 0)
      *exact = strcmp (store_history_word (h, i, "exact"), "true") == 0;
  store_history_destroy (&h);
  return e;
}

static enum status
same_outcome (const struct verify *v, const char *name, const char *words)
{
  struct store_digests whole, other;
  bool exact;
  TRY (outcome_of (v, "whole", &whole, &exact));
  TRY (outcome_of (v, name, &other, &exact));
  const char *what = strcmp (whole.weights, other.weights) != 0 ? "weights"
                     : strcmp (whole.optimizer, other.optimizer) != 0
                         ? "optimizer slots"
                     : strcmp (whole.state, other.state) != 0 ? "sample state"
                                                              : NULL;
  if (what)
    return fail (E_FAULT,
                 "resume, %s: %s are not those of a run that was not "
                 "stopped",
                 words, what);
  if (!exact)
    return fail (E_FAULT,
                 "resume, %s: the bits are the same, but the receipt "
                 "does not say so",
                 words);
  return OK;
}

static enum status
verify_resume (struct verify *v)
{
  static const struct {
    const char *name, *words;
    bool alone[2]; /* before and after the stop */
  } cases[] = {
      {"same", "on the same ranks", {false, false}},
      {"fewer", "stopped on all ranks, continued on one", {false, true}},
      {"more", "stopped on one rank, continued on all", {true, false}},
  };
  int n = wire_size (v->w) > 1 ? 3 : 1;
  TRY (start_run (v->w, v, "whole", false));
  for (int i = 0; i < n; i++) {
    for (int part = 0; part < 2; part++)
      TRY (cases[i].alone[part]
               ? start_alone (v, cases[i].name, part == 0)
               : start_run (v->w, v, cases[i].name, part == 0));
    enum status e = OK;
    if (wire_rank (v->w) == 0)
      e = same_outcome (v, cases[i].name, cases[i].words);
    TRY (wire_agree (v->w, e));
    passed (v, "resume, %s: the same bits as without a stop", cases[i].words);
  }
  return OK;
}

/* Everything in a folder, and the folder. */
static void
remove_all (const char *folder)
{
  char path[CONFIG_PATH];
  DIR *d = opendir (folder);
  for (struct dirent *e = d ? readdir (d) : NULL; e; e = readdir (d)) {
    snprintf (path, sizeof path, "%s/%s", folder, e->d_name);
    if (strcmp (e->d_name, ".") == 0 || strcmp (e->d_name, "..") == 0)
      continue;
    if (unlink (path) != 0)
      remove_all (path);
  }
  if (d)
    closedir (d);
  rmdir (folder);
}

/* An explicit cut, so that no measurement decides. */
static void
fixed_cut (struct config *c)
{
  size_t used = 0;
  for (int k = 0; k < c->count - 1; k++)
    used += (size_t)snprintf (c->cut + used, sizeof c->cut - used, "1,");
  snprintf (c->cut + used, sizeof c->cut - used, "rest");
}

/* Tokens drawn from a small vocabulary, by way of a file of numbers. */
static enum status
make_tokens (const struct verify *v)
{
  static const struct random_key key = {.seed = 3, .purpose = RANDOM_TEST};
  const char *options[] = {"vocab=29", "format=text", "valid=0.2"};
  char ids[96], path[96];
  const char *inputs[] = {ids};
  snprintf (ids, sizeof ids, "%s/ids", v->folder);
  snprintf (path, sizeof path, "%s/tokens.h5", v->folder);
  FILE *f = fopen (ids, "w");
  for (uint64_t i = 0; f && i < 2000; i++)
    fprintf (f, "%d\n", (int)random_below (&key, i, 29));
  if (!f || fclose (f) != 0)
    return fail (E_IO, "%s: not written", ids);
  return import_run ("tokens", 1, inputs, 3, options, path);
}

static enum status
make_data (struct verify *v)
{
  const char *options[] = {"train=64", "valid=32", "test=32", "seed=3"};
  char path[96];
  snprintf (path, sizeof path, "%s/data.h5", v->folder);
  enum log_level level = log_level_get ();
  log_level_set (LOG_WARN); /* where the data lies is of no interest */
  enum status e = import_run ("synthetic", 0, NULL, 4, options, path);
  if (e == OK)
    e = make_tokens (v);
  log_level_set (level);
  return e;
}

static bool
wanted (const char *what, const char *name)
{
  return !what || !what[0] || strcmp (what, name) == 0 ||
         strcmp (what, "all") == 0;
}

static enum status
verify_all (struct verify *v, const char *what)
{
  if (wanted (what, "gradients"))
    TRY (verify_gradients (v));
  if (wanted (what, "foldings"))
    TRY (verify_foldings (v));
  if (wanted (what, "resume"))
    TRY (verify_resume (v));
  say (LOG_INFO, "%d checks passed", v->checks);
  return OK;
}

enum status
verify_run (struct wire *w, const char *what)
{
  struct verify v = {.w = w};
  enum status e = OK;
  if (!wanted (what, "gradients") && !wanted (what, "foldings") &&
      !wanted (what, "resume"))
    return wire_agree (w, fail (E_USAGE,
                                "verify: \"%s\" is not one of gradients, "
                                "foldings, resume, all, nor a configuration",
                                what));
  if (wire_rank (w) == 0) {
    /* In the working directory: all nodes see it. */
    snprintf (v.folder, sizeof v.folder, "interlock-verify-XXXXXX");
    if (!mkdtemp (v.folder))
      e = fail (E_IO, "verify: cannot make a folder in the working directory");
    else
      e = make_data (&v);
  }
  e = wire_agree (w, e);
  if (e == OK)
    e = wire_broadcast (w, v.folder, sizeof v.folder, 0);
  if (e == OK) {
    small_config (&v, wire_size (w) > 4 ? wire_size (w) : 4);
    memset (v.config.cut, 0, sizeof v.config.cut);
    fixed_cut (&v.config);
    e = verify_all (&v, what);
  }
  if (wire_rank (w) == 0 && v.folder[0])
    remove_all (v.folder);
  return e;
}
