/* ranks: 0 */
/* tests/base/random.c -- the cipher against published answers, and what is made
 * of it against probability. */
#include "base/random.h"
#include "base/hash.h"
#include "base/memory.h"
#include "tests/tap.h"

/* The vectors that Salmon et al. publish with their paper for philox4x32-10:
 * zeros, ones, and digits of pi. */
static const struct {
  uint32_t counter[4], key[2], out[4];
} known[] = {
    {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
    {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
     {0xffffffff, 0xffffffff},
     {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
    {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
     {0xa4093822, 0x299f31d0},
     {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
};

static void
test_known (void)
{
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
    uint32_t out[4], key[2] = {known[i].key[0], known[i].key[1]};
    random_philox (known[i].counter, key, out);
    tap_ok (memcmp (out, known[i].out, sizeof out) == 0, "published answer %zu",
            i);
    key[1] ^= 1; /* a fault that must be seen */
    random_philox (known[i].counter, key, out);
    tap_ok (memcmp (out, known[i].out, sizeof out) != 0,
            "another key misses answer %zu", i);
  }
}

static struct random_key
key_of (uint64_t seed)
{
  return (struct random_key){seed, RANDOM_TEST, 3, 4};
}

static void
test_forms (void)
{
  struct random_key key = key_of (1);
  bool words = true, doubles = true, order = true;
  for (uint64_t i = 0; i < 100; i++) {
    uint32_t block[4];
    random_block (&key, i / 4, block);
    words = words && random_u32 (&key, i) == block[i % 4];
    random_block (&key, i / 2, block);
    uint64_t bits = i % 2 == 0 ? (uint64_t)block[1] << 32 | block[0]
                               : (uint64_t)block[3] << 32 | block[2];
    doubles = doubles &&
              random_uniform (&key, i) == ldexp ((double)(bits / 2048), -53);
    order =
        order && random_normal (&key, 99 - i) == random_normal (&key, 99 - i);
  }
  tap_ok (words, "32-bit numbers are the words of the blocks");
  tap_ok (doubles, "doubles are 53 bits of two words");
  tap_ok (order, "any order gives the same");
}

/* Flipping any bit of seed, purpose, a, b or index changes half of the 128
 * output bits on average. */
static void
test_avalanche (void)
{
  static const char *const names[] = {"seed", "purpose", "a", "b", "index"};
  for (int field = 0; field < 5; field++) {
    double flips = 0;
    int n = 0, n_bits = field == 1 ? 32 : 64, least = 128;
    for (uint64_t trial = 0; trial < 20; trial++)
      for (int bit = 0; bit < n_bits; bit++) {
        struct random_key key = {trial, RANDOM_TEST, 7 * trial, 11 * trial};
        uint64_t index = trial * 13;
        uint32_t before[4], after[4];
        random_block (&key, index, before);
        uint64_t one = UINT64_C (1) << bit;
        key.seed ^= field == 0 ? one : 0;
        key.purpose ^= field == 1 ? (uint32_t)one : 0;
        key.a ^= field == 2 ? one : 0;
        key.b ^= field == 3 ? one : 0;
        index ^= field == 4 ? one : 0;
        random_block (&key, index, after);
        int changed = 0;
        for (int w = 0; w < 4; w++)
          changed += __builtin_popcount (before[w] ^ after[w]);
        least = changed < least ? changed : least;
        flips += changed;
        n++;
      }
    /* Standard deviation of one count is sqrt (128) / 2 = 5.7. */
    tap_near (flips / n, 64, 5 * 5.7 / sqrt (n), "flips by %s", names[field]);
    tap_ok (least > 64 - 7 * 5.7, "every bit of %s matters", names[field]);
  }
}

static void
test_moments (void)
{
  struct random_key key = key_of (5);
  const int n = 100000;
  double u1 = 0, u2 = 0, z1 = 0, z2 = 0, z4 = 0, pair = 0;
  bool inside = true, finite = true;
  for (int i = 0; i < n; i++) {
    double u = random_uniform (&key, (uint64_t)i);
    double z = random_normal (&key, (uint64_t)i);
    inside = inside && u >= 0 && u < 1;
    finite = finite && isfinite (z);
    u1 += u;
    u2 += (u - 0.5) * (u - 0.5);
    z1 += z;
    z2 += z * z;
    z4 += z * z * z * z;
    if (i % 2 == 1)
      pair += z * random_normal (&key, (uint64_t)i - 1);
  }
  double root = sqrt (n); /* limits: 5 standard deviations of each mean */
  tap_ok (inside, "0 <= uniform < 1");
  tap_ok (finite, "normal numbers are finite");
  tap_near (u1 / n, 0.5, 5 * sqrt (1 / 12.0) / root, "uniform: mean");
  tap_near (u2 / n, 1 / 12.0, 5 * sqrt (1 / 180.0) / root, "uniform: variance");
  tap_near (z1 / n, 0, 5 / root, "normal: mean");
  tap_near (z2 / n, 1, 5 * sqrt (2) / root, "normal: variance");
  tap_near (z4 / n, 3, 5 * sqrt (96) / root, "normal: fourth moment");
  tap_near (pair / (n / 2), 0, 5 / sqrt (n / 2), "normal: pairs");
}

/* The normal numbers below x are the fraction Phi (x). */
static void
test_distribution (void)
{
  struct random_key key = key_of (6);
  const int n = 50000;
  for (double x = -2; x <= 2; x += 1) {
    int below = 0;
    for (int i = 0; i < n; i++)
      below += random_normal (&key, (uint64_t)i) < x;
    double p = 0.5 * erfc (-x / sqrt (2));
    tap_near (below / (double)n, p, 5 * sqrt (p * (1 - p) / n),
              "normal numbers below %g", x);
  }
}

static double
chi_square (const int *count, int n_bins, double expected)
{
  double sum = 0;
  for (int i = 0; i < n_bins; i++)
    sum += (count[i] - expected) * (count[i] - expected) / expected;
  return sum;
}

static void
test_below (void)
{
  struct random_key key = key_of (7);
  int count[7] = {0};
  bool inside = true;
  for (uint64_t i = 0; i < 70000; i++) {
    uint64_t x = random_below (&key, i, 7);
    inside = inside && x < 7;
    if (x < 7)
      count[x]++;
  }
  tap_ok (inside, "random_below stays below");
  /* 6 degrees of freedom: 30 is beyond the 1 in 25,000 point. */
  tap_ok (chi_square (count, 7, 10000) < 30, "random_below is even");
  count[3] += 1000; /* a fault that must be seen */
  tap_ok (chi_square (count, 7, 10000) > 30, "an uneven count is noticed");
  tap_ok (random_below (&key, 0, 1) == 0, "below 1 there is only 0");
}

static void
test_permutation (void)
{
  static const size_t sizes[] = {0, 1, 2, 3, 17, 1000};
  for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
    struct random_key key = key_of (8);
    int64_t p[1000];
    bool seen[1000] = {false}, each = true;
    random_permutation (&key, p, sizes[s]);
    for (size_t i = 0; i < sizes[s]; i++) {
      each = each && p[i] >= 0 && (size_t)p[i] < sizes[s] && !seen[p[i]];
      if (each)
        seen[p[i]] = true;
    }
    tap_ok (each, "a permutation of %zu has each number once", sizes[s]);
  }
  /* All 24 orders of 4 things are as likely. */
  int count[256] = {0}, folded[24], n = 0;
  for (uint64_t i = 0; i < 24000; i++) {
    struct random_key key = key_of (1000 + i);
    int64_t p[4];
    random_permutation (&key, p, 4);
    count[p[0] + 4 * p[1] + 16 * p[2] + 64 * p[3]]++;
  }
  for (int i = 0; i < 256; i++)
    if (count[i] > 0 && n < 24)
      folded[n++] = count[i];
  tap_ok (n == 24, "all 24 orders of 4 appear");
  /* 23 degrees of freedom: 60 is beyond the 1 in 20,000 point. */
  tap_ok (n == 24 && chi_square (folded, 24, 1000) < 60,
          "the 24 orders are as likely");
}

static void
test_hash (void)
{
  /* Published answers of XXH3 for no input at all. */
  char digest[33];
  hash_digest ("", 0, digest);
  tap_ok (hash_text ("", 0) == UINT64_C (0x2d06800538d394c2),
          "XXH3 of nothing, 64 bits");
  tap_ok (strcmp (digest, "99aa06d3014798d86001c324468d497f") == 0,
          "XXH3 of nothing, 128 bits");
  char data[1000] = "some text";
  hash_digest (data, sizeof data, digest);
  uint64_t before = hash_bytes (data, sizeof data, 1);
  char again[33];
  data[777] ^= 1;
  hash_digest (data, sizeof data, again);
  tap_ok (hash_bytes (data, sizeof data, 1) != before &&
              strcmp (digest, again) != 0,
          "one flipped bit is noticed");
  tap_ok (hash_text ("a", 1) != hash_text ("a", 2), "the seed matters");
  struct hash_stream *h = NULL;
  char pieces[33] = "";
  if (hash_stream_open (&h) == OK) {
    for (size_t i = 0, n = 1; i < sizeof data; i += n, n = n * 2 + 1)
      hash_stream_add (h, data + i, sizeof data - i < n ? sizeof data - i : n);
    hash_stream_digest (h, pieces);
  }
  hash_stream_close (&h);
  tap_ok (strcmp (pieces, again) == 0, "in pieces it is the same digest");
}

int
main (void)
{
  test_known ();
  test_forms ();
  test_avalanche ();
  test_moments ();
  test_distribution ();
  test_below ();
  test_permutation ();
  test_hash ();
  return tap_done ();
}
