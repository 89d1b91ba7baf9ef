/* tests/bench/serve.h -- a session that takes steps when it is told, beside
 * another program that does the same (tests/bench/peer.py).
 *
 * On stdout "ready ..." with what the network is; then an answer for each line
 * of stdin: "go SECONDS": "took S S S ...", the seconds of each step, two at
 * least; "peak": "peak X", operations per second of a large matrix product.
 */
#ifndef TESTS_BENCH_SERVE_H
#define TESTS_BENCH_SERVE_H

#include "tests/bench/rounds.h"
#include "kern/kern.h"

#include <stdio.h>

#define SERVED_MOST 4096 /* steps of an answer */

BENCH_FN enum status
serve_steps (struct session *s, double seconds, int64_t *step)
{
  static double took[SERVED_MOST];
  const double end = clock_now_s () + seconds;
  int n = 0;
  while (n < 2 || (n < SERVED_MOST && clock_now_s () < end)) {
    double start = clock_now_s ();
    TRY (bench_step (s, (*step)++));
    took[n++] = clock_now_s () - start;
  }
  put ("took");
  for (int i = 0; i < n; i++)
    put (" %.6f", took[i]);
  put ("\n");
  return OK;
}

BENCH_FN enum status
serve_peak (struct kern *k)
{
  double flops;
  TRY (kern_peak_flops (k, &flops));
  put ("peak %.0f\n", flops);
  return OK;
}

BENCH_FN enum status
serve_lines (struct session *s, struct kern *k)
{
  char line[64];
  double seconds;
  int64_t step = 0;
  for (int i = 0; i < 3; i++) /* warms up */
    TRY (bench_step (s, step++));
  fflush (stdout);
  while (fgets (line, sizeof line, stdin)) {
    if (sscanf (line, "go %lf", &seconds) == 1)
      TRY (serve_steps (s, seconds, &step));
    else if (strcmp (line, "peak\n") == 0)
      TRY (serve_peak (k));
    fflush (stdout);
  }
  return OK;
}

/* An open session; flops: useful operations of a step. */
BENCH_FN enum status
bench_serve (struct session *s, double flops)
{
  const struct design *d = s->design;
  struct kern *k = NULL;
  enum status e = kern_open (d->threads, &k);
  if (e == OK)
    e = kern_seal (k);
  if (e == OK)
    e = session_begin (s, 0, d->steps);
  if (e == OK) {
    put ("ready parameters=%lld units=%lld flops=%.0f setting=tuned "
         "library=interlock %s, %s\n",
         (long long)network_params (d->net), (long long)(d->batch * d->length),
         flops, PACKAGE_VERSION, kernels_describe (d->kernels));
    e = serve_lines (s, k);
  }
  if (e == OK)
    e = session_end (s);
  kern_close (&k);
  return e;
}

#endif
