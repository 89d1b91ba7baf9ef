/* kern/tune.c -- which algorithm each convolution uses.
 *
 * A table with one entry per shape, filled by measuring (measure.c) or from a
 * text.  Making a convolution only looks into it and never measures.  So the
 * choices of a run are all in its tune.txt, and a run that is given the same
 * table computes the same bits.
 */
#include "kern/prove_impl.h"
#include "kern/tune_impl.h"

#include <stdio.h>
#include <string.h>

/* The words of the text, which messages use, too. */
static const char *const algo_names[KERN_ALGOS] = {
    [KERN_DIRECT] = "direct",
    [KERN_WINOGRAD] = "winograd",
    [KERN_AUTO] = "auto",
    [KERN_OTHER] = "other",
    [KERN_OWN] = "own",
    [KERN_WINOGRAD_2] = "winograd2x2",
    [KERN_WINOGRAD_4] = "winograd4x4"};
static const char *const direction_names[] = {[KERN_FORWARD] = "forward",
                                              [KERN_BACK_DATA] = "back_data",
                                              [KERN_BACK_WEIGHTS] =
                                                  "back_weights"};

static const char *const bn_names[KERN_BN_WAYS] = {
    [KERN_BN_LIBRARY] = "library", [KERN_BN_FUSED] = "fused"};

const char *
kern_algo_name (enum kern_algo a)
{
  return algo_names[a];
}

const char *
kern_direction_name (enum kern_direction d)
{
  return direction_names[d];
}

void
kern_conv_text (const struct kern_conv_shape *s, char out[KERN_SHAPE_TEXT])
{
  snprintf (out, KERN_SHAPE_TEXT,
            "conv n=%lld c=%lld h=%lld w=%lld out=%lld kernel=%d stride=%d "
            "pad=%d src=%s dst=%s",
            (long long)s->n, (long long)s->c, (long long)s->h, (long long)s->w,
            (long long)s->out_c, s->kernel, s->stride, s->pad,
            kern_layout_name (s->src), kern_layout_name (s->dst));
}

enum status
kern_tuning_create (struct kern_tuning **out)
{
  struct kern_tuning *t = NULL;
  TRY (MEM_NEW (1, &t, "tuning"));
  t->layout = KERN_BLOCKED;
  text_init (&t->verdicts);
  *out = t;
  return OK;
}

void
kern_tuning_destroy (struct kern_tuning **tp)
{
  if (*tp == NULL)
    return;
  mem_free (&(*tp)->entries);
  mem_free (&(*tp)->linear);
  text_clear (&(*tp)->verdicts);
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

enum kern_bn_way
kern_tuning_bn (const struct kern_tuning *t)
{
  return t->bn;
}

void
kern_tuning_bn_set (struct kern_tuning *t, enum kern_bn_way way)
{
  t->bn = way;
}

void
kern_tuning_go_on (struct kern_tuning *t, const struct kern_tuning *was)
{
  t->by_sgemm = was->by_sgemm;
  t->bn = was->bn;
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

/* Earlier texts name the kind of machine only. */
static bool
same_isa (const char *was, const char *is)
{
  if (strcmp (was, "AVX-512") == 0)
    return kern_isa_includes (is, "avx512_core");
  if (strcmp (was, "AVX2") == 0)
    return kern_isa_includes (is, "avx2") &&
           !kern_isa_includes (is, "avx512_core");
  if (strcmp (was, "generic") == 0)
    return !kern_isa_includes (is, "avx2");
  return strcmp (was, is) == 0;
}

bool
kern_tuning_elsewhere (const struct kern *k, const struct kern_tuning *t)
{
  char here[KERN_MACHINE], was[KERN_MACHINE];
  kern_machine (k, here);
  snprintf (was, sizeof was, "%s", t->machine);
  /* "ISA, library, threads" */
  char *comma = strchr (was, ','), *last = strrchr (was, ',');
  if (comma == NULL || last == comma)
    return was[0] != '\0';
  size_t n = (size_t)(last - comma);
  *comma = '\0';
  const char *rest = strchr (here, ',');
  return !same_isa (was, k->isa) || (size_t)(strrchr (here, ',') - rest) != n ||
         strncmp (rest + 1, comma + 1, n - 1) != 0;
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

struct kern_tuning_entry *
kern_tuning_find (const struct kern_tuning *t, const struct kern_conv_shape *s)
{
  for (size_t i = 0; i < t->n; i++)
    if (same_shape (&t->entries[i].s, s))
      return &t->entries[i];
  return NULL;
}

enum status
kern_tuning_add (struct kern_tuning *t, const struct kern_tuning_entry *e)
{
  if (t->n == t->room) {
    size_t room = t->room == 0 ? 16 : 2 * t->room;
    TRY (mem_grow (&t->entries, t->room, room, sizeof *t->entries, "tuning"));
    t->room = room;
  }
  t->entries[t->n++] = *e;
  return OK;
}

double
kern_tuning_seconds (const struct kern_tuning *t)
{
  double sum = 0;
  for (size_t i = 0; i < t->n; i++)
    for (int d = KERN_FORWARD; d <= KERN_BACK_WEIGHTS; d++)
      sum += t->entries[i].seconds[d];
  return sum;
}

struct kern_choice
kern_tuning_get (const struct kern_tuning *t, const struct kern_conv_shape *s,
                 enum kern_direction d)
{
  const struct kern_tuning_entry *e = kern_tuning_find (t, s);
  if (e == NULL)
    return (struct kern_choice){KERN_NO_ALGO, 0};
  return (struct kern_choice){e->algo[d], e->seconds[d]};
}

enum status
kern_tuning_put (struct kern *k, struct kern_tuning *t,
                 const struct kern_conv_shape *s, enum kern_direction d,
                 struct kern_choice c)
{
  struct kern_tuning_entry *e = kern_tuning_find (t, s);
  if (e == NULL) {
    struct kern_tuning_entry none = {
        .s = *s, .algo = {KERN_NO_ALGO, KERN_NO_ALGO, KERN_NO_ALGO}};
    TRY (kern_tuning_add (t, &none));
    e = &t->entries[t->n - 1];
    kern_machine (k, t->machine);
  }
  if (e->algo[d] == KERN_NO_ALGO)
    kern_machine (k, t->machine);
  e->algo[d] = c.algo;
  e->seconds[d] = c.seconds;
  return OK;
}

enum kern_algo
kern_tuning_choice (const struct kern_tuning *t,
                    const struct kern_conv_shape *s, enum kern_direction d)
{
  const struct kern_tuning_entry *e =
      t == NULL ? NULL : kern_tuning_find (t, s);
  if (e == NULL || e->algo[d] == KERN_NO_ALGO)
    return KERN_DIRECT;
  return (enum kern_algo)e->algo[d];
}

/* -- text ------------------------------------------------------------------ */

/* Texts of versions that computed products by sgemm do not have this line. */
#define BY_MATMUL "products = matmul"

void
kern_tuning_print (const struct kern_tuning *t, struct text *out)
{
  text_add (out, "layout = %s\n", kern_layout_name (t->layout));
  if (t->bn != KERN_BN_LIBRARY) /* texts of before do not say it */
    text_add (out, "normalisation = %s\n", bn_names[t->bn]);
  if (t->machine[0] != '\0')
    text_add (out, "machine = %s\n", t->machine);
  if (!t->by_sgemm)
    text_add (out, BY_MATMUL "\n");
  for (size_t i = 0; i < t->n; i++) {
    const struct kern_tuning_entry *e = &t->entries[i];
    char shape[KERN_SHAPE_TEXT];
    kern_conv_text (&e->s, shape);
    text_add (out, "%s", shape);
    for (int d = KERN_FORWARD; d <= KERN_BACK_WEIGHTS; d++)
      text_add (out, " %s=%s", kern_direction_name ((enum kern_direction)d),
                e->algo[d] == KERN_NO_ALGO
                    ? "none"
                    : kern_algo_name ((enum kern_algo)e->algo[d]));
    text_add (out, "\n");
  }
  kern_linear_print (t, out);
}

void
kern_verdicts_print (const struct kern *k, struct text *out)
{
  char machine[KERN_MACHINE];
  kern_machine (k, machine);
  if (kern_proof_count (k) > 0)
    text_add (out, "proven = %s\n", machine);
  for (int i = 0; i < kern_proof_count (k); i++) {
    struct kern_proof p = kern_proof_at (k, i);
    text_add (out, "%s %s\n", p.right ? "right" : "wrong", p.key);
  }
}

enum status
kern_verdicts_take (struct kern *k, const struct kern_tuning *t)
{
  char machine[KERN_MACHINE], key[KERN_KEY];
  kern_machine (k, machine);
  if (strcmp (machine, t->proven) != 0)
    return OK;
  for (const char *line = t->verdicts.data; *line != '\0';) {
    size_t length = strcspn (line, "\n");
    snprintf (key, sizeof key, "%.*s", (int)(length - 6), line + 6);
    if (kern_verdict_get (k, key) == KERN_UNKNOWN)
      TRY (kern_verdict_put (k, key, line[0] == 'r', -1, NULL));
    line += length + 1;
  }
  return OK;
}

static bool
parse_algo (const char *word, int *out)
{
  for (int a = KERN_DIRECT; a < KERN_ALGOS; a++)
    if (strcmp (word, kern_algo_name ((enum kern_algo)a)) == 0) {
      *out = a;
      return true;
    }
  *out = KERN_NO_ALGO;
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
parse_value (enum word w, const char *value, struct kern_tuning_entry *e)
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
parse_conv (char *line, const char *at, struct kern_tuning_entry *e)
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
  if (strncmp (line, "normalisation = ", 16) == 0) {
    for (int way = 0; way < KERN_BN_WAYS; way++)
      if (strcmp (line + 16, bn_names[way]) == 0) {
        t->bn = (enum kern_bn_way)way;
        return OK;
      }
    return fail (E_CONFIG, "%s: \"%s\" is not library or fused", at, line + 16);
  }
  if (strncmp (line, "machine = ", 10) == 0) {
    if (strlen (line + 10) >= sizeof t->machine)
      return fail (E_CONFIG, "%s: the name of the machine is too long", at);
    memcpy (t->machine, line + 10, strlen (line + 10) + 1);
    return OK;
  }
  if (strncmp (line, "proven = ", 9) == 0) {
    if (strlen (line + 9) >= sizeof t->proven)
      return fail (E_CONFIG, "%s: the name of the machine is too long", at);
    memcpy (t->proven, line + 9, strlen (line + 9) + 1);
    return OK;
  }
  if (strncmp (line, "right ", 6) == 0 || strncmp (line, "wrong ", 6) == 0) {
    text_add (&t->verdicts, "%s\n", line);
    return OK;
  }
  if (strcmp (line, BY_MATMUL) == 0) {
    t->by_sgemm = false;
    return OK;
  }
  if (strncmp (line, "linear ", 7) == 0)
    return kern_linear_parse (line + 7, at, t);
  if (strncmp (line, "conv ", 5) != 0)
    return fail (E_CONFIG,
                 "%s: a line begins with \"layout =\", \"normalisation =\", "
                 "\"machine =\", \"conv\", \"linear\", \"proven =\", "
                 "\"right\" or \"wrong\", or is \"" BY_MATMUL "\", not "
                 "\"%s\"",
                 at, line);
  struct kern_tuning_entry e = {0};
  TRY (parse_conv (line + 5, at, &e));
  if (kern_tuning_find (t, &e.s) != NULL)
    return fail (E_CONFIG, "%s: this shape is in the table already", at);
  return kern_tuning_add (t, &e);
}

enum status
kern_tuning_parse (const char *text, const char *origin, struct kern_tuning *t)
{
  char line[512], at[256];
  t->by_sgemm = true;
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
