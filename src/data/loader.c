/* data/loader.c -- a thread that makes micro-batches ahead of the step.
 *
 * A ring of `ahead` slots, one maker, one taker.  All memory is made at open;
 * data_take waits, copies and frees the slot.  The thread calls neither MPI
 * nor HDF5.  If it fails, its message is kept and handed to the taker when that
 * asks for the micro-batch which could not be made; those made before are still
 * good.
 */
#include "data/data_impl.h"

#include "base/fault.h"
#include "base/memory.h"
#include "base/place.h"
#include <pthread.h>
#include <string.h>

struct data_loader {
  struct data_loader_spec spec;
  struct data_maker maker; /* the thread's */
  int64_t part;            /* samples in a micro-batch ... */
  size_t part_bytes;       /* ... of so many bytes */
  unsigned char *ring;     /* ahead x part_bytes */
  pthread_t thread;
  bool started;
  pthread_mutex_t lock;
  pthread_cond_t made_more, took_more;
  /* below: under lock */
  int64_t made, taken; /* micro-batches since the start */
  bool stop;
  enum status failed; /* of the thread */
  char message[2048], where[128];
};

/* Micro-batch number i since the start, into x. */
static enum status
make (struct data_loader *l, int64_t i, unsigned char *x)
{
  const struct data_loader_spec *spec = &l->spec;
  int64_t step = spec->start_step + i / spec->n_micro;
  int64_t from = spec->first + i % spec->n_micro * l->part;
  fault_hang ("hang-take");
  place_move ();
  if (fault_here ("read"))
    return fail (E_DATA, "%s: reading failed (planted)", spec->data->path);
  const size_t sample_bytes = l->part_bytes / (size_t)l->part;
  for (int64_t j = 0; j < l->part; j++) {
    int64_t epoch, sample;
    data_order_sample (l->maker.order, step, from + j, &epoch, &sample);
    TRY (spec->data->kind->make (&l->maker, epoch, sample,
                                 x + (size_t)j * sample_bytes));
  }
  return OK;
}

/* The thread.  It makes a micro-batch without the lock: the slot is free, since
 * the taker has counted it as taken, and nobody reads it before it counts as
 * made. */
static void *
run (void *arg)
{
  struct data_loader *l = arg;
  int64_t n = (l->spec.end_step - l->spec.start_step) * l->spec.n_micro;
  for (int64_t i = 0; i < n; i++) {
    pthread_mutex_lock (&l->lock);
    while (!l->stop && l->made - l->taken >= l->spec.ahead)
      pthread_cond_wait (&l->took_more, &l->lock);
    bool stop = l->stop;
    pthread_mutex_unlock (&l->lock);
    if (stop)
      break;
    enum status s =
        make (l, i, l->ring + (size_t)(i % l->spec.ahead) * l->part_bytes);
    pthread_mutex_lock (&l->lock);
    if (s == OK)
      l->made++;
    else {
      l->failed = s;
      snprintf (l->message, sizeof l->message, "%s", fail_message ());
      snprintf (l->where, sizeof l->where, "%s", fail_where ());
    }
    pthread_cond_signal (&l->made_more);
    pthread_mutex_unlock (&l->lock);
    if (s != OK)
      break;
  }
  return NULL;
}

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
             spec->limit >= 0,
         "a loader of %lld samples in %d parts", (long long)spec->n,
         spec->n_micro);
  return OK;
}

static enum status
open_memory (struct data_loader *l)
{
  struct data_set *d = l->spec.data;
  int64_t n;
  TRY (data_training_samples (d, l->spec.split, l->spec.shuffle, &n));
  if (l->spec.limit > 0 && l->spec.limit < n)
    n = l->spec.limit;
  TRY (data_load (d, l->spec.split));
  TRY (data_prove (d, l->spec.split));
  TRY (data_order_create (n, l->spec.batch, l->spec.shuffle, l->spec.seed,
                          &l->maker.order));
  l->part = l->spec.n / l->spec.n_micro;
  l->part_bytes = tensor_bytes (d->kind->type, l->part * d->values);
  TRY (mem_new ((size_t)l->spec.ahead, l->part_bytes, "micro-batches ahead",
                (void **)&l->ring));
  l->maker.spec = &l->spec;
  return d->kind->maker_open (&l->maker);
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
  if (s == OK) {
    int error = pthread_create (&l->thread, NULL, run, l);
    l->started = error == 0;
    if (error != 0)
      s = fail (E_MEMORY, "the loader's thread does not start: %s",
                strerror (error));
  }
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
  pthread_cond_signal (&l->took_more);
  pthread_mutex_unlock (&l->lock);
  if (l->started)
    pthread_join (l->thread, NULL);
  pthread_cond_destroy (&l->made_more);
  pthread_cond_destroy (&l->took_more);
  pthread_mutex_destroy (&l->lock);
  if (l->spec.data->kind->maker_close)
    l->spec.data->kind->maker_close (&l->maker);
  data_order_destroy (&l->maker.order);
  mem_free (&l->maker.raw);
  mem_free (&l->ring);
  mem_free (out);
}

enum status
data_look_ahead (struct data_loader *l, int64_t step, int micro, void *x)
{
  int64_t i = (step - l->spec.start_step) * l->spec.n_micro + micro;
  CHECK (i == l->taken && step < l->spec.end_step && micro < l->spec.n_micro,
         "data_take of step %lld, micro-batch %d: the next is number %lld",
         (long long)step, micro, (long long)l->taken);
  pthread_mutex_lock (&l->lock);
  while (l->made <= i && l->failed == OK)
    pthread_cond_wait (&l->made_more, &l->lock);
  bool good = l->made > i;
  pthread_mutex_unlock (&l->lock);
  if (!good) {
    fail_adopt (l->message, l->where);
    return l->failed;
  }
  /* Outside the lock: the thread does not touch the slot before taken grows. */
  memcpy (x, l->ring + (size_t)(i % l->spec.ahead) * l->part_bytes,
          l->part_bytes);
  return OK;
}

enum status
data_take (struct data_loader *l, int64_t step, int micro, void *x)
{
  TRY (data_look_ahead (l, step, micro, x));
  pthread_mutex_lock (&l->lock);
  l->taken++;
  pthread_cond_signal (&l->took_more);
  pthread_mutex_unlock (&l->lock);
  return OK;
}
