/* plant: kern/tune.c */
/* tests/fuzz/tuning.c -- the text that says which kernels were chosen. */
#include "kern/kern.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t n)
{
  struct kern_tuning *t = NULL;
  struct text out;
  fuzz_open ();
  char *text = fuzz_text (data, n);
  if (kern_tuning_create (&t) != OK)
    abort ();
  text_init (&out);
  if (kern_tuning_parse (text, "fuzz", t) == OK)
    kern_tuning_print (t, &out);
  text_clear (&out);
  kern_tuning_destroy (&t);
  fail_clear ();
  free (text);
  return 0;
}
