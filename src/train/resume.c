/* train/resume.c -- where a training goes on, and the receipt that says so.
 *
 * The receipt compares digests of everything that a step depends on: as the
 * file tells them, and of what lies in the stages after loading.  Whatever else
 * may change bits (libraries, instruction set, threads, replicas, settings) is
 * compared with the start that wrote the file, and named where it differs.
 */
#include "base/hash.h"
#include "base/processor.h"
#include "store/h5.h"
#include "train/train_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- what this start runs on -------------------------------------------------
 */

/* A line of every rank, joined into one on the root; what all have alike
 * appears once. */
static enum status
joined (struct wire *w, const char *mine, struct text *out)
{
  char **texts = NULL;
  TRY (wire_gather_text (w, mine, &texts));
  for (int r = 0; texts && r < wire_size (w); r++) {
    bool known = false;
    for (int q = 0; q < r && !known; q++)
      known = strcmp (texts[q], texts[r]) == 0;
    if (!known)
      text_add (out, "%s%s", out->size ? " | " : "", texts[r]);
  }
  for (int r = 0; texts && r < wire_size (w); r++)
    mem_free (&texts[r]);
  mem_free (&texts);
  return OK;
}

enum fact { /* of a start; the names are those of events.jsonl */
            FACT_PROGRAM,
            FACT_BUILD, /* digest of the program's file */
            FACT_KERNELS,
            FACT_ISA,
            FACT_PROCESSOR,
            FACT_TUNING,
            FACT_THREADS,
            FACT_REPLICAS,
            FACT_HOSTS,
            FACT_RANKS,
            FACT_PIPE,
            FACT_MPI,
            FACT_HDF5,
            FACT_IMAGES, /* what decodes them; "": they are pixels */
            FACTS
};
static const struct {
  const char *name, *was, *words;
  bool bits; /* another one may change bits */
} facts[FACTS] = {
    {"program", "was_program", "program", true},
    {"build", "was_build", "build of the program", false},
    {"kernels", "was_kernels", "kernel library", true},
    {"isa", "was_isa", "instruction set (run.isa)", true},
    {"processor", "was_processor", "processor", true},
    {"tuning", "was_tuning", "kernel choices", true},
    {"threads", "was_threads", "threads", true},
    {"replicas", "was_replicas", "replicas", true},
    {"hosts", "was_hosts", "hosts", false},
    {"ranks", "was_ranks", "ranks", false},
    {"pipe", "was_pipe", "pipe ranks", false},
    {"mpi", "was_mpi", "MPI", false},
    {"hdf5", "was_hdf5", "HDF5", false},
    {"images", "was_images", "decoder of images", true},
};

struct receipt { /* whole on the root */
  struct text fact[FACTS], was[FACTS];
  struct store_digests saved, loaded;
  struct text reasons; /* why it may not be exact */
  struct text fresh;   /* what was not in the file */
  int64_t step, lost;
  bool other_heads; /* than in the rows so far */
  const char *path; /* "": from nothing */
};

static enum status
gather_facts (struct session *s, struct receipt *r)
{
  const struct design *d = s->design;
  char cpu[256], digest[33];
  struct text tuning;
  processor_name (cpu, sizeof cpu);
  text_init (&tuning);
  kernels_print (d->kernels, &tuning);
  hash_digest (tuning.data, tuning.size, digest);
  text_clear (&tuning);
  text_add (&r->fact[FACT_BUILD], "%s", hash_program ());
  text_add (&r->fact[FACT_KERNELS], "%s", kernels_library ());
  text_add (&r->fact[FACT_ISA], "%s", kernels_level_use ());
  TRY (joined (s->wire, cpu, &r->fact[FACT_PROCESSOR]));
  TRY (joined (s->wire, wire_host (s->wire), &r->fact[FACT_HOSTS]));
  text_add (&r->fact[FACT_PROGRAM], "%s", PACKAGE_VERSION);
  text_add (&r->fact[FACT_TUNING], "%s", digest);
  text_add (&r->fact[FACT_THREADS], "%d", d->threads);
  text_add (&r->fact[FACT_REPLICAS], "%d", d->R);
  text_add (&r->fact[FACT_RANKS], "%d", wire_size (s->wire));
  text_add (&r->fact[FACT_PIPE], "%d", wire_pipe_size (s->wire));
  text_add (&r->fact[FACT_MPI], "%s", wire_describe (s->wire));
  text_add (&r->fact[FACT_HDF5], "%s", store_describe ());
  if (d->info.decoder[0])
    TRY (joined (s->wire, d->info.decoder, &r->fact[FACT_IMAGES]));
  return OK;
}

/* -- what it was -------------------------------------------------------------
 */

static const char *
last_part (const char *path)
{
  const char *slash = strrchr (path, '/');
  return slash ? slash + 1 : path;
}

static bool
is_start (const struct store_history *h, int i)
{
  const char *event = store_history_word (h, i, "event");
  return strcmp (event, "start") == 0 || strcmp (event, "resume") == 0;
}

/* The event of the start that wrote a checkpoint; -1: not known. */
static int
who_wrote (const struct store_history *h, const char *path)
{
  int i = store_history_count (h) - 1;
  for (; i >= 0; i--)
    if (strcmp (store_history_word (h, i, "event"), "checkpoint") == 0 &&
        strcmp (last_part (store_history_word (h, i, "file")),
                last_part (path)) == 0)
      break;
  while (i >= 0 && !is_start (h, i))
    i--;
  return i;
}

/* One that was killed between publishing a file and saying so has no event: the
 * start before is taken. */
static int
who_may_have (const struct store_history *h)
{
  int i = store_history_count (h) - 1;
  while (i >= 0 && !is_start (h, i))
    i--;
  return i;
}

static void
reason (struct receipt *r, const char *words)
{
  text_add (&r->reasons, "%s%s", r->reasons.size ? "; " : "", words);
}

/* Programs from this one on give the same bits from the same settings;
 * tests/train/kept goes on with runs of it. */
#define SAME_BITS_SINCE "0.1.0"

static int64_t
program_number (const char *version)
{
  int major, minor, patch;
  char more;
  return sscanf (version, "%d.%d.%d%c", &major, &minor, &patch, &more) == 3
             ? ((int64_t)major * 10000 + minor) * 10000 + patch
             : -1;
}

/* Of a newer one nobody knows. */
static bool
same_program (const char *was)
{
  int64_t n = program_number (was);
  return n >= program_number (SAME_BITS_SINCE) &&
         n <= program_number (PACKAGE_VERSION);
}

static void
compare_facts (const struct store_history *h, struct receipt *r)
{
  int i = who_wrote (h, r->path);
  if (i < 0)
    i = who_may_have (h);
  if (i < 0) {
    reason (r, "what wrote the checkpoint is not known: there is no event");
    return;
  }
  for (int k = 0; k < FACTS; k++) {
    const char *was = store_history_word (h, i, facts[k].name);
    text_add (&r->was[k], "%s", was);
    if (!facts[k].bits || strcmp (was, r->fact[k].data) == 0 ||
        (k == FACT_PROGRAM && same_program (was)))
      continue;
    if (k == FACT_TUNING)
      reason (r, "kernel choices differ");
    else
      changes_add (&r->reasons, facts[k].words, r->fact[k].data, was);
  }
}

static void
compare_digest (struct receipt *r, const char *what, const char *saved,
                const char *loaded)
{
  char words[96];
  if (saved[0] && strcmp (saved, loaded) == 0)
    return;
  snprintf (words, sizeof words,
            saved[0] ? "%s as loaded are not those that were saved"
                     : "the file tells no digest of %s",
            what);
  reason (r, words);
}

/* -- the receipt -------------------------------------------------------------
 */

static void
receipt_init (struct receipt *r, const char *path)
{
  *r = (struct receipt){.path = path};
  for (int k = 0; k < FACTS; k++) {
    text_init (&r->fact[k]);
    text_init (&r->was[k]);
  }
  text_init (&r->reasons);
  text_init (&r->fresh);
}

static void
receipt_clear (struct receipt *r)
{
  for (int k = 0; k < FACTS; k++) {
    text_clear (&r->fact[k]);
    text_clear (&r->was[k]);
  }
  text_clear (&r->reasons);
  text_clear (&r->fresh);
}

struct fields {
  const char *field[48][2];
  int n;
};

static void
field (struct fields *f, const char *name, const char *value)
{
  CHECK (f->n < (int)(sizeof f->field / sizeof *f->field), "%s: no room", name);
  f->field[f->n][0] = name;
  f->field[f->n++][1] = value;
}

static void
put_digests (struct fields *f, const struct receipt *r)
{
  field (f, "saved_weights", r->saved.weights);
  field (f, "saved_optimizer", r->saved.optimizer);
  field (f, "saved_state", r->saved.state);
  field (f, "loaded_weights", r->loaded.weights);
  field (f, "loaded_optimizer", r->loaded.optimizer);
  field (f, "loaded_state", r->loaded.state);
  for (int k = 0; k < FACTS; k++)
    field (f, facts[k].was, r->was[k].data);
  field (f, "exact", r->reasons.size ? "false" : "true");
  field (f, "reasons", r->reasons.data);
  field (f, "fresh", r->fresh.data);
}

/* One line of events.jsonl: from where, on what, and whether exactly. */
static enum status
write_receipt (struct session *s, const struct receipt *r)
{
  char step[32], lost[32], plan[32];
  const char *restart = getenv ("SLURM_RESTART_COUNT");
  struct fields f = {0};
  struct identity who;
  identity_of (s, &who);
  snprintf (step, sizeof step, "%lld", (long long)r->step);
  snprintf (lost, sizeof lost, "%lld", (long long)r->lost);
  snprintf (plan, sizeof plan, "plan %016llx",
            (unsigned long long)design_hash (s->design));
  field (&f, "step", step);
  field (&f, "file", r->path);
  field (&f, "lost", lost);
  for (int k = 0; k < FACTS; k++)
    field (&f, facts[k].name, r->fact[k].data);
  field (&f, "plan", plan);
  field (&f, "config", who.config);
  field (&f, "init", who.init);
  field (&f, "host", wire_host (s->wire));
  field (&f, "restart", restart ? restart : "null");
  if (r->path[0])
    put_digests (&f, r);
  return store_run_event (s->run, r->path[0] ? "resume" : "start", f.n,
                          (const char *const(*)[2])f.field);
}

static void
say_receipt (const struct receipt *r)
{
  say (LOG_INFO, "continuing from %s at step %lld: %s; %lld step%s lost",
       r->path, (long long)r->step,
       r->reasons.size ? "not exact" : "exact, the same bits as without a stop",
       (long long)r->lost, r->lost == 1 ? "" : "s");
  if (r->reasons.size)
    say (LOG_INFO, "not exact, because: %s", r->reasons.data);
  if (r->fresh.size)
    say (LOG_INFO, "starts fresh, not being in the file: %s", r->fresh.data);
}

/* What the stages hold now. */
static enum status
digest_stages (struct session *s, struct receipt *r)
{
  const struct design *d = s->design;
  char *lines = NULL, data[17];
  TRY (check_state_digests (s, &lines));
  if (lines) {
    struct store_attributes a = {
        .step = r->step,
        .epoch = r->step * d->batch / d->n_train,
        .sample = r->step * d->batch,
        .seed = d->config.seed,
        .order = key_word (KEY_OF (order), &d->config),
        .data = data,
    };
    snprintf (data, sizeof data, "%016llx", (unsigned long long)d->info.digest);
    store_checkpoint_digests (lines, &a, &r->loaded);
  }
  mem_free (&lines);
  return OK;
}

enum status
train_verdict (struct wire *w, enum status e)
{
  int verdict = (int)e;
  char *message = NULL;
  TRY (wire_broadcast (w, &verdict, sizeof verdict, 0));
  if (verdict == (int)OK)
    return OK;
  enum status copied = OK;
  if (wire_rank (w) == 0)
    copied = mem_text (fail_message (), &message);
  if (copied != OK)
    wire_abort (copied); /* no memory even for a line */
  TRY (wire_broadcast_text (w, &message, 0));
  fail_clear ();
  e = fail ((enum status)verdict, "%s", message);
  mem_free (&message);
  return wire_agree (w, e);
}

/* -- going on ----------------------------------------------------------------
 */

static void
compare_data (const struct session *s, const struct store_attributes *a,
              struct text *refused)
{
  char data[17];
  snprintf (data, sizeof data, "%016llx",
            (unsigned long long)s->design->info.digest);
  if (a->data[0] && strcmp (a->data, data) != 0)
    changes_add (refused, "the data set", data, a->data);
}

static enum status
another_run (const struct session *s, const char *path, const char *with,
             const char *more)
{
  return fail (E_CONFIG,
               "%s goes on from %s, but with %s: that would be another run; "
               "take another run.dir (%s)",
               s->design->config.dir, path, with, more);
}

/* On the root: a whole file that does not fit is no reason to begin again where
 * it is the settings that have changed.  E_CONFIG then. */
static enum status
blame_settings (struct session *s, const char *path, const char *why)
{
  struct store_checkpoint *file = NULL;
  struct store_attributes a;
  struct text other;
  struct ini was;
  TRY (store_checkpoint_open (path, &file));
  text_init (&other);
  store_checkpoint_attributes (file, &a);
  ini_open (a.config, NULL, &was);
  changes_network (&was, &s->design->config, &other);
  compare_data (s, &a, &other);
  enum status e = other.size ? another_run (s, path, other.data, why) : OK;
  ini_close (&was);
  text_clear (&other);
  store_checkpoint_close (&file);
  return e;
}

/* On the root: what the settings of the file and those of now say to each
 * other.  E_CONFIG where this would be another run. */
static enum status
compare_settings (struct session *s, const struct origin *o, struct receipt *r)
{
  const struct design *d = s->design;
  struct store_checkpoint *file = NULL;
  struct store_attributes a;
  struct text refused, hint;
  struct ini was;
  TRY (store_checkpoint_open (r->path, &file));
  text_init (&refused);
  store_checkpoint_attributes (file, &a);
  r->saved = a.digests;
  ini_open (a.config, NULL, &was);
  changes_find (&was, &d->config, &refused, &r->reasons);
  r->other_heads = changes_key (&was, &d->config, KEY_OF (cut)) ||
                   changes_key (&was, &d->config, KEY_OF (head));
  identity_compare_init (&d->config, o->history, &was, &refused);
  ini_close (&was);
  compare_data (s, &a, &refused);
  text_init (&hint);
  text_add (&hint,
            "%s=%s begins it with these weights, --fresh begins anew here and "
            "moves the old one aside",
            KEY_NAME (init), r->path);
  enum status e =
      refused.size ? another_run (s, r->path, refused.data, hint.data) : OK;
  text_clear (&hint);
  text_clear (&refused);
  store_checkpoint_close (&file);
  return e;
}

static void
reason_list (struct receipt *r, const char *what, const struct text *list)
{
  if (list->size)
    text_add (&r->reasons, "%s%s %s", r->reasons.size ? "; " : "", what,
              list->data);
}

/* If the file holds exactly the tensors that the stages hold, their digests
 * have to be the same; otherwise the lists say which are new or missing. */
static void
compare_loaded (struct receipt *r, const struct load_fit *f)
{
  text_add (&r->fresh, "%s", f->fresh.data);
  reason_list (r, "fresh:", &f->fresh);
  reason_list (r, "not taken from the file:", &f->dropped);
  reason_list (r, "other stages:", &f->moved);
  if (!f->fresh.size && !f->dropped.size && !f->moved.size) {
    compare_digest (r, "weights", r->saved.weights, r->loaded.weights);
    compare_digest (r, "optimizer slots", r->saved.optimizer,
                    r->loaded.optimizer);
  }
  compare_digest (r, "random and sample state", r->saved.state,
                  r->loaded.state);
}

/* The newest whole checkpoint that is of this network; *path "" when there is
 * none. */
static enum status
find (struct session *s, struct origin *o, struct load_fit *f, char **path)
{
  for (;;) {
    struct text why;
    enum status e = OK;
    if (wire_rank (s->wire) == 0)
      e = mem_text (o->path ? o->path : "", path);
    TRY (wire_agree (s->wire, e));
    TRY (wire_broadcast_text (s->wire, path, 0));
    if (!(*path)[0])
      return OK;
    text_init (&why);
    e = train_fit (s, *path, f, &why);
    enum status other = OK;
    if (e == E_CHECKPOINT)
      other = train_verdict (s->wire, wire_rank (s->wire) == 0
                                          ? blame_settings (s, *path, why.data)
                                          : OK);
    if (e == E_CHECKPOINT && other == OK)
      say (LOG_WARN, "passed over: %s", why.data);
    text_clear (&why);
    if (e != E_CHECKPOINT || other != OK)
      return other != OK ? other : e;
    load_fit_clear (f);
    mem_free (path);
    if (wire_rank (s->wire) == 0)
      origin_next (o);
  }
}

static enum status
load_found (struct training *t, struct origin *o, const struct load_fit *f,
            struct receipt *r)
{
  struct session *s = t->s;
  bool root = wire_rank (s->wire) == 0;
  TRY (train_verdict (s->wire, root ? compare_settings (s, o, r) : OK));
  TRY (session_load_fit (s, r->path, f, t->resumed, &r->step));
  TRY (digest_stages (s, r));
  if (root) {
    r->lost = o->reached > r->step ? o->reached - r->step : 0;
    compare_facts (o->history, r);
    compare_loaded (r, f);
    say_receipt (r);
  }
  return OK;
}

/* After loading, on the root: the mark and the event. */
static enum status
begin (struct session *s, struct origin *o, struct receipt *r)
{
  if (!s->run)
    return OK;
  o->mark.step = o->mark.start = r->step;
  TRY (store_run_mark (s->run, &o->mark));
  return r->step <= s->design->steps ? write_receipt (s, r) : OK;
}

enum status
train_resume (struct training *t, struct origin *o)
{
  struct session *s = t->s;
  char *path = NULL;
  struct load_fit f = {0};
  struct receipt r;
  enum status e = find (s, o, &f, &path);
  receipt_init (&r, path ? path : "");
  if (e == OK && !path[0])
    e = train_verdict (
        s->wire, s->run && o->ever ? origin_none (s->design->config.dir) : OK);
  if (e == OK)
    e = gather_facts (s, &r);
  if (e == OK && path[0])
    e = load_found (t, o, &f, &r);
  if (e == OK)
    e = wire_agree (s->wire, begin (s, o, &r));
  if (e == OK)
    t->start = r.step;
  t->other_heads = r.other_heads;
  receipt_clear (&r);
  load_fit_clear (&f);
  mem_free (&path);
  return e;
}
