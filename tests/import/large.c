/* ranks: 0 */
/* tests/import/large.c -- a text of any size is imported in the same memory.
 *
 * `interlock import text` runs on a small text and on one ten times as large;
 * the difference of the peaks of resident memory, of it and of the programs
 * that it runs, has to be small against the difference of the texts.  With
 * INTERLOCK_BIG set the sizes are 20 and 200 MB.
 */
#include "tests/scratch.h"
#include "tests/tap.h"
#include <sys/resource.h>
#include <sys/wait.h>

#define MIB ((int64_t)1 << 20)

/* A text of words from a few hundred, in lines. */
static bool
write_text (const char *path, int64_t bytes)
{
  FILE *f = fopen (path, "w");
  uint32_t x = 12345;
  int64_t n = 0;
  for (int line = 0; f && n < bytes; line++) {
    for (int i = 0; i < 12; i++) {
      x = x * 1664525 + 1013904223;
      n += fprintf (f, "%s%c%c%c%s", i ? " " : "", 'a' + (int)(x >> 28),
                    'a' + (int)(x >> 24 & 7), 'e' + (int)(x >> 20 & 3),
                    x >> 19 & 1 ? "ing" : "");
    }
    n += fprintf (f, ".\n");
  }
  return f && fclose (f) == 0;
}

/* Runs it with output to a file; its peak in bytes, -1 when it failed. */
static int64_t
peak_of (char *const *argv)
{
  struct rusage use;
  int status;
  char out[512];
  snprintf (out, sizeof out, "%s/said", scratch_folder);
  fflush (stdout);
  pid_t pid = fork ();
  if (pid == 0) {
    if (freopen (out, "w", stdout) && dup2 (1, 2) == 2)
      execvp (argv[0], argv);
    _exit (127);
  }
  if (pid < 0 || wait4 (pid, &status, 0, &use) != pid || status != 0)
    return -1;
  return (int64_t)use.ru_maxrss * 1024;
}

static void
complain (void)
{
  char line[512], path[512];
  snprintf (path, sizeof path, "%s/said", scratch_folder);
  FILE *f = fopen (path, "r");
  while (f && fgets (line, sizeof line, f))
    fprintf (stderr, "# %s", line);
  if (f)
    fclose (f);
}

/* Both texts with more words; model: of the tokenizer, NULL: none. */
static void
compare (const char *program, const char *tokenizer, char *model,
         const int64_t bytes[2])
{
  int64_t peak[2] = {-1, -1};
  for (int i = 0; i < 2; i++) {
    char text[512], set[512];
    snprintf (text, sizeof text, "%s/%d.txt", scratch_folder, i);
    snprintf (set, sizeof set, "%s/%d.h5", scratch_folder, i);
    char *argv[] = {(char *)program,
                    "import",
                    "text",
                    text,
                    "-o",
                    set,
                    "--tokenizer",
                    (char *)tokenizer,
                    model ? "--model" : NULL,
                    model,
                    NULL};
    peak[i] = peak_of (argv);
    if (peak[i] < 0)
      complain ();
  }
  int64_t grown = peak[1] - peak[0], more = bytes[1] - bytes[0];
  tap_ok (peak[0] > 0 && peak[1] > 0 && grown < more / 6,
          "%s: %.1f MiB of text take %.1f MiB, %.1f MiB take %.1f", tokenizer,
          (double)bytes[0] / MIB, (double)peak[0] / MIB, (double)bytes[1] / MIB,
          (double)peak[1] / MIB);
}

/* A model of a small text; false: no SentencePiece here. */
static bool
make_model (char *model, size_t size)
{
  char command[2048];
  snprintf (model, size, "%s/m.model", scratch_folder);
  snprintf (command, sizeof command,
            "command -v spm_train spm_encode >/dev/null && "
            "head -c 300000 %s/0.txt >%s/m.txt && "
            "spm_train --input=%s/m.txt --model_prefix=%s/m --vocab_size=400 "
            "--byte_fallback=true --normalization_rule_name=identity "
            "--remove_extra_whitespaces=false --minloglevel=2 >/dev/null 2>&1",
            scratch_folder, scratch_folder, scratch_folder, scratch_folder);
  return system (command) == 0;
}

int
main (void)
{
  const char *program = getenv ("INTERLOCK");
  const bool big = getenv ("INTERLOCK_BIG") != NULL;
  const int64_t bytes[2] = {(big ? 20 : 2) * MIB, (big ? 200 : 20) * MIB};
  char path[512], model[512];
  if (!program || !scratch_open ()) {
    tap_skip ("no program, or no place for files");
    return tap_done ();
  }
  for (int i = 0; i < 2; i++) {
    snprintf (path, sizeof path, "%s/%d.txt", scratch_folder, i);
    if (!write_text (path, bytes[i]))
      tap_bail ("no room for a text");
  }
  compare (program, "bytes", NULL, bytes);
  if (!make_model (model, sizeof model))
    tap_skip ("spm_train and spm_encode are not installed");
  else if (!big) {
    const int64_t fewer[2] = {bytes[0], 4 * bytes[0]};
    snprintf (path, sizeof path, "%s/1.txt", scratch_folder);
    if (!write_text (path, fewer[1]))
      tap_bail ("no room for a text");
    compare (program, "sentencepiece", model, fewer);
  } else
    compare (program, "sentencepiece", model, bytes);
  scratch_remove (scratch_folder);
  return tap_done ();
}
