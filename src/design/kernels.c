/* design/kernels.c -- ranks agree on what they compute with before the first
 * kernel is made.
 *
 * On unlike machines each rank would compute in its own way: libraries and
 * instruction sets decide bits, and some even the layout of the tensors that
 * ranks exchange.  The instruction set is limited to what all ranks have
 * (run.isa); any other difference is refused by name.
 */
#include "base/hash.h"
#include "design/design_impl.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* -- the C library ----------------------------------------------------------
 */

/* A digest of many values of the functions of <math.h> that random numbers,
 * learning rates and updates use.  Their last bit depends on the C library and
 * on the code that it chooses for the processor. */
static void
mathematics (char *out, size_t size)
{
  enum { VALUES = 2048, FUNCTIONS = 6 };
  double v[FUNCTIONS];
  uint64_t h = 0;
  for (int i = 0; i < VALUES; i++) {
    /* Volatile: at run time, not by the compiler. */
    volatile double x = (i + 0.37) / VALUES;
    v[0] = log (x);
    v[1] = exp (-3 * x);
    v[2] = cos (6.283185307179586 * x);
    v[3] = sin (6.283185307179586 * x);
    v[4] = pow (0.9 + 0.1 * x, 100 * x);
    v[5] = (double)logf ((float)(1 + 100 * x));
    h = hash_bytes (v, sizeof v, h);
  }
  char name[64] = "C library";
#ifdef _CS_GNU_LIBC_VERSION
  (void)confstr (_CS_GNU_LIBC_VERSION, name, sizeof name);
#endif
  snprintf (out, size, "%s (%016llx)", name, (unsigned long long)h);
}

/* -- instruction sets -------------------------------------------------------
 */

void
design_ask_machine (void)
{
  (void)kernels_level_have ();
}

/* The level that all ranks have.  Levels go from rank to rank by name. */
static enum status
common_level (struct wire *w, const char **out)
{
  char mine[32], *all = NULL;
  const size_t room = sizeof mine;
  snprintf (mine, sizeof mine, "%s", kernels_level_have ());
  TRY (wire_worst (
      w, MEM_NEW ((size_t)wire_size (w) * room, &all, "instruction sets")));
  wire_round_gather (w, mine, room, all);
  for (double start = clock_now_s (); !wire_round_done (w);)
    wire_rest (start);
  const char *common = kernels_level_have ();
  for (int r = 0; r < wire_size (w); r++)
    common = kernels_level_common (common, all + (size_t)r * room);
  mem_free (&all);
  *out = common;
  return OK;
}

/* The level that the key asks for, given what all have.  The same on all
 * ranks. */
static enum status
choose_level (struct design *d, int n, const char *groups, const char *common,
              const char **out)
{
  static bool said; /* one session after the other: once is enough */
  const char *word = d->config.isa;
  TRY (kernels_level_choose (
      word, common, n > 1 ? groups : "",
      wire_size (d->wire) > 1 ? "every rank" : wire_host (d->wire), out));
  if (strcmp (word, "auto") == 0 && n > 1 && !said) {
    say (LOG_WARN, "%s = auto: all ranks work with %s, which all have (%s)",
         KEY_NAME (isa), common, groups);
    said = true;
  }
  return OK;
}

static enum status
settle_level (struct design *d)
{
  struct text groups;
  const char *common = NULL, *level = NULL;
  int n = 1;
  text_init (&groups);
  enum status e = wire_groups (d->wire, kernels_level_have (), &n, &groups);
  if (e == OK)
    e = common_level (d->wire, &common);
  if (e == OK)
    e = choose_level (d, n, groups.data, common, &level);
  text_clear (&groups);
  if (e == OK)
    e = kernels_level_limit (level);
  return wire_agree (d->wire, e);
}

/* -- all of it --------------------------------------------------------------
 */

/* What no rank can be brought to. */
static enum status
compare_libraries (struct design *d)
{
  char threads[16], math[96];
  snprintf (threads, sizeof threads, "%d", d->threads);
  mathematics (math, sizeof math);
  const struct wire_fact facts[] = {
      {"threads of a rank", threads,
       "set OMP_NUM_THREADS to one number everywhere, or give --threads",
       E_USAGE},
      {"kernel library", kernels_library (), "install one version everywhere",
       E_MISSING},
      {"element type", kernels_numbers (),
       "set ONEDNN_DEFAULT_FPMATH_MODE alike, or nowhere", E_USAGE},
      {"mathematics of the C library", math,
       "random numbers and rates would differ in their last bits: start on "
       "nodes with one C library and like processors, or, where FMA is what "
       "one "
       "lacks, with GLIBC_TUNABLES=glibc.cpu.hwcaps=-FMA,-AVX2 on all",
       E_MISSING},
      {"decoder of images", d->info.decoder,
       "install one libjpeg-turbo everywhere", E_MISSING}};
  return wire_agree (d->wire,
                     wire_alike (d->wire, sizeof facts / sizeof *facts, facts));
}

/* What has come of it: a fault of ours where it differs. */
static enum status
compare_kernels (struct design *d)
{
  char block[16];
  snprintf (block, sizeof block, "%d", kernels_block (d->kernels));
  const struct wire_fact facts[] = {
      {"instruction set in use", kernels_level_use (), "", E_FAULT},
      {"channels of a block", block, "", E_FAULT}};
  return wire_agree (d->wire,
                     wire_alike (d->wire, sizeof facts / sizeof *facts, facts));
}

/* Once, however many sessions come one after the other.  Layers over rows have
 * kernels of 16 bits where the processor has. */
static void
warn_of_rounding (const struct design *d)
{
  static bool said;
  const bool rows = derive_family (&d->config)->rows;
  const bool native = kernels_native (d->kernels);
  if (said || !derive_narrow (&d->config) || (native && rows))
    return;
  said = true;
  say (LOG_WARN,
       "%s = %s: %s: by f32 kernels on rounded numbers, which take up to an "
       "eighth longer than %s = f32; messages have half the bytes",
       KEY_NAME (precision), key_word (KEY_OF (precision), &d->config),
       native ? "convolutions" : "the instruction set in use has no bf16",
       KEY_NAME (precision));
}

enum status
design_kernels (struct design *d)
{
  TRY (derive_threads (d->wire, &d->config, &d->threads));
  TRY (compare_libraries (d));
  TRY (settle_level (d));
  TRY (
      wire_agree (d->wire, kernels_open (d->threads, derive_narrow (&d->config),
                                         &d->kernels)));
  warn_of_rounding (d);
  TRY (compare_kernels (d));
  return design_cache_open (d);
}
