/* tests/kern/level_result.h -- what the loops of one level leave. */
#ifndef TESTS_KERN_LEVEL_RESULT_H
#define TESTS_KERN_LEVEL_RESULT_H

#include "kern/kern.h"

#define LEVEL_RESULTS 512
struct level_results {
  int n;
  char what[LEVEL_RESULTS][48];
  uint64_t digest[LEVEL_RESULTS]; /* of all numbers of a result */
};

#endif
