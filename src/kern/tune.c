/* kern/tune.c -- which algorithm each convolution uses.
 *
 * A table with one entry per shape, filled by measuring or from text.  Making
 * a convolution only looks into it: timings never decide anything behind the
 * back of who stored the table.
 */
#include "base/clock.h"
#include "kern/kern_impl.h"

#include <stdio.h>
#include <string.h>

#define NONE (-1)         /* a direction that is never asked for */
#define CANDIDATE_S 0.008 /* time given to a candidate */
#define REPEATS 4         /* at least, the first to warm up */
#define SLOW_S 0.06       /* ... unless that takes longer than this */
#define GAIN 0.97         /* a rival must be this much faster */

struct entry {
  struct kern_conv_shape s;
  int algo[3];       /* enum kern_algo by direction, or NONE */
  double seconds[3]; /* of the chosen algorithm; 0: not measured here */
};

struct kern_tuning {
  enum kern_layout layout;
  char machine[KERN_MACHINE]; /* "" when nothing was measured or read */
  struct entry *entries;
  size_t n, room;
};

enum status
kern_tuning_create (struct kern_tuning **out)
{
  struct kern_tuning *t = NULL;
  TRY (MEM_NEW (1, &t, "tuning"));
  t->layout = KERN_BLOCKED;
  *out = t;
  return OK;
}

void
kern_tuning_destroy (struct kern_tuning **tp)
{
  if (*tp == NULL)
    return;
  mem_free (&(*tp)->entries);
  mem_free (tp);
}

enum kern_layout
kern_tuning_layout (const struct kern_tuning *t)
{
  return t->layout;
}

void
kern_tuning_layout_set (struct kern_tuning *t, enum kern_layout l)
{
  t->layout = l;
}

const char *
kern_tuning_machine (const struct kern_tuning *t)
{
  return t->machine;
}

void
kern_machine (const struct kern *k, char out[KERN_MACHINE])
{
  const dnnl_version_t *v = dnnl_version ();
  snprintf (out, KERN_MACHINE, "%s, oneDNN %d.%d.%d, %d thread%s", k->isa,
            v->major, v->minor, v->patch, k->threads,
            k->threads == 1 ? "" : "s");
}

/* -- entries --------------------------------------------------------------- */

/* A bias changes nothing in the choice. */
static bool
same_shape (const struct kern_conv_shape *a, const struct kern_conv_shape *b)
{
  return a->n == b->n && a->c == b->c && a->h == b->h && a->w == b->w &&
         a->out_c == b->out_c && a->kernel == b->kernel &&
         a->stride == b->stride && a->pad == b->pad && a->src == b->src &&
         a->dst == b->dst;
}

static struct entry *
find (const struct kern_tuning *t, const struct kern_conv_shape *s)
{
  for (size_t i = 0; i < t->n; i++)
    if (same_shape (&t->entries[i].s, s))
      return &t->entries[i];
  return NULL;
}

static enum status
add (struct kern_tuning *t, const struct entry *e)
{
  if (t->n == t->room) {
    size_t room = t->room == 0 ? 16 : 2 * t->room;
    TRY (mem_grow (&t->entries, t->room, room, sizeof *t->entries, "tuning"));
    t->room = room;
  }
  t->entries[t->n++] = *e;
  return OK;
}

enum kern_algo
kern_tuning_choice (const struct kern_tuning *t,
                    const struct kern_conv_shape *s, enum kern_direction d)
{
  const struct entry *e = t == NULL ? NULL : find (t, s);
  if (e == NULL || e->algo[d] == NONE)
    return KERN_DIRECT;
  return (enum kern_algo)e->algo[d];
}

/* -- text ------------------------------------------------------------------ */

void
kern_tuning_print (const struct kern_tuning *t, struct text *out)
{
  text_add (out, "layout = %s\n", kern_layout_name (t->layout));
  if (t->machine[0] != '\0')
    text_add (out, "machine = %s\n", t->machine);
  for (size_t i = 0; i < t->n; i++) {
    const struct entry *e = &t->entries[i];
    char shape[KERN_SHAPE_TEXT];
    kern_conv_text (&e->s, shape);
    text_add (out, "%s", shape);
    for (int d = KERN_FORWARD; d <= KERN_BACK_WEIGHTS; d++)
      text_add (out, " %s=%s", kern_direction_name ((enum kern_direction)d),
                e->algo[d] == NONE
                    ? "none"
                    : kern_algo_name ((enum kern_algo)e->algo[d]));
    text_add (out, "\n");
  }
}

static bool
parse_algo (const char *word, int *out)
{
  for (int a = KERN_DIRECT; a < KERN_ALGOS; a++)
    if (strcmp (word, kern_algo_name ((enum kern_algo)a)) == 0) {
      *out = a;
      return true;
    }
  *out = NONE;
  return strcmp (word, "none") == 0;
}

/* The words of a line, in the order in which they are printed. */
enum word {
  WORD_N,
  WORD_C,
  WORD_H,
  WORD_W,
  WORD_OUT,
  WORD_KERNEL,
  WORD_STRIDE,
  WORD_PAD,
  WORD_SRC,
  WORD_DST,
  WORD_FORWARD,
  WORD_BACK_DATA,
  WORD_BACK_WEIGHTS,
  WORDS
};
static const char *const words[WORDS] = {[WORD_N] = "n",
                                         [WORD_C] = "c",
                                         [WORD_H] = "h",
                                         [WORD_W] = "w",
                                         [WORD_OUT] = "out",
                                         [WORD_KERNEL] = "kernel",
                                         [WORD_STRIDE] = "stride",
                                         [WORD_PAD] = "pad",
                                         [WORD_SRC] = "src",
                                         [WORD_DST] = "dst",
                                         [WORD_FORWARD] = "forward",
                                         [WORD_BACK_DATA] = "back_data",
                                         [WORD_BACK_WEIGHTS] = "back_weights"};

static bool
parse_value (enum word w, const char *value, struct entry *e)
{
  int64_t number = 0;
  if (w <= WORD_PAD && (!text_to_long (value, &number) ||
                        number < (w == WORD_PAD ? 0 : 1) || number > INT32_MAX))
    return false;
  switch (w) {
  case WORD_N:
    e->s.n = number;
    return true;
  case WORD_C:
    e->s.c = number;
    return true;
  case WORD_H:
    e->s.h = number;
    return true;
  case WORD_W:
    e->s.w = number;
    return true;
  case WORD_OUT:
    e->s.out_c = number;
    return true;
  case WORD_KERNEL:
    e->s.kernel = (int)number;
    return true;
  case WORD_STRIDE:
    e->s.stride = (int)number;
    return true;
  case WORD_PAD:
    e->s.pad = (int)number;
    return true;
  case WORD_SRC:
    return kern_layout_parse (value, &e->s.src);
  case WORD_DST:
    return kern_layout_parse (value, &e->s.dst);
  default:
    return parse_algo (value, &e->algo[w - WORD_FORWARD]);
  }
}

/* "conv" and all words as key=value, each once.  Cuts line up. */
static enum status
parse_conv (char *line, const char *at, struct entry *e)
{
  bool seen[WORDS] = {false};
  char *rest = NULL;
  for (char *word = strtok_r (line, " \t", &rest); word != NULL;
       word = strtok_r (NULL, " \t", &rest)) {
    char *value = strchr (word, '=');
    if (value == NULL)
      return fail (E_CONFIG, "%s: \"%s\" is not of the form key=value", at,
                   word);
    *value++ = '\0';
    int w = 0;
    while (w < WORDS && strcmp (word, words[w]) != 0)
      w++;
    if (w == WORDS) {
      const char *near = text_nearest (word, words, WORDS);
      return fail (E_CONFIG, "%s: unknown word \"%s\"%s%s%s", at, word,
                   near == NULL ? "" : "; did you mean \"",
                   near == NULL ? "" : near, near == NULL ? "" : "\"?");
    }
    if (seen[w])
      return fail (E_CONFIG, "%s: \"%s\" is given twice", at, word);
    seen[w] = true;
    if (!parse_value ((enum word)w, value, e))
      return fail (E_CONFIG, "%s: \"%s\" is no value of \"%s\"", at, value,
                   word);
  }
  for (int w = 0; w < WORDS; w++)
    if (!seen[w])
      return fail (E_CONFIG, "%s: \"%s\" is missing", at, words[w]);
  return OK;
}

static enum status
parse_line (char *line, const char *at, struct kern_tuning *t)
{
  if (strncmp (line, "layout = ", 9) == 0) {
    if (!kern_layout_parse (line + 9, &t->layout))
      return fail (E_CONFIG, "%s: \"%s\" is no layout (plain, blocked, last)",
                   at, line + 9);
    return OK;
  }
  if (strncmp (line, "machine = ", 10) == 0) {
    if (strlen (line + 10) >= sizeof t->machine)
      return fail (E_CONFIG, "%s: the name of the machine is too long", at);
    memcpy (t->machine, line + 10, strlen (line + 10) + 1);
    return OK;
  }
  if (strncmp (line, "conv ", 5) != 0)
    return fail (E_CONFIG,
                 "%s: a line begins with \"layout =\", \"machine =\" or "
                 "\"conv\", not \"%s\"",
                 at, line);
  struct entry e = {0};
  TRY (parse_conv (line + 5, at, &e));
  if (find (t, &e.s) != NULL)
    return fail (E_CONFIG, "%s: this shape is in the table already", at);
  return add (t, &e);
}

enum status
kern_tuning_parse (const char *text, const char *origin, struct kern_tuning *t)
{
  char line[512], at[256];
  for (int number = 1; *text != '\0'; number++) {
    size_t length = strcspn (text, "\n");
    snprintf (at, sizeof at, "%s:%d", origin, number);
    if (length >= sizeof line)
      return fail (E_CONFIG, "%s: the line is too long", at);
    memcpy (line, text, length);
    while (length > 0 && strchr (" \t\r", line[length - 1]) != NULL)
      length--;
    line[length] = '\0';
    text += strcspn (text, "\n");
    text += *text == '\n';
    if (line[0] != '\0' && line[0] != '#')
      TRY (parse_line (line, at, t));
  }
  return OK;
}

/* -- measuring ------------------------------------------------------------- */

struct bench { /* tensors of a shape, filled with harmless numbers */
  float *src, *dst, *bias;
  size_t n_src, n_dst, n_bias;
};

static void
bench_clear (struct bench *b)
{
  mem_free (&b->src);
  mem_free (&b->dst);
  mem_free (&b->bias);
}

static void
fill (size_t n, float *x)
{
  for (size_t i = 0; i < n; i++)
    x[i] = (float)(i % 13) * 0.1f - 0.6f;
}

static enum status
bench_make (struct kern *k, const struct kern_conv_shape *s, struct bench *b)
{
  struct kern_dims in = {s->n, s->c, s->h, s->w};
  struct kern_dims out = {s->n, s->out_c,
                          kern_conv_out (s->h, s->kernel, s->stride, s->pad),
                          kern_conv_out (s->w, s->kernel, s->stride, s->pad)};
  b->n_src = kern_bytes (k, in, s->src) / sizeof (float);
  b->n_dst = kern_bytes (k, out, s->dst) / sizeof (float);
  b->n_bias = (size_t)s->out_c;
  TRY (MEM_NEW (b->n_src, &b->src, "tuning"));
  TRY (MEM_NEW (b->n_dst, &b->dst, "tuning"));
  TRY (MEM_NEW (b->n_bias, &b->bias, "tuning"));
  fill (b->n_src, b->src);
  fill (b->n_dst, b->dst);
  return OK;
}

static enum status
run_once (struct kern_conv *c, bool bias, enum kern_direction d,
          const struct bench *b, float *master)
{
  float *with = bias ? b->bias : NULL;
  if (d == KERN_FORWARD)
    return kern_conv_forward (c, b->src, master, with, b->dst);
  if (d == KERN_BACK_DATA)
    return kern_conv_back_data (c, b->dst, master, b->src);
  return kern_conv_back_weights (c, b->src, b->dst, 1, false, master, with);
}

/* What a direction wrote must not feed the next measurement: numbers would
 * grow from one to the next. */
static void
restore (enum kern_direction d, struct bench *b)
{
  if (d == KERN_FORWARD)
    fill (b->n_dst, b->dst);
  else if (d == KERN_BACK_DATA)
    fill (b->n_src, b->src);
}

/* Best time of c's direction d.  A slow one is believed at once: what the first
 * run costs beyond the others is small against it. */
static enum status
best_time (struct kern_conv *c, bool bias, enum kern_direction d,
           const struct bench *b, float *master, double *out)
{
  double best = 1e30, spent = 0;
  for (int i = 0; i < REPEATS || spent < CANDIDATE_S; i++) {
    double start = clock_now_s ();
    TRY (run_once (c, bias, d, b, master));
    double took = clock_now_s () - start;
    best = took < best ? took : best;
    spent += took > 1e-7 ? took : 1e-7;
    if (spent > SLOW_S)
      break;
  }
  *out = best;
  return OK;
}

/* AUTO is a name for one of the others, unless it is not. */
static bool
is_alias (char impl[KERN_ALGOS][64], enum kern_algo a)
{
  return a == KERN_AUTO && (strcmp (impl[KERN_AUTO], impl[KERN_DIRECT]) == 0 ||
                            strcmp (impl[KERN_AUTO], impl[KERN_WINOGRAD]) == 0);
}

/* Make, seal, time and throw away one candidate; an alias is not timed. */
static enum status
try_candidate (struct kern *k, const struct kern_conv_shape *shape,
               enum kern_direction d, enum kern_algo a, struct bench *b,
               double *seconds, char impl[KERN_ALGOS][64])
{
  struct kern_conv *c = NULL;
  float *master = NULL;
  enum kern_algo algo[3] = {KERN_DIRECT, KERN_DIRECT, KERN_DIRECT};
  algo[d] = a;
  TRY (kern_conv_create_as (k, shape, algo, 1u << d, &c));
  enum status s = OK;
  snprintf (impl[a], 64, "%s", kern_conv_impl (c, d));
  *seconds = 1e30;
  if (is_alias (impl, a))
    goto done;
  size_t n = kern_conv_weight_bytes (c) / sizeof (float);
  TRY_GOTO (MEM_NEW (n, &master, "tuning"), done);
  fill (n, master);
  TRY_GOTO (kern_seal (k), done);
  TRY_GOTO (kern_conv_refresh (c, master), done);
  TRY_GOTO (best_time (c, shape->bias, d, b, master, seconds), done);
  restore (d, b);
done:
  mem_free (&master);
  kern_conv_destroy (&c);
  return s;
}

/* The fastest algorithm of a direction; the plain one unless a rival is clearly
 * ahead.  only != NONE: no choice, just its time. */
static enum status
choose (struct kern *k, const struct kern_conv_shape *s, enum kern_direction d,
        int only, struct bench *b, int *algo, double *seconds)
{
  char impl[KERN_ALGOS][64] = {{0}};
  double best = 0, direct = 0;
  int chosen = NONE;
  for (int a = KERN_DIRECT; a < KERN_ALGOS; a++) {
    double t = 0;
    if (only != NONE && a != only)
      continue;
    enum status st = try_candidate (k, s, d, (enum kern_algo)a, b, &t, impl);
    if (st == E_UNSUPPORTED && a != KERN_DIRECT && only == NONE) {
      fail_clear ();
      continue;
    }
    TRY (st);
    if (a == KERN_DIRECT)
      direct = t;
    if (chosen == NONE || (t < best && t < GAIN * direct)) {
      chosen = a;
      best = t;
    }
  }
  *algo = chosen;
  *seconds = best;
  return OK;
}

static enum status
measure_entry (struct kern *k, struct entry *e, bool back_data, bool times)
{
  struct bench b = {0};
  enum status s = bench_make (k, &e->s, &b);
  for (int d = KERN_FORWARD; d <= KERN_BACK_WEIGHTS && s == OK; d++) {
    if (d == KERN_BACK_DATA && !back_data)
      continue;
    if (e->algo[d] == NONE || (times && e->seconds[d] == 0))
      s = choose (k, &e->s, (enum kern_direction)d, e->algo[d], &b, &e->algo[d],
                  &e->seconds[d]);
  }
  bench_clear (&b);
  return s;
}

static bool
complete (const struct entry *e, bool back_data, bool times)
{
  for (int d = KERN_FORWARD; d <= KERN_BACK_WEIGHTS; d++)
    if ((d != KERN_BACK_DATA || back_data) &&
        (e->algo[d] == NONE || (times && e->seconds[d] == 0)))
      return false;
  return true;
}

enum status
kern_tuning_measure (struct kern *k, const struct kern_conv_shape *s,
                     bool back_data, struct kern_tuning *t, double *best_s)
{
  bool times = best_s != NULL;
  struct entry *old = find (t, s);
  struct entry e = {.s = *s, .algo = {NONE, NONE, NONE}};
  if (old != NULL)
    e = *old;
  if (!complete (&e, back_data, times)) {
    struct kern_wishes wishes = kern_wishes_save (k);
    enum status st = measure_entry (k, &e, back_data, times);
    enum status after = kern_wishes_restore (k, wishes);
    TRY (st);
    TRY (after);
    kern_machine (k, t->machine);
    if (old != NULL)
      *old = e;
    else
      TRY (add (t, &e));
  }
  if (times) {
    *best_s = e.seconds[KERN_FORWARD] + e.seconds[KERN_BACK_WEIGHTS];
    if (back_data)
      *best_s += e.seconds[KERN_BACK_DATA];
  }
  return OK;
}
