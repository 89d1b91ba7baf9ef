/* ranks: 0 */
/* tests/kern/levels.c -- own loops give the same bits on every instruction set
 * that they are compiled for, as far as this machine has it.
 *
 * The plain one is the truth: it is what the source says, one operation at a
 * time. */
#include "base/fault.h"
#include "tests/kern/level_result.h"
#include "tests/kern/twin.h"

void
plain_level_run (struct kern *k, struct level_results *out);
void
avx2_level_run (struct kern *k, struct level_results *out);
void
avx512f_level_run (struct kern *k, struct level_results *out);

static bool
has (const char *level)
{
#if defined(__x86_64__)
  __builtin_cpu_init ();
  return strcmp (level, "avx2") == 0 ? __builtin_cpu_supports ("avx2") != 0
                                     : __builtin_cpu_supports ("avx512f") != 0;
#else
  (void)level;
  return false;
#endif
}

static void
compare (struct kern *k, const struct level_results *truth, const char *level,
         void (*run) (struct kern *, struct level_results *))
{
  static struct level_results got;
  if (!has (level)) {
    tap_ok (true, "no %s here # SKIP", level);
    return;
  }
  got.n = 0;
  run (k, &got);
  int wrong = 0;
  for (int i = 0; i < truth->n && i < got.n; i++)
    if (got.digest[i] != truth->digest[i] && ++wrong < 20)
      printf ("# %s: %s differs\n", level, truth->what[i]);
  tap_ok (got.n == truth->n && wrong == 0,
          "%s: %d of %d results have other bits", level, wrong, truth->n);
}

int
main (void)
{
  static struct level_results truth;
  struct kern *k = NULL;
  fault_plant (NULL);
  MUST (kern_open (1, &k));
  plain_level_run (k, &truth);
  tap_ok (truth.n > 100, "%d results", truth.n);
  compare (k, &truth, "avx2", avx2_level_run);
  compare (k, &truth, "avx512f", avx512f_level_run);
  kern_close (&k);
  tap_ok (mem_leaks () == 0, "nothing left behind");
  return tap_done ();
}
