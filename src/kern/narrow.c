/* kern/narrow.c -- bf16: numbers of 16 bits, the upper half of an f32.
 *
 * A kern that computes in bf16 keeps tensors as f32 whose values are bf16's;
 * who rounds what is told in doc/precision.md.  Rounding is to the nearest, of
 * two equally near ones to the even one; what is beyond the largest becomes
 * infinity, and a NaN stays one.
 */
#include "kern/kern_impl.h"

#define UNIT 0x8000u /* half of the last place that stays */

void
kern_precision_set (struct kern *k, enum kern_precision p)
{
  CHECK (k->scratch_bytes == 0 && k->side_bytes == 0,
         "the precision of kernels that were made");
  k->precision = p;
}

enum kern_precision
kern_precision (const struct kern *k)
{
  return k->precision;
}

/* Nearest, ties to even: 0x7fff and the last bit that stays carry into it
 * whatever is above its half.  The carry would make a NaN with low bits alone
 * an infinity, so a NaN is made quiet and cut instead. */
__attribute__ ((always_inline)) static inline uint32_t
rounded (uint32_t u)
{
  const uint32_t near = u + (UNIT - 1) + ((u >> 16) & 1);
  const bool nan = (u & 0x7fffffffu) > 0x7f800000u;
  return (nan ? u | 0x00400000u : near) & 0xffff0000u;
}

KERN_CLONES static void
round_some (size_t n, const float *x, float *y)
{
#pragma omp simd
  for (size_t i = 0; i < n; i++) {
    uint32_t u;
    memcpy (&u, &x[i], sizeof u);
    u = rounded (u);
    memcpy (&y[i], &u, sizeof u);
  }
}

void
kern_round (struct kern *k, size_t n, const float *x, float *y)
{
  KERN_UNITS (k, n, round_some (m, x + at, y + at));
}

/* -- packed ---------------------------------------------------------------- */

KERN_CLONES static void
pack_some (size_t n, const float *x, uint16_t *y)
{
#pragma omp simd
  for (size_t i = 0; i < n; i++) {
    uint32_t u;
    memcpy (&u, &x[i], sizeof u);
    y[i] = (uint16_t)(u >> 16);
  }
}

void
kern_pack (struct kern *k, size_t n, const float *x, uint16_t *y)
{
  KERN_UNITS (k, n, pack_some (m, x + at, y + at));
}

/* One after the other: each is written where those before it were read. */
static void
pack_first (size_t n, float *x)
{
  char *y = (char *)x;
  for (size_t i = 0; i < n; i++) {
    uint32_t u;
    memcpy (&u, &x[i], sizeof u);
    const uint16_t high = (uint16_t)(u >> 16);
    memcpy (y + i * sizeof high, &high, sizeof high);
  }
}

/* Numbers n .. 2 n - 1 go to where n / 2 .. n - 1 were, which are packed
 * already: so each round may be shared among threads. */
void
kern_pack_over (struct kern *k, size_t n, float *x)
{
  size_t done = n < KERN_CHUNK ? n : KERN_CHUNK;
  pack_first (done, x);
  while (done < n) {
    const size_t more = n - done < done ? n - done : done;
    kern_pack (k, more, x + done, (uint16_t *)(void *)x + done);
    done += more;
  }
}

KERN_CLONES static void
unpack_some (size_t n, const uint16_t *x, float *y)
{
#pragma omp simd
  for (size_t i = 0; i < n; i++) {
    const uint32_t u = (uint32_t)x[i] << 16;
    memcpy (&y[i], &u, sizeof u);
  }
}

/* The first half of what is left comes to lie in front of what is not read. */
void
kern_unpack_over (struct kern *k, size_t n, float *x)
{
  const uint16_t *packed = (uint16_t *)(void *)x + n;
  size_t done = 0;
  while (n - done > KERN_CHUNK) {
    const size_t more = (n - done) / 2;
    KERN_UNITS (k, more, unpack_some (m, packed + done + at, x + done + at));
    done += more;
  }
  for (; done < n; done++) {
    const uint32_t u = (uint32_t)packed[done] << 16;
    memcpy (&x[done], &u, sizeof u);
  }
}
