/* train/digest.c -- digests of every stage's weights: are replicas still the
 * same, and what does the record say of them?
 *
 * They ride in the ballot of their step, so that no step waits for them.
 * Replica 0 votes R - 1 times its digest and the others theirs, negative: the
 * sum is zero where all are the same.  Both halves of a digest are whole
 * numbers below 2^32, so that sums are exact; that other digests cancel each
 * other out has a chance of 2^-64.
 */
#include "base/fault.h"
#include "run/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct digests {
  bool compared, recorded;
  bool asked;      /* of the ballot cast next */
  int64_t cast;    /* steps done at the newest digest cast; -1: none */
  uint64_t *mine;  /* lag x n_local: of this rank's stages, by ballot */
  float *room;     /* for the largest tensor that needs a copy; NULL: none */
  uint64_t *seen;  /* K: see digest_result */
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

/* Digests of this rank's stages after `done` steps. */
static uint64_t *
mine_at (const struct session *s, int64_t done)
{
  return s->digests->mine + (done - 1) % s->lag * s->n_local;
}

static enum status
take (struct session *s, int64_t done)
{
  clock_switch (&s->account, CLOCK_OTHER);
  for (int i = 0; i < s->n_local; i++)
    TRY (digest_stage (s->digests, &s->local[i], &mine_at (s, done)[i]));
  s->digests->cast = done;
  return OK;
}

/* -- life --------------------------------------------------------------------
 */

static enum status
make (struct session *s, bool compared, bool recorded)
{
  size_t lag = (size_t)wire_pipe_size (s->wire);
  TRY (MEM_NEW (1, &s->digests, "digests"));
  struct digests *d = s->digests;
  *d = (struct digests){
      .compared = compared, .recorded = recorded, .cast = -1, .differs = -1};
  TRY (MEM_NEW (lag * (size_t)s->n_local, &d->mine, "digests"));
  TRY (MEM_NEW ((size_t)s->K, &d->seen, "digests"));
  return open_room (s, &d->room);
}

enum status
digest_open (struct session *s)
{
  bool compared = s->R > 1 && s->config.check_every > 0;
  bool recorded = s->config.digests;
  if (s->forward_only || !(compared || recorded))
    return OK;
  return wire_agree (s->wire, make (s, compared, recorded));
}

void
digest_close (struct session *s)
{
  if (!s->digests)
    return;
  mem_free (&s->digests->mine);
  mem_free (&s->digests->room);
  mem_free (&s->digests->seen);
  mem_free (&s->digests);
}

bool
digest_due (const struct session *s, int64_t step)
{
  int64_t every = s->config.check_every;
  return s->digests &&
         ((every > 0 && (step + 1) % every == 0) || step + 1 == s->steps);
}

bool
digest_recorded (const struct session *s, int64_t step)
{
  return digest_due (s, step) && s->digests->recorded;
}

void
digest_ask (struct session *s)
{
  if (s->digests && s->digests->compared)
    s->digests->asked = true;
}

bool
digest_covers (const struct session *s, int64_t done)
{
  const struct digests *d = s->digests;
  return !d || !d->compared || d->cast == done;
}

/* -- ballots -----------------------------------------------------------------
 */

int
digest_votes (const struct session *s)
{
  const struct digests *d = s->digests;
  return d ? 2 * s->K * (d->compared + d->recorded) : 0;
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
  put_halves (s, mine, wire_replica (s->wire) == 0 ? s->R - 1 : -1, v);
}

enum status
digest_cast (struct session *s, int64_t step, double *v)
{
  struct digests *d = s->digests;
  for (int i = 0; i < s->n_local; i++)
    if (fault_here ("weights"))
      TRY (spoil (&s->local[i]));
  if (!d || !(d->asked || digest_due (s, step)))
    return OK;
  d->asked = false;
  TRY (take (s, step + 1));
  const uint64_t *mine = mine_at (s, step + 1);
  if (d->compared)
    put_compared (s, mine, v);
  if (d->recorded && wire_replica (s->wire) == 0)
    put_halves (s, mine, 1, v + (d->compared ? 2 * s->K : 0));
  return OK;
}

/* Once it was found it stays so: the ballots of later steps that are read at
 * the end make nothing sound. */
static enum status
judge (struct session *s, int64_t done, const double *v)
{
  struct digests *d = s->digests;
  for (int i = 0; i < 2 * s->K && d->differs < 0; i++)
    if (v[i] != 0)
      d->differs = done;
  return d->differs >= 0 ? E_FAULT : OK;
}

enum status
digest_read (struct session *s, int64_t step, const double *v)
{
  struct digests *d = s->digests;
  enum status e = OK;
  if (!d)
    return OK;
  if (d->compared) {
    e = judge (s, step + 1, v);
    v += 2 * s->K;
  }
  for (int k = 0; digest_recorded (s, step) && k < s->K; k++)
    d->seen[k] = (uint64_t)v[2 * k] << 32 | (uint64_t)v[2 * k + 1];
  return e;
}

enum status
digest_compare (struct session *s, int64_t done)
{
  enum status e = OK;
  int request = WIRE_NONE;
  double *v = s->ballot_in;
  if (digest_covers (s, done))
    return OK;
  TRY (wire_agree (s->wire, take (s, done)));
  for (int i = 0; i < 2 * s->K; i++)
    v[i] = 0;
  put_compared (s, mine_at (s, done), v);
  e = wire_ballot_start (s->wire, -1, v, 2 * s->K, &request);
  if (e == OK)
    e = wire_ballot_wait (s->wire, &request, s->ballot_out);
  TRY (wire_agree (s->wire, e));
  return judge (s, done, s->ballot_out) == OK ? OK : digest_tell (s);
}

bool
digest_differs (const struct session *s)
{
  return s->digests && s->digests->differs >= 0;
}

const uint64_t *
digest_result (const struct session *s)
{
  return s->digests && s->digests->recorded ? s->digests->seen : NULL;
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
tell_all (const struct session *s, char **texts, struct text *out)
{
  int size = wire_size (s->wire), n = 0, more = 0;
  text_add (out,
            "replicas are not the same any more: their weights differ after "
            "step %lld (memory or processor of one of these hosts may be "
            "faulty); no checkpoint holds what differs: without that host the "
            "same command goes on from the newest one",
            (long long)s->digests->differs);
  for (int k = 0; k < s->K; k++)
    if (n < SHOWN)
      n += tell_stage (texts, size, k, out);
    else
      more++;
  if (more > 0)
    text_add (out, "\n%d more stages were not looked at", more);
}

enum status
digest_tell (struct session *s)
{
  const struct digests *d = s->digests;
  const uint64_t *mine = mine_at (s, d->differs);
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
    tell_all (s, texts, &out);
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
