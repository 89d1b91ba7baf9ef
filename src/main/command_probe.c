/* main/command_probe.c -- the command `probe`: outputs of stages from run to
 * probe. */
#include "main/main.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "probe/probe.h"
#include "run/run.h"
#include "wire/wire.h"
#include <stdio.h>
#include <string.h>

struct options {
  struct given given; /* names: checkpoints, or their run directories */
  const char *split;
  bool maps;
  int samples;
  struct probe_spec spec;
  struct start start;
};

static const struct options defaults = {
    .split = "valid", .samples = 10000, .spec = {.seed = 1}};

/* -- rows -------------------------------------------------------------------
 */

static bool
features (void *maps, const char *word)
{
  int which = text_among ("pooled maps", word, NULL);
  *(bool *)maps = which == 1;
  return which >= 0;
}

static bool
grid (void *spec, const char *word)
{
  struct probe_spec *h = spec;
  int n = 0;
  return sscanf (word, "%5dx%5d%n", &h->grid_rows, &h->grid_cols, &n) == 2 &&
         word[n] == '\0' && h->grid_rows >= 1 && h->grid_cols >= 1;
}

/* clang-format off */
static const struct flag flags[] = {
  { "split", 0, "NAME", "which split: train, valid or test; default: valid",
    INTO_SPLIT (split) },
  { "samples", 0, "N",
    "the first N of the split; of tokens N positions, drawn; default: 10000, "
    "or all where there are fewer",
    INTO_INT (samples, 10, 1 << 30) },
  { "features", 0, "KIND",
    "pooled: means over height and width (default); maps: whole maps",
    BY (features, maps), .wanted = "pooled or maps" },
  { "classes", 0, "N",
    "of tokens: the N - 1 most frequent next tokens, and all others; default "
    "256",
    INTO_INT (spec.classes, 2, 1 << 16) },
  { "double", 0, NULL, "double precision; default: single",
    INTO_BOOL (spec.wide) },
  { "grid", 0, "RxC",
    "ranks in rows and columns; default: as square as they allow",
    BY (grid, spec), .wanted = "rows x columns, such as 2x3" },
  { "block", 0, "N", "rows and columns of a block; default: chosen by size",
    INTO_INT (spec.block, 1, 4096) },
  { "memory", 0, "GB",
    "what matrices may take on a rank; default: what the machine has left",
    INTO_BYTES (spec.memory_bytes) },
  { "output", 'o', "FILE", "the directory to write to", INTO_TEXT (given.output) },
  { "seed", 0, "N",
    "the same seed draws the same parts and positions; default 1",
    INTO_INT64 (spec.seed, 0, INT64_MAX) },
  THREADS,
  { 0 }
};
/* clang-format on */

/* -- between the two --------------------------------------------------------
 */

struct link {
  struct probe *probe;
  const char *name;
  bool look;   /* only what it will be */
  bool tokens; /* found out by begin */
};

static enum status
begin (void *context, const struct run_shape *s, int *per_turn)
{
  struct link *l = context;
  struct probe_side side = {.name = l->name,
                            .step = s->step,
                            .n_stages = s->n_stages,
                            .width = s->width,
                            .behind = s->behind,
                            .n_samples = s->n_samples,
                            .batch = s->batch,
                            .tokens = s->tokens,
                            .classes = s->classes,
                            .threads = s->threads,
                            .labels = s->labels,
                            .digest = s->digest};
  l->tokens = s->tokens;
  return l->look ? probe_expect (l->probe, &side)
                 : probe_begin (l->probe, &side, per_turn);
}

static enum status
rows (void *context, int stage, int64_t first, int64_t n, const float *data)
{
  struct link *l = context;
  return probe_rows (l->probe, stage, first, n, data);
}

static enum status
turn (void *context)
{
  struct link *l = context;
  return probe_turn (l->probe);
}

struct found {
  char *path; /* the file that a checkpoint was; owned */
  bool tokens;
};

/* One checkpoint; look: only what it will be. */
static enum status
take_side (const struct options *o, struct wire *w, struct probe *p,
           const char *name, bool look, struct found *out)
{
  struct config c;
  TRY (configure_checkpoint (name, &o->given, &o->start, w, &out->path, &c));
  struct link link = {p, out->path, look, false};
  struct run_sink sink = {begin, rows, turn, &link};
  struct run_features ask = {.checkpoint = out->path,
                             .split = o->split,
                             .samples = o->samples,
                             .pooled = !o->maps,
                             .seed = o->spec.seed,
                             .look = look,
                             .classes = o->spec.classes > 0};
  double start = clock_now_s ();
  TRY (run_features (w, &c, &ask, &sink));
  if (look)
    return OK;
  TRY (probe_end (p));
  out->tokens = link.tokens;
  say (LOG_INFO, "probe: outputs of %s in %s", out->path,
       text_seconds (clock_now_s () - start));
  return OK;
}

/* Of several checkpoints: what is wrong with any of them, or with all together,
 * is told before the first takes its time. */
static enum status
look_at_all (const struct options *o, struct wire *w, struct probe *p)
{
  enum status s = OK;
  for (int i = 0; s == OK && i < o->given.n_names; i++) {
    struct found one = {0};
    s = take_side (o, w, p, o->given.names[i], true, &one);
    mem_free (&one.path);
  }
  return s == OK ? probe_expected (p) : s;
}

/* -- where results go -------------------------------------------------------
 */

/* RUN of RUN/checkpoints/NAME.h5, else the directory of the file. */
static void
run_directory (const char *path, struct text *out)
{
  const char *last = strrchr (path, '/');
  size_t n = last ? (size_t)(last - path) : 0;
  static const char inner[] = "checkpoints";
  size_t m = sizeof inner - 1;
  bool deep = n >= m && strncmp (path + n - m, inner, m) == 0 &&
              (n == m || path[n - m - 1] == '/');
  if (deep)
    n = n == m ? 0 : n - m - 1;
  if (n > 0)
    text_add (out, "%.*s", (int)n, path);
  else
    text_add (out, "%s", path[0] == '/' ? "/" : ".");
}

static const char *
features_word (const struct options *o, const struct found *f)
{
  return f->tokens ? "positions" : o->maps ? "maps" : "pooled";
}

/* "step-000000100-valid-pooled"; of several checkpoints "-with-N" more. */
static void
result_name (const struct options *o, const struct found *f, struct text *out)
{
  const char *name = strrchr (f->path, '/');
  name = name ? name + 1 : f->path;
  size_t n = strlen (name);
  if (n > 3 && strcmp (name + n - 3, ".h5") == 0)
    n -= 3;
  text_add (out, "%.*s-%s-%s", (int)n, name, o->split, features_word (o, f));
  if (o->given.n_names > 1)
    text_add (out, "-with-%d", o->given.n_names - 1);
}

static enum status
leave (const struct options *o, const struct found *f, struct probe *p,
       const struct probe_result *r)
{
  struct text out, dir, given, name, asked;
  text_init (&out);
  text_init (&dir);
  text_init (&given);
  text_init (&name);
  text_init (&asked);
  if (o->given.output)
    text_add (&dir, "%s", o->given.output);
  else {
    run_directory (f->path, &dir);
    text_add (&dir, "/probe");
  }
  result_name (o, f, &given);
  probe_name (p, dir.data, given.data, &name);
  text_add (&asked, "split=%s features=%s precision=%s seed=%lld", o->split,
            features_word (o, f), o->spec.wide ? "double" : "single",
            (long long)o->spec.seed);
  probe_print (p, r, &out);
  text_add (&out, "written: %s/%s.h5, -stages.csv, -spectrum.csv, -cka.csv",
            dir.data, name.data);
  enum status s = probe_write (p, r, dir.data, name.data, asked.data);
  if (s == OK)
    file_print (&out);
  text_clear (&out);
  text_clear (&dir);
  text_clear (&given);
  text_clear (&name);
  text_clear (&asked);
  return s;
}

/* -- work -------------------------------------------------------------------
 */

static enum status
work (const void *options, struct wire *w)
{
  const struct options *o = options;
  struct probe *p = NULL;
  struct probe_result *r = NULL;
  struct found first = {0};
  enum status s = probe_open (w, &o->spec, &p);
  if (s == OK && o->given.n_names > 1)
    s = look_at_all (o, w, p);
  for (int i = 0; s == OK && i < o->given.n_names; i++) {
    struct found other = {0};
    s = take_side (o, w, p, o->given.names[i], false, i ? &other : &first);
    mem_free (&other.path);
  }
  if (s == OK)
    s = probe_study (p, &r);
  if (s == OK)
    s = wire_agree (w, wire_rank (w) == 0 ? leave (o, &first, p, r) : OK);
  probe_result_destroy (&r);
  probe_close (&p);
  mem_free (&first.path);
  return s;
}

const struct command command_probe = {
    .name = "probe",
    .usage = "probe CHECKPOINT... [section.key=value ...] [options]",
    .summary = "linear probes, spectra and similarity of stage outputs",
    .detail =
        "Computes the outputs of every stage on a split, and from them, with "
        "ScaLAPACK over all ranks: how well a linear classifier does on each, "
        "the spectrum of its covariance, and the similarity (linear CKA) of "
        "all stages of all checkpoints. Of language models positions are "
        "samples, and the next token is predicted, in bits. A checkpoint may "
        "be a run directory: its newest one. Results go to probe/ in the run "
        "directory of the first.",
    .flags = flags,
    .size = sizeof (struct options),
    .defaults = &defaults,
    .needs = NEEDS_RANKS | NEEDS_STDOUT,
    .least = 1,
    .wants = "a checkpoint or a run directory",
    .work = work,
};
