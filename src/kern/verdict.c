/* kern/verdict.c -- what is known of the library's kernels, and the memory in
 * which they are tried.
 *
 * See prove_impl.h.  Ranks tell each other what they found wrong as hashes of
 * keys, so of another rank's verdict only the hash is known.
 */
#include "kern/prove_impl.h"
#include "base/hash.h"
#include "base/log.h"

#include <string.h>

/* -- verdicts -------------------------------------------------------------- */

/* As a number that a double holds exactly; never 0. */
static uint64_t
hash_of (const char *key)
{
  return (hash_text (key, 0) >> 12) | 1;
}

static struct kern_verdict *
find (const struct kern_verdicts *t, const char *key)
{
  for (int i = 0; i < t->n; i++)
    if (strcmp (t->v[i].key, key) == 0)
      return &t->v[i];
  return NULL;
}

static bool
is_foreign (const struct kern_verdicts *t, uint64_t hash)
{
  for (int i = 0; i < t->n_foreign; i++)
    if (t->foreign[i] == hash)
      return true;
  return false;
}

enum kern_known
kern_verdict_get (const struct kern *k, const char *key)
{
  const struct kern_verdicts *t = k->verdicts;
  if (t->n_foreign > 0 && is_foreign (t, hash_of (key)))
    return KERN_WRONG;
  const struct kern_verdict *v = find (t, key);
  return v == NULL ? KERN_UNKNOWN : v->right ? KERN_RIGHT : KERN_WRONG;
}

enum status
kern_verdicts_reserve (struct kern *k)
{
  struct kern_verdicts *t = k->verdicts;
  if ((size_t)t->n + 64 <= t->room)
    return OK;
  size_t room = 2 * t->room + 64;
  TRY (mem_grow (&t->v, t->room, room, sizeof *t->v, "verdicts"));
  t->room = room;
  return OK;
}

/* Whoever computes has a log for it; what is asked for a text has not. */
static void
say_dropped (const struct kern_verdicts *t, const struct kern_verdict *v)
{
  say (t->aloud ? LOG_INFO : LOG_DEBUG, "kernel dropped: %s: %s", v->key,
       v->why);
}

enum status
kern_verdict_put (struct kern *k, const char *key, bool right, double error,
                  const char *why)
{
  struct kern_verdicts *t = k->verdicts;
  struct kern_verdict *v = find (t, key);
  if (v == NULL) {
    if ((size_t)t->n == t->room)
      TRY (kern_verdicts_reserve (k));
    v = &t->v[t->n++];
    snprintf (v->key, sizeof v->key, "%s", key);
    v->right = true;
  }
  if (v->right && !right && why != NULL) {
    snprintf (v->why, sizeof v->why, "%s", why);
    say_dropped (t, v);
  }
  v->right = right;
  v->error = error;
  return OK;
}

void
kern_dropped_say (struct kern *k)
{
  struct kern_verdicts *t = k->verdicts;
  t->aloud = true;
  for (int i = 0; i < t->n; i++)
    if (t->v[i].why[0])
      say_dropped (t, &t->v[i]);
    else if (t->v[i].right && kern_verdict_get (k, t->v[i].key) == KERN_WRONG)
      say (LOG_INFO, "kernel dropped: %s: found wrong by another rank",
           t->v[i].key);
}

void
kern_verdicts_clear (struct kern *k)
{
  if (k->verdicts == NULL)
    return;
  kern_proofs_done (k);
  mem_free (&k->verdicts->v);
  mem_free (&k->verdicts->foreign);
  mem_free (&k->verdicts->product_room);
  mem_free (&k->verdicts->product_sums);
  mem_free (&k->verdicts->classes);
  mem_free (&k->verdicts);
}

int
kern_wrong_count (const struct kern *k)
{
  int n = 0;
  for (int i = 0; i < k->verdicts->n; i++)
    n += !k->verdicts->v[i].right;
  return n;
}

double
kern_wrong_at (const struct kern *k, int at)
{
  const struct kern_verdicts *t = k->verdicts;
  for (int i = 0; i < t->n; i++)
    if (!t->v[i].right && at-- == 0)
      return (double)hash_of (t->v[i].key);
  CHECK (false, "fewer wrong kernels");
}

enum status
kern_wrong_add (struct kern *k, double hash, bool *news)
{
  struct kern_verdicts *t = k->verdicts;
  const uint64_t h = (uint64_t)hash;
  if (is_foreign (t, h))
    return OK;
  if ((size_t)t->n_foreign == t->foreign_room) {
    size_t room = t->foreign_room == 0 ? 16 : 2 * t->foreign_room;
    TRY (mem_grow (&t->foreign, t->foreign_room, room, sizeof *t->foreign,
                   "verdicts"));
    t->foreign_room = room;
  }
  t->foreign[t->n_foreign++] = h;
  *news = true;
  return OK;
}

void
kern_proofs_done (struct kern *k)
{
  arena_close (&k->verdicts->slab);
}

int
kern_proof_count (const struct kern *k)
{
  return k->verdicts->n;
}

struct kern_proof
kern_proof_at (const struct kern *k, int i)
{
  const struct kern_verdict *v = &k->verdicts->v[i];
  return (struct kern_proof){v->key, kern_verdict_get (k, v->key) == KERN_RIGHT,
                             v->error};
}

/* -- a kern within the kern ------------------------------------------------ */

#define GUARD_BYTES 65536

void
kern_aside_open (struct kern *k, struct kern_aside *a)
{
  *a = (struct kern_aside){k->scratch_bytes, k->side_bytes, k->side_offset,
                           k->slab};
  k->slab = k->verdicts->slab;
  k->verdicts->slab = (struct arena){0};
  k->scratch_bytes = k->side_bytes = k->side_offset = 0;
  k->proving = true;
}

/* A kernel that goes beyond its scratchpad goes beyond it by a part of it. */
static size_t
guard_of (size_t bytes)
{
  return arena_round (bytes) + GUARD_BYTES;
}

enum status
kern_aside_seal (struct kern *k)
{
  size_t scratch = k->scratch_bytes, side = k->side_bytes;
  k->scratch_bytes = arena_round (scratch) + guard_of (scratch);
  k->side_bytes = arena_round (side) + guard_of (side);
  enum status s = kern_seal (k);
  k->scratch_bytes = scratch;
  k->side_bytes = side;
  return s;
}

void
kern_aside_close (struct kern *k, struct kern_aside *a)
{
  k->verdicts->slab = k->slab;
  k->slab = a->slab;
  k->scratch_bytes = a->scratch_bytes;
  k->side_bytes = a->side_bytes;
  k->side_offset = a->side_offset;
  k->proving = false;
}

/* Not a number, or a large one. */
static const unsigned char nonsense[] = {0xff, 0x7e};

void
kern_aside_spoil (struct kern *k, int kind)
{
  memset (k->slab.base, nonsense[kind], k->slab.size);
}

static bool
all_are (const unsigned char *p, size_t n, unsigned char byte)
{
  return n == 0 || (p[0] == byte && memcmp (p, p + 1, n - 1) == 0);
}

bool
kern_aside_whole (const struct kern *k, size_t scratch_bytes, int kind)
{
  const unsigned char *base = (const unsigned char *)k->slab.base;
  const size_t end = k->side_offset + arena_round (k->side_bytes);
  const size_t from = arena_round (scratch_bytes);
  return all_are (base + from, k->side_offset - from, nonsense[kind]) &&
         all_are (base + end, k->slab.size - end, nonsense[kind]);
}

void
kern_spoil (float *x, size_t n, int kind)
{
  memset (x, nonsense[kind], n * sizeof *x);
}

bool
kern_spoilt (const float *x, size_t n, int kind)
{
  return all_are ((const unsigned char *)x, n * sizeof *x, nonsense[kind]);
}

/* -- numbers --------------------------------------------------------------- */

void
kern_fill_whole (float *x, size_t n, int amplitude, uint32_t seed)
{
  enum { PERIOD = 4099 };
  const uint32_t numbers = 2 * (uint32_t)amplitude;
  size_t have = n < PERIOD ? n : PERIOD;
  uint32_t state = seed * 2654435761u + 12345;
  for (size_t i = 0; i < have; i++) {
    state = state * 1664525u + 1013904223u;
    int v = (int)((state >> 8) % numbers) - amplitude;
    x[i] = (float)(v >= 0 ? v + 1 : v); /* never 0 */
  }
  while (have < n) {
    size_t more = have < n - have ? have / PERIOD * PERIOD : n - have;
    more = more == 0 || more > n - have ? n - have : more;
    memcpy (x + have, x, more * sizeof *x);
    have += more;
  }
}

int
kern_amplitude (double terms)
{
  double most = 16777216.0 / (2 * terms) - 1;
  return most > 1023 ? 1023 : most < 1 ? 1 : (int)most;
}

int64_t
kern_reduced (int64_t x, int64_t most)
{
  return x <= 2 * most ? x : most + x % most;
}
