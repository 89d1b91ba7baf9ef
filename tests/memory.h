/* tests/memory.h -- what the machine has left for a large test. */
#ifndef TESTS_MEMORY_H
#define TESTS_MEMORY_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bytes; 0 where the system does not say. */
static inline double
memory_left (void)
{
  char line[256];
  double kib = 0;
  FILE *f = fopen ("/proc/meminfo", "r");
  while (f && fgets (line, sizeof line, f))
    if (strncmp (line, "MemAvailable:", 13) == 0)
      kib = strtod (line + 13, NULL);
  if (f)
    fclose (f);
  return kib * 1024;
}

#endif
