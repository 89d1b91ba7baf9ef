/* plant: config/config.c */
/* tests/fuzz/config.c -- a configuration file, for training and for a plan.
 *
 * What is taken is written and read again: it has to say the same.
 */
#include "main/main.h"
#include "design/ask.h"
#include "tests/fuzz/fuzz.h"

static void
again (const struct config *c, enum config_use use)
{
  static struct config back;
  struct text first, second;
  text_init (&first);
  text_init (&second);
  config_write (c, &first);
  struct config_source source = {.name = "again.ini", .text = first.data};
  if (design_configure (&source, use, &back) != OK) {
    fprintf (stderr, "%s\nnot taken again: %s\n", first.data, fail_message ());
    abort ();
  }
  config_write (&back, &second);
  if (strcmp (first.data, second.data) != 0) {
    fprintf (stderr, "%s\nbecomes another:\n%s\n", first.data, second.data);
    abort ();
  }
  text_clear (&first);
  text_clear (&second);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t n)
{
  static struct config c;
  fuzz_open ();
  char *text = fuzz_text (data, n);
  const enum config_use uses[] = {CONFIG_PLAN, CONFIG_TRAIN};
  for (int i = 0; i < 2; i++) {
    struct config_source source = {.name = "fuzz.ini", .text = text};
    if (design_configure (&source, uses[i], &c) == OK)
      again (&c, uses[i]);
    fail_clear ();
  }
  free (text);
  return 0;
}
