/* ranks: 0 */
/* tests/kern/narrow.c -- rounding to bf16 against its definition, on all of its
 * numbers and what lies between them; and tensors that are packed and come
 * back.
 */
#include "tests/kern/twin.h"

#include <math.h>

enum { NUMBERS = 1 << 16 };

static float
float_of (uint32_t bits)
{
  float f;
  memcpy (&f, &bits, sizeof f);
  return f;
}

static uint32_t
bits_of (float f)
{
  uint32_t bits;
  memcpy (&bits, &f, sizeof bits);
  return bits;
}

/* By the definition, in double: of the bf16 below and the one above the nearer,
 * of two as near the one whose last bit is 0.  The one above the largest counts
 * as 2^128. */
static uint32_t
nearest (uint32_t u)
{
  const uint32_t below = u & 0xffff0000u, above = below + 0x10000u;
  const double x = fabs ((double)float_of (u));
  const double low = fabs ((double)float_of (below));
  const double high = (above & 0x7fffffffu) == 0x7f800000u
                          ? ldexp (1, 128)
                          : fabs ((double)float_of (above));
  if (isnan (float_of (u)))
    return below | 0x00400000u;
  if (isinf (float_of (u)))
    return u;
  if (x - low == high - x)
    return below & 0x10000u ? above : below;
  return x - low < high - x ? below : above;
}

/* Each number of 16 bits, and in f32 what is n above it. */
static void
test_rounding (struct kern *k, uint32_t n, const char *what)
{
  float *x = floats (NUMBERS), *y = floats (NUMBERS);
  int wrong = 0, moved = 0;
  for (uint32_t i = 0; i < NUMBERS; i++) {
    const uint32_t u = (i << 16) + n;
    memcpy (&x[i], &u, sizeof u);
  }
  kern_round (k, NUMBERS, x, y);
  for (uint32_t i = 0; i < NUMBERS; i++) {
    const uint32_t got = bits_of (y[i]);
    wrong += got != nearest ((i << 16) + n);
    moved += got != i << 16;
    if (isnan (x[i]) != isnan (y[i]))
      wrong++;
  }
  tap_ok (wrong == 0, "%s: all %d numbers, %d wrong", what, (int)NUMBERS,
          wrong);
  /* Signalling NaNs become quiet: half of the 2 x 127 others. */
  if (n == 0)
    tap_ok (moved == 2 * 63, "a number of 16 bits stays, but %d of the NaNs",
            moved);
  mem_free (&x);
  mem_free (&y);
}

static void
test_faults (void)
{
  /* What cutting, and rounding halves up, would give. */
  tap_ok (nearest (0x3f808001u) == 0x3f810000u &&
              nearest (0x3f808000u) == 0x3f800000u &&
              nearest (0x3f818000u) == 0x3f820000u,
          "cutting and rounding halves up would be noticed");
  tap_ok (nearest (0x7f7fffffu) == 0x7f800000u &&
              nearest (0x7f7f7fffu) == 0x7f7f0000u,
          "what is beyond the largest becomes infinity");
}

static void
test_packing (struct kern *k, size_t n)
{
  float *x = noise (n, 5), *y = floats (n);
  uint16_t *packed = NULL;
  MUST (mem_new (n + 1, sizeof *packed, "test", (void **)&packed));
  kern_round (k, n, x, x);
  x[n / 2] = INFINITY;
  packed[n] = 12345;
  kern_pack (k, n, x, packed);
  bool right = packed[n] == 12345;
  for (size_t i = 0; i < n; i++)
    right = right && packed[i] == bits_of (x[i]) >> 16;
  memcpy (y, x, n * sizeof *y);
  y[n] = 7;
  kern_pack_over (k, n, y);
  right = right && memcmp (y, packed, n * sizeof *packed) == 0 && y[n] == 7;
  memcpy ((char *)y + n * sizeof *packed, packed, n * sizeof *packed);
  kern_unpack_over (k, n, y);
  right = right && memcmp (y, x, n * sizeof *y) == 0 && y[n] == 7;
  tap_ok (right, "%zu numbers are packed, over themselves too, and come back",
          n);
  mem_free (&packed);
  mem_free (&x);
  mem_free (&y);
}

int
main (void)
{
  static const size_t sizes[] = {1,    2,     3,     17,    4095,  4096,   4097,
                                 8192, 12289, 32768, 32769, 65537, 1000003};
  for (int threads = 1; threads <= 2; threads++) {
    struct kern *k = NULL;
    MUST (kern_open (threads, &k));
    test_rounding (k, 0, "16 bits");
    test_rounding (k, 1, "just above");
    test_rounding (k, 0x7fff, "just below half");
    test_rounding (k, 0x8000, "half, to the even one");
    test_rounding (k, 0x8001, "just above half");
    test_rounding (k, 0xffff, "just below the next");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
      test_packing (k, sizes[i]);
    kern_close (&k);
  }
  test_faults ();
  return tap_done ();
}
