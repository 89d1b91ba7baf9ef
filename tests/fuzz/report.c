/* plant: a report */
/* tests/fuzz/report.c -- the texts of a run directory, as report and info read
 * them.
 *
 * An input is the files in this order, a form feed between them.
 */
#include "report/report.h"
#include "store/run.h"
#include "tests/fuzz/fuzz.h"

static const char *const names[] = {
    "metrics.csv", "facts.ini", "events.jsonl", "config.ini",
    "summary.csv", "status",    "trace.json",   "progress",
};
#define N_NAMES (sizeof names / sizeof *names)

static void
report (const char *dir, enum report_form form)
{
  struct report_spec spec = {.n_paths = 1, .paths = &dir, .form = form};
  struct text out;
  text_init (&out);
  (void)report_make (&spec, &out);
  text_clear (&out);
  fail_clear ();
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t n)
{
  fuzz_open ();
  const char *dir = scratch_folder;
  struct store_run_look look;
  struct store_mark mark;
  struct text out;
  for (size_t i = 0; i < N_NAMES; i++) {
    const uint8_t *end = n > 0 ? memchr (data, '\f', n) : NULL;
    size_t size = end ? (size_t)(end - data) : n;
    if (size > 0)
      fuzz_file (names[i], data, size);
    else
      remove (scratch ("%s", names[i]));
    data += size + (end != NULL);
    n -= size + (end != NULL);
  }
  report (dir, REPORT_HTML);
  report (dir, REPORT_TEXT);
  report (dir, REPORT_CSV);
  report (dir, REPORT_LATEX);
  store_run_look (dir, &look);
  store_mark_read (dir, &mark);
  text_init (&out);
  (void)store_run_print (dir, &out);
  text_clear (&out);
  fail_clear ();
  return 0;
}
