/* kern/linear_tune.c -- by which of the library's products each linear layer is
 * computed.
 *
 * Lines of the table of tune.c.  A shape that is not in it goes by a rule.
 */
#include "base/clock.h"
#include "base/halt.h"
#include "kern/linear_impl.h"
#include "kern/tune_impl.h"

#include <inttypes.h>
#include <stdio.h>

static const char *const way_names[KERN_WAYS] = {
    [KERN_FIRST] = "first", [KERN_GEMM] = "gemm"};

/* -- the table ------------------------------------------------------------- */

bool
kern_tuning_by_sgemm (const struct kern_tuning *t)
{
  return t != NULL && t->by_sgemm;
}

static struct kern_linear_entry *
find (const struct kern_tuning *t, const struct kern_linear_shape *s)
{
  for (size_t i = 0; t != NULL && i < t->n_linear; i++) {
    struct kern_linear_entry *e = &t->linear[i];
    if (e->n == s->n && e->in == s->in && e->out == s->out)
      return e;
  }
  return NULL;
}

/* Measured on two cores with AVX-512: what the library puts first is faster
 * with a bias, with a long inner side (1.3 times), and where the result is far
 * wider (1.05 to 1.2 times); in gradients of tall matrices (1.03 to 1.17). */
static enum kern_way
by_rule (const struct kern_linear_shape *s, enum kern_direction d)
{
  const bool forward = s->bias || s->in > s->out || s->out >= 16 * s->in;
  const bool first = d == KERN_FORWARD        ? forward
                     : d == KERN_BACK_WEIGHTS ? s->out >= 4 * s->in
                                              : false;
  return first ? KERN_FIRST : KERN_GEMM;
}

enum kern_way
kern_linear_choice (const struct kern_tuning *t,
                    const struct kern_linear_shape *s, enum kern_direction d)
{
  const struct kern_linear_entry *e = find (t, s);
  return e == NULL ? by_rule (s, d) : e->way[d];
}

bool
kern_tuning_has_linear (const struct kern_tuning *t,
                        const struct kern_linear_shape *s)
{
  return find (t, s) != NULL;
}

static enum status
add (struct kern_tuning *t, const struct kern_linear_entry *e)
{
  if (t->n_linear == t->linear_room) {
    size_t room = t->linear_room == 0 ? 16 : 2 * t->linear_room;
    TRY (mem_grow (&t->linear, t->linear_room, room, sizeof *t->linear,
                   "tuning"));
    t->linear_room = room;
  }
  t->linear[t->n_linear++] = *e;
  return OK;
}

enum status
kern_tuning_put_linear (struct kern *k, struct kern_tuning *t,
                        const struct kern_linear_shape *s,
                        const enum kern_way way[3])
{
  CHECK (find (t, s) == NULL, "a linear layer that is in the table");
  kern_machine (k, t->machine);
  return add (t, &(struct kern_linear_entry){
                     s->n, s->in, s->out, {way[0], way[1], way[2]}});
}

/* -- text ------------------------------------------------------------------ */

void
kern_linear_print (const struct kern_tuning *t, struct text *out)
{
  for (size_t i = 0; i < t->n_linear; i++) {
    const struct kern_linear_entry *e = &t->linear[i];
    text_add (out, "linear n=%lld in=%lld out=%lld", (long long)e->n,
              (long long)e->in, (long long)e->out);
    for (int d = KERN_FORWARD; d <= KERN_BACK_WEIGHTS; d++)
      text_add (out, " %s=%s", kern_direction_name ((enum kern_direction)d),
                way_names[e->way[d]]);
    text_add (out, "\n");
  }
}

static bool
parse_way (const char *word, enum kern_way *out)
{
  for (int w = 0; w < KERN_WAYS; w++)
    if (strcmp (word, way_names[w]) == 0) {
      *out = (enum kern_way)w;
      return true;
    }
  return false;
}

enum status
kern_linear_parse (const char *line, const char *at, struct kern_tuning *t)
{
  char word[3][16];
  int end = 0;
  struct kern_linear_entry e = {0};
  const bool good =
      sscanf (line,
              "n=%" SCNd64 " in=%" SCNd64 " out=%" SCNd64
              " forward=%15s back_data=%15s back_weights=%15s%n",
              &e.n, &e.in, &e.out, word[0], word[1], word[2], &end) == 6 &&
      line[end] == '\0' && e.n > 0 && e.in > 0 && e.out > 0;
  if (!good)
    return fail (E_CONFIG,
                 "%s: a linear layer is \"n=N in=N out=N forward=WAY "
                 "back_data=WAY back_weights=WAY\", not \"%s\"",
                 at, line);
  for (int d = KERN_FORWARD; d <= KERN_BACK_WEIGHTS; d++)
    if (!parse_way (word[d], &e.way[d]))
      return fail (E_CONFIG, "%s: \"%s\" is no value of \"%s\" (first, gemm)",
                   at, word[d], kern_direction_name ((enum kern_direction)d));
  if (find (t, &(struct kern_linear_shape){
                   .n = e.n, .in = e.in, .out = e.out}) != NULL)
    return fail (E_CONFIG, "%s: this shape is in the table already", at);
  return add (t, &e);
}

/* -- measuring ------------------------------------------------------------- */

#define ROUNDS 7    /* at most, behind one to warm up */
#define SLOW_S 0.02 /* runs this long: fewer */
#define FEW 3
#define GAIN 0.97 /* a rival of the rule's way must be this much faster */

struct race { /* one shape */
  struct kern *k;
  struct kern_linear l;
  float *a, *b, *c; /* as long as any of x, W, y */
};

static enum status
race_open (struct kern *k, const struct kern_linear_shape *s, struct race *r)
{
  const size_t x = (size_t)(s->n * s->in), y = (size_t)(s->n * s->out);
  const size_t w = (size_t)(s->in * s->out);
  const size_t most = x > y ? (x > w ? x : w) : y > w ? y : w;
  *r = (struct race){.k = k, .l = {.k = k, .s = *s}};
  r->l.s.bias = false; /* changes nothing in the choice */
  TRY (MEM_NEW (3 * most, &r->a, "tuning"));
  r->b = r->a + most;
  r->c = r->b + most;
  for (size_t i = 0; i < 2 * most; i++)
    r->a[i] = (float)(i % 13) * 0.1f - 0.6f;
  return OK;
}

static enum status
time_once (struct race *r, struct kern_op *op, double *best)
{
  TRY (halt_check ("choosing kernels"));
  double start = clock_now_s ();
  TRY (kern_op_run (r->k, op, (const void *[]){r->a, r->b, r->c}));
  double took = clock_now_s () - start;
  *best = took < *best ? took : *best;
  return OK;
}

/* All ways run in turn; *way: the rule's, or the one that is clearly ahead. */
static enum status
run (struct race *r, struct kern_op op[KERN_WAYS], enum kern_way *way)
{
  double best[KERN_WAYS];
  const enum kern_way rule = *way;
  int rounds = ROUNDS;
  for (int round = 0; round <= rounds; round++) {
    for (int w = 0; w < KERN_WAYS; w++) {
      best[w] = round <= 1 ? 1e30 : best[w];
      TRY (time_once (r, &op[w], &best[w]));
      rounds = best[w] > SLOW_S ? FEW : rounds;
    }
  }
  for (int w = 0; w < KERN_WAYS; w++)
    if (best[w] < best[*way] * (*way == rule ? GAIN : 1))
      *way = (enum kern_way)w;
  return OK;
}

/* Ways that are not offered or wrong do not enter; of two that are the same
 * code, none need run. */
static enum status
race_direction (struct race *r, enum kern_direction d, enum kern_way *way)
{
  const enum linear_what what = d == KERN_FORWARD     ? LINEAR_FORWARD
                                : d == KERN_BACK_DATA ? LINEAR_DATA
                                                      : LINEAR_SET;
  struct kern_op op[KERN_WAYS] = {{0}};
  enum status s = OK;
  int there = 0;
  for (int w = 0; w < KERN_WAYS && s == OK; w++) {
    s = kern_linear_op (&r->l, what, r->l.s.n, (enum kern_way)w, true, &op[w]);
    there += op[w].primitive != NULL;
  }
  if (s == OK)
    s = kern_seal (r->k);
  const bool same = strcmp (op[KERN_FIRST].impl, op[KERN_GEMM].impl) == 0;
  if (s == OK && there == KERN_WAYS && !same)
    s = run (r, op, way);
  else if (op[*way].primitive == NULL)
    *way = op[KERN_FIRST].primitive != NULL ? KERN_FIRST : KERN_GEMM;
  for (int w = 0; w < KERN_WAYS; w++)
    kern_op_clear (&op[w]);
  return s;
}

enum status
kern_linear_measure (struct kern *k, const struct kern_linear_shape *s,
                     enum kern_way way[3])
{
  const struct kern_wishes wishes = kern_wishes_save (k);
  struct race r;
  enum status e = race_open (k, s, &r);
  for (int d = KERN_FORWARD; d <= KERN_BACK_WEIGHTS && e == OK; d++) {
    way[d] = by_rule (s, (enum kern_direction)d);
    if (d != KERN_BACK_WEIGHTS || s->learns)
      e = race_direction (&r, (enum kern_direction)d, &way[d]);
  }
  mem_free (&r.a);
  enum status after = kern_wishes_restore (k, wishes);
  return e != OK ? e : after;
}
