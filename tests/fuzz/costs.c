/* plant: main/costs_file.c */
/* tests/fuzz/costs.c -- calibrated costs. */
#include "main/main.h"
#include "design/ask.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t n)
{
  struct design_costs c = {0};
  fuzz_open ();
  if (costs_read (fuzz_file ("costs.ini", data, n), &c) == OK) {
    struct text out;
    text_init (&out);
    costs_write (&c, &out);
    text_clear (&out);
    design_costs_close (&c);
  }
  fail_clear ();
  return 0;
}
