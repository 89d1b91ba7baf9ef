/* base/random.c -- Philox4x32-10 and what is made of it.
 *
 * Key of the cipher: seed, purpose and a, mixed to 64 bits.  Counter: index and
 * b, as they are, so that two samples (b) of one stream never collide.
 */
#include "base/random.h"
#include <math.h>

/* Constants of the paper, section 4.3: multipliers, then the Weyl steps by
 * which the key moves between rounds. */
#define PHILOX_M0 UINT32_C (0xD2511F53)
#define PHILOX_M1 UINT32_C (0xCD9E8D57)
#define PHILOX_W0 UINT32_C (0x9E3779B9)
#define PHILOX_W1 UINT32_C (0xBB67AE85)

void
random_philox (const uint32_t counter[4], const uint32_t key[2],
               uint32_t out[4])
{
  uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
  uint32_t k0 = key[0], k1 = key[1];
  for (int round = 0; round < 10; round++) {
    uint64_t p0 = (uint64_t)PHILOX_M0 * c0;
    uint64_t p1 = (uint64_t)PHILOX_M1 * c2;
    uint32_t d0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
    uint32_t d2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
    c1 = (uint32_t)p1;
    c3 = (uint32_t)p0;
    c0 = d0;
    c2 = d2;
    k0 += PHILOX_W0;
    k1 += PHILOX_W1;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}

/* A bijection of 64 bits in which every input bit moves about half of the
 * output bits (the finaliser of SplitMix64).  It maps 0 to 0: key_words adds a
 * constant first, so that seed 0 is as good as any other. */
static uint64_t
mix (uint64_t x)
{
  x ^= x >> 30;
  x *= UINT64_C (0xBF58476D1CE4E5B9);
  x ^= x >> 27;
  x *= UINT64_C (0x94D049BB133111EB);
  return x ^ (x >> 31);
}

static void
key_words (const struct random_key *key, uint32_t k[2])
{
  uint64_t h = mix (key->seed + UINT64_C (0x9E3779B97F4A7C15));
  h = mix (h + key->purpose);
  h = mix (h + key->a);
  k[0] = (uint32_t)h;
  k[1] = (uint32_t)(h >> 32);
}

void
random_block (const struct random_key *key, uint64_t index, uint32_t out[4])
{
  uint32_t k[2];
  key_words (key, k);
  const uint32_t c[4] = {(uint32_t)index, (uint32_t)(index >> 32),
                         (uint32_t)key->b, (uint32_t)(key->b >> 32)};
  random_philox (c, k, out);
}

/* LANES ciphers side by side, so that the compiler can make vectors; c and out
 * are [4][LANES]. */
#define LANES 16
static void
philox_lanes (uint32_t c[4][LANES], uint32_t k0, uint32_t k1)
{
  for (int round = 0; round < 10; round++) {
#pragma omp simd
    for (int i = 0; i < LANES; i++) {
      uint64_t p0 = (uint64_t)PHILOX_M0 * c[0][i];
      uint64_t p1 = (uint64_t)PHILOX_M1 * c[2][i];
      c[0][i] = (uint32_t)(p1 >> 32) ^ c[1][i] ^ k0;
      c[2][i] = (uint32_t)(p0 >> 32) ^ c[3][i] ^ k1;
      c[1][i] = (uint32_t)p1;
      c[3][i] = (uint32_t)p0;
    }
    k0 += PHILOX_W0;
    k1 += PHILOX_W1;
  }
}

void
random_blocks (const struct random_key *key, uint64_t first, size_t n,
               uint32_t *out)
{
  uint32_t k[2];
  key_words (key, k);
  for (size_t at = 0; at < n; at += LANES) {
    uint32_t c[4][LANES];
    size_t m = n - at < LANES ? n - at : LANES;
    for (size_t i = 0; i < LANES; i++) {
      uint64_t index = first + at + i;
      c[0][i] = (uint32_t)index;
      c[1][i] = (uint32_t)(index >> 32);
      c[2][i] = (uint32_t)key->b;
      c[3][i] = (uint32_t)(key->b >> 32);
    }
    philox_lanes (c, k[0], k[1]);
    for (size_t i = 0; i < m; i++)
      for (int w = 0; w < 4; w++)
        out[4 * (at + i) + (size_t)w] = c[w][i];
  }
}

uint32_t
random_u32 (const struct random_key *key, uint64_t i)
{
  uint32_t w[4];
  random_block (key, i / 4, w);
  return w[i % 4];
}

static uint64_t
join (uint32_t low, uint32_t high)
{
  return (uint64_t)high << 32 | low;
}

static uint64_t
random_u64 (const struct random_key *key, uint64_t i)
{
  uint32_t w[4];
  random_block (key, i / 2, w);
  return i % 2 == 0 ? join (w[0], w[1]) : join (w[2], w[3]);
}

/* The upper 53 bits: every multiple of 2^-53 in [0, 1) is as likely. */
static double
unit (uint64_t bits)
{
  return (double)(bits >> 11) * 0x1p-53;
}

double
random_uniform (const struct random_key *key, uint64_t i)
{
  return unit (random_u64 (key, i));
}

double
random_normal (const struct random_key *key, uint64_t i)
{
  uint32_t w[4];
  random_block (key, i / 2, w);
  /* unit may be 0 but never 1, so this logarithm is always finite. */
  double radius = sqrt (-2.0 * log (1.0 - unit (join (w[0], w[1]))));
  double angle = 6.283185307179586476925 * unit (join (w[2], w[3]));
  return radius * (i % 2 == 0 ? cos (angle) : sin (angle));
}

uint64_t
random_below (const struct random_key *key, uint64_t i, uint64_t n)
{
  /* The upper half of the product: a division would be slower, and the bias of
   * some values is below n / 2^64. */
  __extension__ unsigned __int128 wide = random_u64 (key, i);
  return (uint64_t)(wide * n >> 64);
}

void
random_permutation (const struct random_key *key, int64_t *out, size_t n)
{
  for (size_t i = 0; i < n; i++)
    out[i] = (int64_t)i;
  for (size_t i = n; i-- > 1;) {
    size_t j = (size_t)random_below (key, i, i + 1);
    int64_t other = out[j];
    out[j] = out[i];
    out[i] = other;
  }
}
