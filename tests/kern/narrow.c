/* ranks: 0 */
/* tests/kern/narrow.c -- rounding to bf16 against its definition, on all of its
 * numbers and what lies between them; tensors that are packed and come back;
 * and products of numbers of 16 bits, by kernels for them where there are any.
 */
#include "base/fault.h"
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

/* -- products ----------------------------------------------------------------
 */

static float *
narrow (struct kern *k, size_t n, uint64_t tag)
{
  float *x = noise (n, tag);
  kern_round (k, n, x, x);
  return x;
}

/* c [m, n] against a [m, inner] b [inner, n]; distances between neighbours
 * along rows and columns.  fault: in one number, half a place of bf16. */
static bool
is_product (int64_t m, int64_t inner, int64_t n, const float *a, int64_t ar,
            int64_t ac, const float *b, int64_t br, int64_t bc, double before,
            const float *bias, const float *c, bool fault)
{
  bool good = true;
  for (int64_t i = 0; i < m; i++)
    for (int64_t j = 0; j < n; j++) {
      double want = before + (bias ? bias[j] : 0), size = fabs (want);
      for (int64_t l = 0; l < inner; l++) {
        const double t = (double)a[i * ar + l * ac] * b[l * br + j * bc];
        want += t;
        size += fabs (t);
      }
      if (fault && i == m / 2 && j == n / 2)
        want += size * 0x1p-9;
      good = good &&
             fabs (c[i * n + j] - want) <= size * rounding ((double)inner + 2);
    }
  return good;
}

/* In 16 bits or in f32, the sums are those of the factors as they are. */
static void
test_products (struct kern *k, int64_t n, int64_t in, int64_t out, bool bias)
{
  const struct kern_linear_shape shape = {.n = n,
                                          .in = in,
                                          .out = out,
                                          .bias = bias,
                                          .learns = true,
                                          .primitives = true};
  struct kern_linear *l = NULL;
  float *x = narrow (k, (size_t)(n * in), 1);
  float *w = narrow (k, (size_t)(out * in), 2);
  float *d_y = narrow (k, (size_t)(n * out), 3);
  float *b = noise ((size_t)out, 4), *y = floats ((size_t)(n * out));
  float *d_x = floats ((size_t)(n * in)), *d_w = floats ((size_t)(out * in));
  MUST (kern_linear_create (k, &shape, NULL, &l));
  MUST (kern_seal (k));
  kern_linear_refresh (l, w);
  mem_close ();
  MUST (kern_linear_run (l, n, x, w, bias ? b : NULL, y));
  MUST (kern_linear_run_data (l, n, d_y, w, d_x));
  mem_open ();
  tap_ok (
      is_product (n, in, out, x, in, 1, w, 1, in, 0, bias ? b : NULL, y,
                  false) &&
          is_product (n, out, in, d_y, out, 1, w, in, 1, 0, NULL, d_x, false),
      "%d rows of %d to %d%s, and back: %s", (int)n, (int)in, (int)out,
      bias ? ", bias" : "", kern_native (k) ? "16 bits" : "rounded");
  tap_ok (
      !is_product (n, in, out, x, in, 1, w, 1, in, 0, bias ? b : NULL, y, true),
      "half a place of bf16 in one of them is noticed");
  bool right = true;
  for (int add = 0; add < 2; add++) {
    for (int64_t i = 0; i < out * in; i++)
      d_w[i] = add ? 3 : NAN;
    MUST (kern_linear_run_weights (l, n, x, d_y, add, d_w, NULL));
    right = right && is_product (out, n, in, d_y, 1, out, x, in, 1, add * 3,
                                 NULL, d_w, false);
  }
  tap_ok (right, "gradients of the weights, set and added");
  kern_linear_destroy (&l);
  mem_free (&x);
  mem_free (&w);
  mem_free (&d_y);
  mem_free (&b);
  mem_free (&y);
  mem_free (&d_x);
  mem_free (&d_w);
}

/* A kernel of 16 bits that a proof finds wrong gives way to one of f32. */
static void
test_dropped (void)
{
  struct kern *k = NULL;
  MUST (kern_open (1, &k));
  kern_precision_set (k, KERN_BF16);
  if (kern_native (k)) {
    int wrong = 0;
    fault_plant ("verdict:3");
    test_products (k, 48, 80, 96, true);
    fault_plant ("");
    for (int i = 0; i < kern_proof_count (k); i++)
      wrong += !kern_proof_at (k, i).right;
    tap_ok (wrong == 1, "%d kernel of %d was dropped", wrong,
            kern_proof_count (k));
  }
  kern_close (&k);
}

static void
all_products (int threads)
{
  struct kern *k = NULL;
  MUST (kern_open (threads, &k));
  kern_precision_set (k, KERN_BF16);
  test_products (k, 1, 1, 1, false);
  test_products (k, 33, 19, 47, true);
  test_products (k, 64, 256, 192, false);
  test_products (k, 40, 100, 700, true);
  test_products (k, 500, 32, 16, true);
  kern_close (&k);
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
  all_products (1);
  all_products (2);
  test_dropped ();
  return tap_done ();
}
