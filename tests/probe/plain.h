/* tests/probe/plain.h -- plain loops that tests of the probe share. */
#ifndef TESTS_PROBE_PLAIN_H
#define TESTS_PROBE_PLAIN_H

#include "tests/probe/tool.h"

/* Solves a (n x n, symmetric, positive) for n_b right-hand sides, in place, by
 * Gauss without pivots. */
TAP_FN void
plain_solve (double *a, int n, double *b, int n_b)
{
  for (int k = 0; k < n; k++)
    for (int i = k + 1; i < n; i++) {
      double f = a[i * n + k] / a[k * n + k];
      for (int j = k; j < n; j++)
        a[i * n + j] -= f * a[k * n + j];
      for (int c = 0; c < n_b; c++)
        b[i * n_b + c] -= f * b[k * n_b + c];
    }
  for (int i = n - 1; i >= 0; i--)
    for (int c = 0; c < n_b; c++) {
      for (int j = i + 1; j < n; j++)
        b[i * n_b + c] -= a[i * n + j] * b[j * n_b + c];
      b[i * n_b + c] /= a[i * n + i];
    }
}

#endif
