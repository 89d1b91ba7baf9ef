/* plant: runs */
/* tests/fuzz/sweep.c -- a sweep file: expanded, and every run of it checked. */
#include "main/sweep_impl.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t n)
{
  static struct sweep_set set;
  static struct wire *alone;
  fuzz_open ();
  if (!alone && wire_open_alone (&alone) != OK)
    abort ();
  memset (&set, 0, sizeof set);
  const char *path = fuzz_file ("sweep.ini", data, n);
  if (sweep_set_open (&set, path, alone) == OK) {
    struct text out;
    text_init (&out);
    (void)sweep_set_check (&set, &out);
    text_clear (&out);
  }
  sweep_set_close (&set);
  fail_clear ();
  return 0;
}
