/* report/measure.c -- by which number of its heads runs are compared.
 *
 * Of images that is the accuracy.  Of language models the accuracy of the next
 * token hardly differs where losses do, so that it is the loss: in bits per
 * byte, which does not depend on the tokenizer, where all have it.
 */
#include "report/report_impl.h"

#include <stdio.h>

static const struct measure accuracy = {.column = METRIC_ACCURACY,
                                        .title = "accuracy",
                                        .of_output = "Accuracy",
                                        .unit = "%",
                                        .best = "highest accuracy",
                                        .scale = 100,
                                        .digits = 2};
static const struct measure bits = {.column = METRIC_BITS,
                                    .title = "loss",
                                    .of_output = "Loss, in bits per byte,",
                                    .unit = "bits/byte",
                                    .best = "fewest bits per byte",
                                    .lower = true,
                                    .scale = 1,
                                    .digits = 4};
static const struct measure nats = {.column = METRIC_LOSS,
                                    .title = "loss",
                                    .of_output = "Loss, in nats per token,",
                                    .unit = "nats/token",
                                    .best = "lowest loss",
                                    .lower = true,
                                    .scale = 1,
                                    .digits = 4};

/* A run that has no columns yet says nothing about what it is. */
static bool
is_language (const struct report *r)
{
  int models = 0;
  for (int i = 0; i < r->n_runs; i++) {
    const struct run *run = &r->run[i];
    if (run->K == 0)
      continue;
    if (sheet_column (&run->metrics, run_output (run, METRIC_PERPLEXITY)) < 0)
      return false;
    models++;
  }
  return models > 0;
}

/* Has it bits wherever it has a loss?  How many bytes tokens stand for is not
 * known of every data set. */
static bool
has_bits (const struct run *run)
{
  const struct sheet *m = &run->metrics;
  int loss = sheet_column (m, run_output (run, METRIC_LOSS));
  int in_bits = sheet_column (m, run_output (run, METRIC_BITS));
  for (int row = 0; row < m->n_rows; row++)
    if (isfinite (sheet_at (m, row, loss)) &&
        !isfinite (sheet_at (m, row, in_bits)))
      return false;
  return true;
}

const struct measure *
measure_choose (const struct report *r)
{
  if (!is_language (r))
    return &accuracy;
  for (int i = 0; i < r->n_runs; i++)
    if (!has_bits (&r->run[i]))
      return &nats;
  return &bits;
}

const char *
measure_output (const struct report *r, const struct run *run)
{
  return run_output (run, r->measure->column);
}

double
measure_last (const struct report *r, const struct run *run, const void *how)
{
  (void)how;
  return run_last (run, r->split, measure_output (r, run));
}

double
measure_head (const struct report *r, const struct run *run, int head)
{
  char column[METRIC_NAME];
  return run_last (run, r->split,
                   store_metric_head (head, r->measure->column, column));
}

bool
measure_better (const struct report *r, double a, double b)
{
  return r->measure->lower ? a < b : a > b;
}
