/* base/processor.c -- reads /proc/cpuinfo. */
#include "base/processor.h"
#include "base/hash.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

/* The value of a line "name : value", its end cut off; NULL: another line. */
static const char *
value_of (char *line, const char *name)
{
  const size_t n = strlen (name);
  char *colon = strchr (line, ':');
  if (strncmp (line, name, n) != 0 || !colon || !strchr ("\t :", line[n]))
    return NULL;
  line[strcspn (line, "\n")] = '\0';
  return colon + 1 + (colon[1] == ' ');
}

void
processor_name (char *out, size_t size)
{
  char line[512];
  const char *name = NULL;
  FILE *f = fopen ("/proc/cpuinfo", "re");
  out[0] = '\0';
  while (f && !name && fgets (line, sizeof line, f))
    name = value_of (line, "model name");
  if (name)
    snprintf (out, size, "%s", name);
  if (f)
    fclose (f);
}

/* Of x86, of ARM, of POWER. */
static const char *const telling[] = {
    "vendor_id",        "cpu family", "model",        "model name",
    "stepping",         "cache size", "CPU variant",  "CPU implementer",
    "CPU architecture", "CPU part",   "CPU revision", "cpu",
    "revision"};

void
processor_digest (char out[33])
{
  char line[512];
  struct text words;
  FILE *f = fopen ("/proc/cpuinfo", "re");
  text_init (&words);
  /* The first processor ends with an empty line. */
  while (f && fgets (line, sizeof line, f) && line[0] != '\n')
    for (size_t i = 0; i < sizeof telling / sizeof *telling; i++) {
      const char *value = value_of (line, telling[i]);
      if (value)
        text_add (&words, "%s: %s\n", telling[i], value);
    }
  if (f)
    fclose (f);
  hash_digest (words.data, words.size, out);
  text_clear (&words);
}
