/* data/pace.c -- what a loader takes before there is one: threads, memory, and
 * the time of a sample.
 */
#include "data/data_impl.h"

#include "base/clock.h"
#include "base/memory.h"
#include <math.h>

/* Of buffers to decode in: threads that would need more are not started. */
#define MAKERS_BYTES 512e6
#define MAKERS_MOST 256
#define PACED 32 /* samples, at most */

void
data_maker_close (struct data_maker *m)
{
  if (m->spec && m->spec->data->kind->maker_close)
    m->spec->data->kind->maker_close (m);
  mem_free (&m->raw);
}

int
data_loader_threads (const struct data_loader_spec *spec)
{
  const struct data_set *d = spec->data;
  if (!d->kind->maker_bytes)
    return 1;
  double most = floor (MAKERS_BYTES / d->kind->maker_bytes (d));
  const double ahead = (double)(spec->ahead * (spec->n / spec->n_micro));
  most = fmin (fmin (most, ahead), MAKERS_MOST);
  return (int)fmax (fmin (most, spec->cores), 1);
}

double
data_loader_bytes (const struct data_loader_spec *spec)
{
  const struct data_set *d = spec->data;
  const double samples = (double)(spec->ahead * (spec->n / spec->n_micro));
  double bytes = samples * (double)tensor_bytes (d->kind->type, d->values);
  if (d->kind->maker_bytes)
    bytes += data_loader_threads (spec) * d->kind->maker_bytes (d);
  if (!spec->evaluates && d->kind->storage->fits (d, spec->split))
    bytes += d->kind->storage->bytes (d, spec->split);
  return bytes;
}

/* The first sample finds nothing in the caches yet, and does not count. */
static enum status
take_time (struct data_maker *m, double most_s, float *x, double *sample_s)
{
  const struct data_set *d = m->spec->data;
  const int64_t n = d->info.samples[m->spec->split];
  double start = 0, now = 0;
  int64_t i = 0;
  for (; i <= PACED && (i < 2 || now - start < most_s); i++) {
    TRY (d->kind->make (m, 0, i * n / (PACED + 1), x));
    now = clock_now_s ();
    start = i == 0 ? now : start;
  }
  *sample_s = (now - start) / (double)(i - 1);
  return OK;
}

enum status
data_loader_pace (const struct data_loader_spec *spec, double most_s,
                  double *sample_s)
{
  const struct data_set *d = spec->data;
  struct data_maker m = {.spec = spec};
  float *x = NULL;
  CHECK (d->kind->maker_bytes, "%s: nothing is decoded", d->path);
  TRY (MEM_NEW ((size_t)d->values, &x, "a sample"));
  enum status s = d->kind->maker_open (&m);
  if (s == OK)
    s = take_time (&m, most_s, x, sample_s);
  data_maker_close (&m);
  mem_free (&x);
  return s;
}
