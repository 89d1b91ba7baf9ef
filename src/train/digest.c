/* train/digest.c -- digests of every stage's weights, by which replicas are
 * compared, and which may be recorded.
 *
 * They travel in the ballot of their step, so that no step waits for them.
 * Replica 0 contributes R - 1 times its digest, every other one minus its own:
 * the sum is zero if all are the same.  Both halves of a digest are whole
 * numbers below 2^32, so that sums are exact; that different digests add up to
 * zero by accident has a chance of 2^-64.
 */
#include "base/fault.h"
#include "train/train_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct digests {
  struct session *s; /* borrowed */
  int lag;           /* steps between casting and reading */
  bool compared, recorded;
  bool asked;      /* of the ballot cast next */
  int64_t cast;    /* steps done at the newest digest cast; -1: none */
  uint64_t *mine;  /* lag x n_local: of this rank's stages, by ballot */
  float *room;     /* for the largest tensor that needs a copy; NULL: none */
  uint64_t *seen;  /* K: see digest_result */
  double *all;     /* 2 K: halves of the digests of all replicas */
  int64_t differs; /* steps done when replicas were found to differ; -1 */
};

/* -- one stage ---------------------------------------------------------------
 */

static struct tensor_info
info_of (const struct local_stage *l, int i)
{
  struct tensor_info info;
  bool head, statistic;
  stage_tensor (l->stage, i, &info, &head, &statistic);
  return info;
}

static enum status
open_room (const struct session *s, float **room)
{
  size_t most = 0;
  for (int i = 0; i < s->n_local; i++)
    for (int j = 0; j < stage_tensors (s->local[i].stage); j++) {
      const float *place;
      const struct tensor_info info = info_of (&s->local[i], j);
      size_t n = (size_t)tensor_info_count (&info);
      TRY (stage_tensor_view (s->local[i].stage, j, NULL, &place));
      if (!place && n > most)
        most = n;
    }
  return most > 0 ? MEM_NEW (most, room, "tensor of a digest") : OK;
}

static enum status
digest_stage (const struct digests *d, const struct local_stage *l,
              uint64_t *out)
{
  uint64_t h = 0;
  for (int i = 0; i < stage_tensors (l->stage); i++) {
    const struct tensor_info info = info_of (l, i);
    const float *v;
    TRY (stage_tensor_view (l->stage, i, d->room, &v));
    h = hash_bytes (v, tensor_bytes (info.type, tensor_info_count (&info)), h);
  }
  *out = h;
  return OK;
}

/* A planted fault: a bit of a stage's first number. */
static enum status
spoil (struct local_stage *l)
{
  const struct tensor_info info = info_of (l, 0);
  float *v = NULL;
  uint32_t bits;
  TRY (MEM_NEW ((size_t)tensor_info_count (&info), &v, "planted fault"));
  enum status e = stage_tensor_out (l->stage, 0, STAGE_VALUE, v);
  if (e == OK) {
    memcpy (&bits, v, sizeof bits);
    bits ^= 1 << 16; /* the last one may be lost in rounding */
    memcpy (v, &bits, sizeof bits);
    e = stage_tensor_in (l->stage, 0, STAGE_VALUE, v);
  }
  mem_free (&v);
  return e == OK ? stage_refresh (l->stage) : e;
}

enum status
digest_spoil (struct session *s)
{
  for (int i = 0; i < s->n_local; i++)
    if (fault_here ("weights"))
      TRY (spoil (&s->local[i]));
  return OK;
}

/* Digests of this rank's stages after `done` steps. */
static uint64_t *
mine_at (const struct digests *d, int64_t done)
{
  return d->mine + (done - 1) % d->lag * d->s->n_local;
}

static enum status
take (struct digests *d, int64_t done)
{
  struct session *s = d->s;
  clock_switch (&s->account, CLOCK_OTHER);
  for (int i = 0; i < s->n_local; i++)
    TRY (digest_stage (d, &s->local[i], &mine_at (d, done)[i]));
  d->cast = done;
  return OK;
}

/* -- life --------------------------------------------------------------------
 */

static enum status
make (struct session *s, bool compared, bool recorded, struct digests **out)
{
  TRY (MEM_NEW (1, out, "digests"));
  struct digests *d = *out;
  *d = (struct digests){.s = s,
                        .lag = wire_pipe_size (s->wire),
                        .compared = compared,
                        .recorded = recorded,
                        .cast = -1,
                        .differs = -1};
  TRY (MEM_NEW ((size_t)(d->lag * s->n_local), &d->mine, "digests"));
  TRY (MEM_NEW ((size_t)s->design->K, &d->seen, "digests"));
  TRY (MEM_NEW (2 * (size_t)s->design->K, &d->all, "digests"));
  return open_room (s, &d->room);
}

enum status
digest_open (struct session *s, struct digests **out)
{
  const struct design *d = s->design;
  bool compared = d->R > 1 && d->config.check_every > 0;
  bool recorded = d->config.digests;
  if (d->spec.forward_only || !(compared || recorded))
    return OK;
  return wire_agree (s->wire, make (s, compared, recorded, out));
}

void
digest_close (struct digests **it)
{
  struct digests *d = *it;
  if (!d)
    return;
  mem_free (&d->mine);
  mem_free (&d->room);
  mem_free (&d->seen);
  mem_free (&d->all);
  mem_free (it);
}

/* Whether digests are taken after step `step` by the configuration alone. */
static bool
is_due (const struct digests *d, int64_t step)
{
  int64_t every = d->s->design->config.check_every;
  return (every > 0 && (step + 1) % every == 0) || step + 1 == d->s->end_step;
}

bool
digest_recorded (const struct digests *d, int64_t step)
{
  return d && d->recorded && is_due (d, step);
}

void
digest_ask (struct digests *d)
{
  if (d && d->compared)
    d->asked = true;
}

bool
digest_covers (const struct digests *d, int64_t done)
{
  return !d || !d->compared || d->cast == done;
}

/* -- ballots -----------------------------------------------------------------
 */

int
digest_votes (const struct digests *d)
{
  return d ? 2 * d->s->design->K * (d->compared + d->recorded) : 0;
}

/* v[2 K], zeros before: `times` the halves of this rank's digests. */
static void
put_halves (const struct session *s, const uint64_t *mine, double times,
            double *v)
{
  for (int i = 0; i < s->n_local; i++) {
    double *at = v + 2 * s->local[i].k;
    at[0] = times * (double)(mine[i] >> 32);
    at[1] = times * (double)(mine[i] & 0xffffffff);
  }
}

static void
put_compared (const struct session *s, const uint64_t *mine, double *v)
{
  put_halves (s, mine, wire_replica (s->wire) == 0 ? s->design->R - 1 : -1, v);
}

enum status
digest_cast (struct digests *d, int64_t step, double *v)
{
  if (!d || !(d->asked || is_due (d, step)))
    return OK;
  const struct session *s = d->s;
  d->asked = false;
  TRY (take (d, step + 1));
  const uint64_t *mine = mine_at (d, step + 1);
  if (d->compared)
    put_compared (s, mine, v);
  if (d->recorded && wire_replica (s->wire) == 0)
    put_halves (s, mine, 1, v + (d->compared ? 2 * s->design->K : 0));
  return OK;
}

/* A difference, once found, stays: later ballots, which are still read at the
 * end, must not clear it. */
static enum status
judge (struct digests *d, int64_t done, const double *v)
{
  for (int i = 0; i < 2 * d->s->design->K && d->differs < 0; i++)
    if (v[i] != 0)
      d->differs = done;
  return d->differs >= 0 ? E_FAULT : OK;
}

enum status
digest_read (struct digests *d, int64_t step, const double *v)
{
  enum status e = OK;
  if (!d)
    return OK;
  const int K = d->s->design->K;
  if (d->compared) {
    e = judge (d, step + 1, v);
    v += 2 * K;
  }
  for (int k = 0; digest_recorded (d, step) && k < K; k++)
    d->seen[k] = (uint64_t)v[2 * k] << 32 | (uint64_t)v[2 * k + 1];
  return e;
}

enum status
digest_compare (struct digests *d, int64_t done)
{
  int request = WIRE_NONE;
  if (digest_covers (d, done))
    return OK;
  const struct session *s = d->s;
  double *v = d->all;
  TRY (wire_agree (s->wire, take (d, done)));
  for (int i = 0; i < 2 * s->design->K; i++)
    v[i] = 0;
  put_compared (s, mine_at (d, done), v);
  enum status e =
      wire_ballot_start (s->wire, -1, v, 2 * s->design->K, &request);
  if (e == OK)
    e = wire_ballot_wait (s->wire, &request, v);
  TRY (wire_agree (s->wire, e));
  return judge (d, done, v) == OK ? OK : digest_tell (d);
}

bool
digest_differs (const struct digests *d)
{
  return d && d->differs >= 0;
}

const uint64_t *
digest_result (const struct digests *d)
{
  return d && d->recorded ? d->seen : NULL;
}

/* -- who differs -------------------------------------------------------------
 */

#define SHOWN 6   /* stages, and values of one */
#define HOLDERS 4 /* ranks that have one value */

/* texts: "HOST\nSTAGE DIGEST\n..." of each rank.  The digest of a stage, NULL
 * on ranks that do not hold it. */
static const char *
digest_of (const char *text, int k)
{
  char key[32];
  int n = snprintf (key, sizeof key, "\n%d ", k);
  const char *at = strstr (text, key);
  return at ? at + n : NULL;
}

static bool
same_digest (const char *a, const char *b)
{
  return a && b && strncmp (a, b, 16) == 0;
}

/* "1234... on rank 0 (host a), rank 2 (host b)" for the value of rank r. */
static void
tell_holders (char **texts, int size, int r, int k, struct text *out)
{
  const char *value = digest_of (texts[r], k);
  int n = 0;
  text_add (out, "%.16s on ", value);
  for (int q = r; q < size; q++)
    if (same_digest (digest_of (texts[q], k), value) && ++n <= HOLDERS)
      text_add (out, "%srank %d (host %.*s)", n > 1 ? ", " : "", q,
                (int)strcspn (texts[q], "\n"), texts[q]);
  if (n > HOLDERS)
    text_add (out, " and %d more", n - HOLDERS);
}

/* Whether an earlier rank has told the value of rank r. */
static bool
was_told (char **texts, int r, int k)
{
  for (int q = 0; q < r; q++)
    if (same_digest (digest_of (texts[q], k), digest_of (texts[r], k)))
      return true;
  return false;
}

/* All values of stage k, where there are several. */
static bool
tell_stage (char **texts, int size, int k, struct text *out)
{
  struct text line;
  int values = 0;
  text_init (&line);
  for (int r = 0; r < size; r++) {
    if (!digest_of (texts[r], k) || was_told (texts, r, k) || ++values > SHOWN)
      continue;
    text_add (&line, "%s", values > 1 ? "; " : "");
    tell_holders (texts, size, r, k, &line);
  }
  if (values > SHOWN)
    text_add (&line, "; and %d other values", values - SHOWN);
  if (values > 1)
    text_add (out, "\nstage %d: %s", k, line.data);
  text_clear (&line);
  return values > 1;
}

static void
tell_all (const struct digests *d, char **texts, struct text *out)
{
  int size = wire_size (d->s->wire), n = 0, more = 0;
  text_add (out,
            "replicas are not the same any more: their weights differ after "
            "step %lld (memory or processor of one of these hosts may be "
            "faulty); no checkpoint holds what differs: without that host the "
            "same command goes on from the newest one",
            (long long)d->differs);
  for (int k = 0; k < d->s->design->K; k++)
    if (n < SHOWN)
      n += tell_stage (texts, size, k, out);
    else
      more++;
  if (more > 0)
    text_add (out, "\n%d more stages were not looked at", more);
}

enum status
digest_tell (const struct digests *d)
{
  const struct session *s = d->s;
  const uint64_t *mine = mine_at (d, d->differs);
  char **texts = NULL, *words = NULL;
  struct text out;
  text_init (&out);
  fail_clear (); /* what came of it later */
  text_add (&out, "%s\n", wire_host (s->wire));
  for (int i = 0; i < s->n_local; i++)
    text_add (&out, "%d %016llx\n", s->local[i].k, (unsigned long long)mine[i]);
  enum status e = wire_gather_text (s->wire, out.data, &texts);
  text_clear (&out);
  text_init (&out);
  if (e == OK && texts)
    tell_all (d, texts, &out);
  words = texts ? out.data : NULL;
  if (e == OK)
    e = wire_broadcast_text (s->wire, &words, 0);
  if (e == OK)
    e = fail (E_FAULT, "%s", words);
  if (words != out.data)
    mem_free (&words);
  for (int r = 0; texts && r < wire_size (s->wire); r++)
    mem_free (&texts[r]);
  mem_free (&texts);
  text_clear (&out);
  return wire_agree (s->wire, e);
}
