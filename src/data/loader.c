/* data/loader.c -- threads that make micro-batches ahead of the step.
 *
 * A ring of `ahead` slots, one taker, one thread; or, where samples are decoded
 * (kind->maker_bytes), as many as the rank has cores.  Threads take samples one
 * by one in the order in which they will be wanted, so bits do not depend on
 * their number or pace: a sample follows from its number alone and has a place
 * of its own.  All memory is made at open; data_take waits, copies and frees
 * the slot.  The threads call neither MPI nor HDF5.
 *
 * Who decodes yields to arithmetic: these threads have a lower priority, so
 * that they take the cores that are idle, and others only as far as nothing
 * else wants them.
 *
 * If a thread fails, all stop, and the message of the first sample that failed
 * is handed to the taker when that asks for the micro-batch which could not be
 * made; those made before are still good.  Samples before it have been taken by
 * threads before it: when these are done, it is known which was the first.
 */
#include "data/data_impl.h"

#include "base/fault.h"
#include "base/memory.h"
#include "base/place.h"
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define YIELDS 10 /* of niceness: a tenth of a core that arithmetic wants */

struct worker { /* a thread */
  struct data_loader *loader;
  struct data_maker maker;
  pthread_t thread;
};

/* Sample number i since the start: which one it is. */
struct task {
  int64_t i, epoch, sample;
  bool begins; /* a micro-batch */
  bool fails;  /* planted */
};

struct data_loader {
  struct data_loader_spec spec;
  int64_t part; /* samples in a micro-batch ... */
  int64_t n;    /* ... and in all */
  size_t sample_bytes;
  unsigned char *ring;   /* ahead x part x sample_bytes */
  struct worker *worker; /* n_workers, of which so many have started */
  int n_workers, n_started;
  pthread_mutex_t lock;
  pthread_cond_t made_more, took_more;
  /* below: under lock */
  struct data_order *order; /* NULL: the file's */
  int64_t *left;            /* ahead: samples of each slot, not made yet */
  int64_t next, busy;       /* samples given to threads; being made */
  int64_t taken;            /* micro-batches since the start */
  bool stop;
  enum status failed; /* of sample ... */
  int64_t failed_at;  /* ... so many since the start, the first that did */
  char message[2048], where[128];
};

/* -- threads ------------------------------------------------------------------
 */

static void
find_sample (struct data_loader *l, struct task *t)
{
  const struct data_loader_spec *spec = &l->spec;
  int64_t step = spec->start_step + t->i / spec->n;
  int64_t at = spec->first + t->i % spec->n;
  t->epoch = 0;
  if (l->order) {
    data_order_sample (l->order, step, at, &t->epoch, &t->sample);
    return;
  }
  int64_t last = spec->data->info.samples[spec->split] - 1;
  t->sample = step * spec->batch + at;
  t->sample = t->sample < last ? t->sample : last;
}

/* Waits for room.  False: there is nothing to do any more. */
static bool
begin (struct data_loader *l, struct task *t)
{
  pthread_mutex_lock (&l->lock);
  while (!l->stop && l->failed == OK && l->next < l->n &&
         l->next / l->part - l->taken >= l->spec.ahead)
    pthread_cond_wait (&l->took_more, &l->lock);
  bool go = !l->stop && l->failed == OK && l->next < l->n;
  if (go) {
    t->i = l->next++;
    l->busy++;
    t->begins = t->i % l->part == 0;
    t->fails = t->begins && fault_here ("read");
    if (t->begins)
      l->left[t->i / l->part % l->spec.ahead] = l->part;
    find_sample (l, t);
  }
  pthread_mutex_unlock (&l->lock);
  return go;
}

/* Without the lock: the place is this thread's, since the taker has counted the
 * slot as taken, and nobody reads it before all of it is made. */
static enum status
make (struct worker *w, const struct task *t)
{
  struct data_loader *l = w->loader;
  const struct data_set *d = l->spec.data;
  size_t at = (size_t)(t->i % (l->spec.ahead * l->part));
  if (t->begins)
    fault_hang ("hang-take");
  place_move ();
  if (t->fails)
    return fail (E_DATA, "%s: reading failed (planted)", d->path);
  return d->kind->make (&w->maker, t->epoch, t->sample,
                        l->ring + at * l->sample_bytes);
}

static void
finish (struct data_loader *l, const struct task *t, enum status s)
{
  pthread_mutex_lock (&l->lock);
  l->busy--;
  bool whole = false;
  if (s == OK)
    whole = --l->left[t->i / l->part % l->spec.ahead] == 0;
  else if (l->failed == OK || t->i < l->failed_at) {
    l->failed = s;
    l->failed_at = t->i;
    snprintf (l->message, sizeof l->message, "%s", fail_message ());
    snprintf (l->where, sizeof l->where, "%s", fail_where ());
  }
  if (whole || (l->failed != OK && l->busy == 0))
    pthread_cond_signal (&l->made_more);
  pthread_mutex_unlock (&l->lock);
}

static void *
run (void *arg)
{
  struct worker *w = arg;
  struct task t;
  if (w->loader->spec.data->kind->maker_bytes)
    (void)!nice (YIELDS); /* of this thread alone, under Linux */
  while (begin (w->loader, &t))
    finish (w->loader, &t, make (w, &t));
  return NULL;
}

/* With all signals blocked, so that they go to other threads. */
static enum status
start (struct data_loader *l)
{
  sigset_t all, before;
  int error = 0;
  sigfillset (&all);
  pthread_sigmask (SIG_SETMASK, &all, &before);
  for (int i = 0; error == 0 && i < l->n_workers; i++) {
    error = pthread_create (&l->worker[i].thread, NULL, run, &l->worker[i]);
    l->n_started += error == 0;
  }
  pthread_sigmask (SIG_SETMASK, &before, NULL);
  /* Fewer do as well. */
  return l->n_started > 0
             ? OK
             : fail (E_MEMORY, "the loader's thread does not start: %s",
                     strerror (error));
}

/* -- open and close -----------------------------------------------------------
 */

static enum status
check_spec (const struct data_loader_spec *spec)
{
  const struct data_set *d = spec->data;
  int64_t n = d->info.samples[spec->split];
  if (n == 0)
    return fail (E_DATA, "%s: there is no /%s", d->path,
                 data_split_name (spec->split));
  if (spec->augment & DATA_AUGMENT_IMAGENET & ~d->kind->augment)
    return fail (E_CONFIG,
                 "data.augment = imagenet: %s has no JPEG images, which it is "
                 "for (flip+crop4 is for pixels)",
                 d->path);
  CHECK (spec->n_micro >= 1 && spec->n % spec->n_micro == 0 && spec->n > 0 &&
             spec->first >= 0 && spec->first + spec->n <= spec->batch &&
             spec->ahead >= 1 && spec->end_step >= spec->start_step &&
             spec->limit >= 0 && (!spec->evaluates || d->kind->maker_bytes),
         "a loader of %lld samples in %d parts", (long long)spec->n,
         spec->n_micro);
  return OK;
}

/* In the file's order nothing is brought to memory that may not be wanted
 * again. */
static enum status
open_order (struct data_loader *l)
{
  struct data_set *d = l->spec.data;
  int64_t n;
  if (l->spec.evaluates)
    return data_prove (d, l->spec.split);
  TRY (data_training_samples (d, l->spec.split, l->spec.shuffle, &n));
  if (l->spec.limit > 0 && l->spec.limit < n)
    n = l->spec.limit;
  TRY (data_load (d, l->spec.split));
  TRY (data_prove (d, l->spec.split));
  return data_order_create (n, l->spec.batch, l->spec.shuffle, l->spec.seed,
                            &l->order);
}

static enum status
open_memory (struct data_loader *l)
{
  struct data_set *d = l->spec.data;
  TRY (open_order (l));
  l->part = l->spec.n / l->spec.n_micro;
  l->n = (l->spec.end_step - l->spec.start_step) * l->spec.n;
  l->sample_bytes = tensor_bytes (d->kind->type, d->values);
  TRY (mem_new ((size_t)(l->spec.ahead * l->part), l->sample_bytes,
                "micro-batches ahead", (void **)&l->ring));
  TRY (MEM_NEW ((size_t)l->spec.ahead, &l->left, "micro-batches ahead"));
  int n = data_loader_threads (&l->spec);
  TRY (MEM_NEW ((size_t)n, &l->worker, "the loader's threads"));
  for (; l->n_workers < n; l->n_workers++) {
    struct worker *w = &l->worker[l->n_workers];
    w->loader = l;
    w->maker.spec = &l->spec;
    w->maker.order = l->order;
    enum status s = d->kind->maker_open (&w->maker);
    if (s != OK)
      data_maker_close (&w->maker);
    TRY (s);
  }
  return OK;
}

enum status
data_loader_open (const struct data_loader_spec *spec, struct data_loader **out)
{
  TRY (check_spec (spec));
  struct data_loader *l = NULL;
  TRY (MEM_NEW (1, &l, "loader"));
  l->spec = *spec;
  pthread_mutex_init (&l->lock, NULL);
  pthread_cond_init (&l->made_more, NULL);
  pthread_cond_init (&l->took_more, NULL);
  enum status s = open_memory (l);
  if (s == OK)
    s = start (l);
  if (s != OK)
    data_loader_close (&l);
  else
    *out = l;
  return s;
}

void
data_loader_close (struct data_loader **out)
{
  struct data_loader *l = *out;
  if (!l)
    return;
  pthread_mutex_lock (&l->lock);
  l->stop = true;
  pthread_cond_broadcast (&l->took_more);
  pthread_mutex_unlock (&l->lock);
  for (int i = 0; i < l->n_started; i++)
    pthread_join (l->worker[i].thread, NULL);
  pthread_cond_destroy (&l->made_more);
  pthread_cond_destroy (&l->took_more);
  pthread_mutex_destroy (&l->lock);
  for (int i = 0; i < l->n_workers; i++)
    data_maker_close (&l->worker[i].maker);
  data_order_destroy (&l->order);
  mem_free (&l->worker);
  mem_free (&l->left);
  mem_free (&l->ring);
  mem_free (out);
}

/* -- taking -------------------------------------------------------------------
 */

/* All samples of micro-batch i are in their slot. */
static bool
is_made (const struct data_loader *l, int64_t i)
{
  return l->next >= (i + 1) * l->part && l->left[i % l->spec.ahead] == 0;
}

enum status
data_look_ahead (struct data_loader *l, int64_t step, int micro, void *x)
{
  int64_t i = (step - l->spec.start_step) * l->spec.n_micro + micro;
  CHECK (i == l->taken && step < l->spec.end_step && micro < l->spec.n_micro,
         "data_take of step %lld, micro-batch %d: the next is number %lld",
         (long long)step, micro, (long long)l->taken);
  pthread_mutex_lock (&l->lock);
  while (!is_made (l, i) && (l->failed == OK || l->busy > 0))
    pthread_cond_wait (&l->made_more, &l->lock);
  bool good = is_made (l, i);
  pthread_mutex_unlock (&l->lock);
  if (!good) {
    fail_adopt (l->message, l->where);
    return l->failed;
  }
  /* Outside the lock: no thread touches the slot before taken grows. */
  const size_t bytes = (size_t)l->part * l->sample_bytes;
  memcpy (x, l->ring + (size_t)(i % l->spec.ahead) * bytes, bytes);
  return OK;
}

enum status
data_take (struct data_loader *l, int64_t step, int micro, void *x)
{
  TRY (data_look_ahead (l, step, micro, x));
  pthread_mutex_lock (&l->lock);
  l->taken++;
  pthread_cond_broadcast (&l->took_more);
  pthread_mutex_unlock (&l->lock);
  return OK;
}
