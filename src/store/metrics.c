/* store/metrics.c -- names of the columns of metrics.csv. */
#include "store/metrics.h"

#include <stdio.h>
#include <string.h>

const char *
store_metric_head (int k, const char *metric, char out[METRIC_NAME])
{
  snprintf (out, METRIC_NAME, "head%d_%s", k, metric);
  return out;
}

const char *
store_metric_stage (int k, const char *metric, char out[METRIC_NAME])
{
  snprintf (out, METRIC_NAME, "stage%d_%s", k, metric);
  return out;
}

bool
store_metric_is_head (const char *column, int *k, const char **metric)
{
  int end = 0;
  if (sscanf (column, "head%d_%n", k, &end) != 1 || end == 0)
    return false;
  *metric = column + end;
  return true;
}

bool
store_metric_is_stage (const char *column)
{
  return strncmp (column, "stage", 5) == 0;
}

bool
store_metric_is_new (const char *column)
{
  int k, end = 0;
  if (sscanf (column, "stage%d_%n", &k, &end) != 1 || end == 0)
    return false;
  return strcmp (column + end, METRIC_RMS) == 0 ||
         strcmp (column + end, METRIC_GRADIENT) == 0;
}
