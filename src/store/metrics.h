/* store/metrics.h -- the columns of metrics.csv: what they are called.
 *
 * train fills them, report and sweep look for them; whoever names one takes the
 * name from here.
 */
#ifndef STORE_METRICS_H
#define STORE_METRICS_H

#include <stdbool.h>

/* Of the run.  A row is of a split of the data, or of one of these words. */
#define METRIC_STEP "step"
#define METRIC_EPOCH "epoch"
#define METRIC_SPLIT "split"
#define METRIC_LR "lr"
#define METRIC_SECONDS "seconds"
#define METRIC_RATE "samples_per_s"
#define METRIC_PHASE "phase"
#define ROW_AGREEMENT "agreement"
#define ROW_DIGEST "digest"

/* Of each head: "head0_loss". */
#define METRIC_LOSS "loss"
#define METRIC_ACCURACY "accuracy"
#define METRIC_RECONSTRUCTION "reconstruction" /* of images made again */
#define METRIC_PERPLEXITY "perplexity"
#define METRIC_BITS "bits_per_byte"

/* Of each stage: "stage0_cosine". */
#define METRIC_COSINE "cosine"
#define METRIC_NORM_RATIO "norm_ratio"
#define METRIC_DIGEST "digest"
#define METRIC_RMS "rms"
#define METRIC_GRADIENT "gradient_norm"

/* Their columns; out is returned. */
#define METRIC_NAME 48
const char *
store_metric_head (int k, const char *metric, char out[METRIC_NAME]);
const char *
store_metric_stage (int k, const char *metric, char out[METRIC_NAME]);
/* Whether a column is of a head (which: *k; what: *metric) or of a stage. */
bool
store_metric_is_head (const char *column, int *k, const char **metric);
bool
store_metric_is_stage (const char *column);
/* Whether files of earlier versions have no such column: they are gone on with
 * without it. */
bool
store_metric_is_new (const char *column);

#endif
