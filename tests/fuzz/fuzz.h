/* tests/fuzz/fuzz.h -- what the harnesses of libFuzzer share.
 *
 * A harness is one file that gives bytes to one family of parsers.  Its first
 * line names a fault that the leg plants (plant.c) to see that the bytes get
 * there:
 *
 *     PLANT: config/config.c (as a comment)
 *
 * With INTERLOCK_FUZZ_SEEDS=FOLDER a harness writes inputs to begin with that
 * are no text into that folder, and ends; texts are in corpus/NAME.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include "base/log.h"
#include "base/memory.h"
#include "base/status.h"
#include "base/text.h"
#include "tests/scratch.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FUZZ_FN static inline __attribute__ ((unused))

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t n);
int
LLVMFuzzerInitialize (int *argc, char ***argv);

/* Once, before the first input: a folder, and nobody talks. */
FUZZ_FN void
fuzz_open (void)
{
  if (scratch_folder[0])
    return;
  log_level_set (LOG_ERROR);
  if (!scratch_open ())
    abort ();
  atexit (scratch_close);
}

/* The bytes as a text, to be freed. */
FUZZ_FN char *
fuzz_text (const uint8_t *data, size_t n)
{
  char *text = malloc (n + 1);
  if (n > 0)
    memcpy (text, data, n);
  text[n] = '\0';
  return text;
}

/* The bytes as a file of the folder; its path, as scratch gives it. */
FUZZ_FN const char *
fuzz_file (const char *name, const uint8_t *data, size_t n)
{
  const char *path = scratch ("%s", name);
  scratch_write (path, data, n);
  return path;
}

/* Of an input of several files: the first, behind its size in two bytes; what
 * is left stays in *data. */
FUZZ_FN size_t
fuzz_part (const uint8_t **data, size_t *n, const uint8_t **part)
{
  size_t size = 0;
  if (*n >= 2) {
    size = (size_t)(*data)[0] | (size_t)(*data)[1] << 8;
    *data += 2;
    *n -= 2;
  }
  size = size < *n ? size : *n;
  *part = *data;
  *data += size;
  *n -= size;
  return size;
}

/* -- inputs to begin with -------------------------------------------------- */

/* One of them, of parts with or without their sizes in front. */
struct fuzz_piece {
  const void *data;
  size_t n;
};

FUZZ_FN void
fuzz_seed (const char *name, bool sizes, int n, const struct fuzz_piece *piece)
{
  char path[512];
  snprintf (path, sizeof path, "%s/%s", getenv ("INTERLOCK_FUZZ_SEEDS"), name);
  FILE *f = fopen (path, "wb");
  for (int i = 0; f && i < n; i++) {
    if (sizes) {
      fputc ((int)(piece[i].n & 255), f);
      fputc ((int)(piece[i].n >> 8), f);
    }
    fwrite (piece[i].data, 1, piece[i].n, f);
  }
  if (!f || fclose (f) != 0)
    abort ();
}

/* Whether they are wanted: the harness writes them and calls exit. */
FUZZ_FN bool
fuzz_seeds_wanted (void)
{
  return getenv ("INTERLOCK_FUZZ_SEEDS") != NULL;
}

#endif
