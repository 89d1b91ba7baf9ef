/* base/hash.h -- digests of memory and text (XXH3, libxxhash).
 *
 * For noticing damage and differences, not for security.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/status.h"
#include <stddef.h>
#include <stdint.h>

uint64_t
hash_bytes (const void *data, size_t n, uint64_t seed);
uint64_t
hash_text (const char *text, uint64_t seed);
/* 128 bits as 32 hexadecimal digits and a NUL. */
void
hash_digest (const void *data, size_t n, char out[33]);

/* Of the file that this process runs, which holds all of our own code;
 * "unknown" where the system does not show it.  Read once. */
const char *
hash_program (void);

/* The digest of data that come in pieces: the same as of all at once. */
struct hash_stream;
enum status
hash_stream_open (struct hash_stream **out);
void
hash_stream_add (struct hash_stream *h, const void *data, size_t n);
void
hash_stream_digest (const struct hash_stream *h, char out[33]);
void
hash_stream_close (struct hash_stream **h);

#endif
