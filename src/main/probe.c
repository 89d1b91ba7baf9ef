/* main/probe.c -- the command `probe`: outputs of stages from run to probe. */
#include "main/main.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "probe/probe.h"
#include <stdio.h>
#include <string.h>

#define SAMPLES 10000 /* where nothing else is asked for */

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
           const char *given, bool look, struct found *out)
{
  struct config c;
  struct options with = *o;
  with.path = given;
  TRY (configure_as (&with, w, &out->path, &c));
  struct link link = {p, out->path, look, false};
  struct run_sink sink = {begin, rows, turn, &link};
  struct run_features ask = {.checkpoint = out->path,
                             .split = o->split ? o->split : "valid",
                             .samples = o->probe.samples > 0 ? o->probe.samples
                                                             : SAMPLES,
                             .pooled = !o->probe.maps,
                             .seed = (uint64_t)o->generate.seed,
                             .look = look,
                             .classes = o->probe.classes > 0};
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
  for (int i = -1; s == OK && i < o->n_inputs; i++) {
    struct found one = {0};
    s = take_side (o, w, p, i < 0 ? o->path : o->inputs[i], true, &one);
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
  return f->tokens ? "positions" : o->probe.maps ? "maps" : "pooled";
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
  text_add (out, "%.*s-%s-%s", (int)n, name, o->split ? o->split : "valid",
            features_word (o, f));
  if (o->n_inputs > 0)
    text_add (out, "-with-%d", o->n_inputs);
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
  if (o->output)
    text_add (&dir, "%s", o->output);
  else {
    run_directory (f->path, &dir);
    text_add (&dir, "/probe");
  }
  result_name (o, f, &given);
  probe_name (p, dir.data, given.data, &name);
  text_add (&asked, "split=%s features=%s precision=%s seed=%lld",
            o->split ? o->split : "valid", features_word (o, f),
            o->probe.wide ? "double" : "single", (long long)o->generate.seed);
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

/* -- the command ------------------------------------------------------------
 */

enum status
command_probe (const struct options *o, struct wire *w)
{
  struct probe *p = NULL;
  struct probe_result *r = NULL;
  struct found first = {0};
  struct probe_how how = {.wide = o->probe.wide,
                          .grid_rows = o->probe.rows,
                          .grid_cols = o->probe.cols,
                          .block = o->probe.block,
                          .seed = (uint64_t)o->generate.seed,
                          .classes = o->probe.classes,
                          .memory_bytes = o->probe.memory_bytes};
  enum status s = probe_open (w, &how, &p);
  if (s == OK && o->n_inputs > 0)
    s = look_at_all (o, w, p);
  if (s == OK)
    s = take_side (o, w, p, o->path, false, &first);
  for (int i = 0; s == OK && i < o->n_inputs; i++) {
    struct found other = {0};
    s = take_side (o, w, p, o->inputs[i], false, &other);
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
