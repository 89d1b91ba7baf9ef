/* base/random.h -- counter-based random numbers: no state, any order.
 *
 * Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy
 * as 1, 2, 3", SC'11).  A number is a function of (seed, purpose, a, b, index)
 * alone, so that ranks agree without talking and a restart needs no state.
 */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

enum random_purpose { /* never renumber: results depend on it */
                      RANDOM_INIT = 1,
                      RANDOM_ORDER = 2,
                      RANDOM_AUGMENT = 3,
                      RANDOM_DROPOUT = 4,
                      RANDOM_SYNTHETIC = 5,
                      RANDOM_TEST = 6,
                      RANDOM_POSITIONS = 7,
                      RANDOM_WINDOW = 8,
                      RANDOM_SAMPLE = 9,
                      RANDOM_PROBE = 10,
                      RANDOM_SPLIT = 11
};

struct random_key {
  uint64_t seed;
  uint32_t purpose;
  uint64_t a, b; /* e.g. hash of a tensor name; epoch and sample */
};

/* The bare cipher, as in the paper. */
void
random_philox (const uint32_t counter[4], const uint32_t key[2],
               uint32_t out[4]);

/* Four 32-bit words of block `index`. */
void
random_block (const struct random_key *key, uint64_t index, uint32_t out[4]);
/* Blocks first .. first + n - 1, one behind the other: out [4 n]. */
void
random_blocks (const struct random_key *key, uint64_t first, size_t n,
               uint32_t *out);
/* Number i: 32 bits; double in [0,1) with 53 bits; standard normal
 * (Box-Muller in double). */
uint32_t
random_u32 (const struct random_key *key, uint64_t i);
double
random_uniform (const struct random_key *key, uint64_t i);
double
random_normal (const struct random_key *key, uint64_t i);
/* Integer in 0 .. n-1, without bias worth mention (64-bit multiply). */
uint64_t
random_below (const struct random_key *key, uint64_t i, uint64_t n);
/* out[0..n-1] = a permutation of 0 .. n-1 (Fisher-Yates). */
void
random_permutation (const struct random_key *key, int64_t *out, size_t n);

#endif
