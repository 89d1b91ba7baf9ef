/* ranks: 0 */
/* tests/import/program.c -- an import by another program: scripts of our own in
 * place of SentencePiece's show what it is asked, and what comes of its ways.
 */
#include "import/import.h"
#include "tests/scratch.h"
#include "tests/tap.h"

#include "base/log.h"

/* Import a text with a script for spm_train. */
static enum status
import_by (const char *script, const char *text)
{
  const char *in = scratch ("in.txt"), *program = scratch ("spm_train");
  const char *options[] = {"tokenizer=sentencepiece", "valid=0"};
  char kept[4096], path[4608];
  scratch_write (in, text, strlen (text));
  scratch_write (program, script, strlen (script));
  snprintf (kept, sizeof kept, "%s", getenv ("PATH"));
  snprintf (path, sizeof path, "%s:%s", scratch_folder, kept);
  if (chmod (program, 0700) != 0)
    tap_bail ("cannot make a program");
  setenv ("PATH", path, 1);
  enum status s = import_run ("text", 1, &in, 2, options, scratch ("out.h5"));
  setenv ("PATH", kept, 1);
  return s;
}

static bool
said (enum status s, const char *words)
{
  bool good = s == E_DATA && strstr (fail_message (), words);
  if (!good)
    tap_note ("status %d: %s", (int)s, fail_message ());
  fail_clear ();
  return good;
}

/* One that takes its time is seen to be at work. */
static void
test_slow (void)
{
  char line[512];
  FILE *log = tmpfile ();
  log_file_set (log);
  log_level_set (LOG_INFO);
  log_progress_rate (0);
  enum status s = import_by ("#!/bin/sh\nsleep 0.5\nexit 1\n", "some text");
  log_progress_rate (30);
  log_level_set (LOG_WARN);
  log_file_set (NULL);
  rewind (log);
  int times = 0;
  while (fgets (line, sizeof line, log))
    times += strstr (line, "spm_train: ") && strstr (line, "ms\n");
  fclose (log);
  tap_ok (said (s, "spm_train failed with code 1"),
          "a program that fails is named");
  tap_ok (times > 2, "its time was shown before (%d times)", times);
}

/* A tokenizer learns from so many lines as fit its memory. */
static void
test_lines (void)
{
  enum { LINE = 60000, LINES = 3 };
  static const char script[] = "#!/bin/sh\necho \"$@\" >&2\nexit 1\n";
  static char text[LINES * LINE + 1];
  memset (text, 'x', sizeof text - 1);
  for (int i = 1; i <= LINES; i++)
    text[i * LINE - 1] = '\n';
  tap_ok (said (import_by (script, "some\ntext\n"),
                "--input_sentence_size=2000000 "),
          "two million lines where they are short");
  tap_ok (said (import_by (script, text), "--input_sentence_size=17895 "),
          "fewer where they are long: 1 GiB");
}

int
main (void)
{
  if (!scratch_open ()) {
    tap_skip ("no place for files");
    return tap_done ();
  }
  log_level_set (LOG_WARN);
  test_slow ();
  test_lines ();
  scratch_close ();
  return tap_done ();
}
