/* ranks: 0 */
/* tests/kern/isa.c -- instruction sets by name: what includes what, what two
 * have in common, and a limit that holds for the process. */
#include "base/fault.h"
#include "base/memory.h"
#include "kern/kern.h"
#include "tests/tap.h"
#include <string.h>

static void
test_order (void)
{
  /* By the processors' manuals, not by the library's numbers. */
  static const struct {
    const char *a, *b, *common;
  } rows[] = {
      {"avx2", "avx2", "avx2"},
      {"sse41", "avx512_core_amx", "sse41"},
      {"avx512_core_bf16", "avx2", "avx2"},
      {"avx512", "avx512_core_bf16", "avx512_core"},
      {"avx2_vnni", "avx512_core", "avx2"},
      {"avx512_core_vnni", "avx512_core_amx", "avx512_core_vnni"},
      {"generic", "avx2", "generic"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    const char *one = kern_isa_common (rows[i].a, rows[i].b);
    const char *other = kern_isa_common (rows[i].b, rows[i].a);
    tap_ok (strcmp (one, rows[i].common) == 0 && strcmp (one, other) == 0,
            "%s and %s have %s in common", rows[i].a, rows[i].b, one);
  }
  tap_ok (kern_isa_includes ("avx512_core", "avx2") &&
              !kern_isa_includes ("avx2", "avx512_core") &&
              !kern_isa_includes ("avx512_core", "avx2_vnni") &&
              kern_isa_includes ("avx", "avx"),
          "what includes what");
  tap_ok (kern_isa_known ("avx512") && !kern_isa_known ("avx513") &&
              !kern_isa_known ("auto"),
          "names that are known");
}

/* The lowest level that has a name: every x86-64 processor of these days. */
static void
test_limit (void)
{
  struct kern *k = NULL;
  struct text names;
  char have[32], machine[KERN_MACHINE];
  snprintf (have, sizeof have, "%s", kern_isa_have ());
  text_init (&names);
  kern_isa_names (&names);
  tap_ok (kern_isa_known (have) || strcmp (have, "generic") == 0,
          "this machine has %s, of %s", have, names.data);
  text_clear (&names);
  if (!kern_isa_includes (have, "sse41") || strcmp (have, "sse41") == 0) {
    tap_ok (true, "there is nothing below it # SKIP");
    return;
  }
  tap_ok (kern_isa_limit ("sse41") == OK &&
              strcmp (kern_isa_use (), "sse41") == 0,
          "having been asked, the library still takes a limit");
  tap_ok (kern_open (1, &k) == OK && kern_block (k) == 8, "blocks of 8 then");
  kern_machine (k, machine);
  tap_ok (strncmp (machine, "sse41, oneDNN ", 14) == 0 &&
              strstr (kern_describe (k), ", sse41, ") != NULL,
          "a tuning and the log say so: %s", machine);
  kern_close (&k);
  tap_ok (strcmp (kern_isa_have (), "sse41") == 0, "and it is all there is");
  tap_ok (kern_isa_limit ("sse41") == OK, "the same limit again");
  enum status s = kern_isa_limit (have);
  tap_ok (s == E_UNSUPPORTED && strstr (fail_message (), have) != NULL,
          "another one is refused: %s", fail_message ());
  fail_clear ();
}

int
main (void)
{
  fault_plant (NULL);
  test_order ();
  test_limit ();
  tap_ok (mem_leaks () == 0, "nothing left behind");
  return tap_done ();
}
