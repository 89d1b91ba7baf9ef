/* base/hash.c -- digests by XXH3 of libxxhash. */
#include "base/hash.h"
#include <string.h>
#include <xxhash.h>

uint64_t
hash_bytes (const void *data, size_t n, uint64_t seed)
{
  return XXH3_64bits_withSeed (data, n, seed);
}

uint64_t
hash_text (const char *text, uint64_t seed)
{
  return hash_bytes (text, strlen (text), seed);
}

void
hash_digest (const void *data, size_t n, char out[33])
{
  static const char digits[] = "0123456789abcdef";
  XXH128_hash_t h = XXH3_128bits (data, n);
  for (int i = 0; i < 32; i++) {
    uint64_t half = i < 16 ? h.high64 : h.low64;
    out[i] = digits[half >> (60 - 4 * (i % 16)) & 15];
  }
  out[32] = '\0';
}
