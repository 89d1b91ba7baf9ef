/* base/hash.h -- digests of memory and text (XXH3, libxxhash).
 *
 * For noticing damage and differences, not for security.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t
hash_bytes (const void *data, size_t n, uint64_t seed);
uint64_t
hash_text (const char *text, uint64_t seed);
/* 128 bits as 32 hexadecimal digits and a NUL. */
void
hash_digest (const void *data, size_t n, char out[33]);

#endif
