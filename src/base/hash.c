/* base/hash.c -- digests by XXH3 of libxxhash. */
#include "base/hash.h"
#include "base/memory.h"
#include <stdio.h>
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

static void
write_digest (XXH128_hash_t h, char out[33])
{
  static const char digits[] = "0123456789abcdef";
  for (int i = 0; i < 32; i++) {
    uint64_t half = i < 16 ? h.high64 : h.low64;
    out[i] = digits[half >> (60 - 4 * (i % 16)) & 15];
  }
  out[32] = '\0';
}

void
hash_digest (const void *data, size_t n, char out[33])
{
  write_digest (XXH3_128bits (data, n), out);
}

struct hash_stream {
  XXH3_state_t *state;
};

enum status
hash_stream_open (struct hash_stream **out)
{
  struct hash_stream *h = NULL;
  TRY (MEM_NEW (1, &h, "digest"));
  h->state = XXH3_createState ();
  if (h->state && XXH3_128bits_reset (h->state) == XXH_OK) {
    *out = h;
    return OK;
  }
  hash_stream_close (&h);
  return fail (E_MEMORY, "no memory for a digest");
}

void
hash_stream_add (struct hash_stream *h, const void *data, size_t n)
{
  CHECK (XXH3_128bits_update (h->state, data, n) == XXH_OK, "a digest fails");
}

void
hash_stream_digest (const struct hash_stream *h, char out[33])
{
  write_digest (XXH3_128bits_digest (h->state), out);
}

void
hash_stream_close (struct hash_stream **out)
{
  struct hash_stream *h = *out;
  if (!h)
    return;
  XXH3_freeState (h->state);
  mem_free (out);
}

/* -- the program ----------------------------------------------------------- */

/* False when it cannot be read to its end. */
static bool
digest_file (const char *path, char out[33])
{
  struct hash_stream *h = NULL;
  char piece[65536];
  FILE *f = fopen (path, "re");
  bool good = f && hash_stream_open (&h) == OK;
  size_t n = 1;
  while (good && n > 0) {
    n = fread (piece, 1, sizeof piece, f);
    hash_stream_add (h, piece, n);
  }
  good = good && !ferror (f);
  if (good)
    hash_stream_digest (h, out);
  if (f)
    fclose (f);
  hash_stream_close (&h);
  fail_clear ();
  return good;
}

const char *
hash_program (void)
{
  static char digest[33];
  if (!digest[0] && !digest_file ("/proc/self/exe", digest))
    snprintf (digest, sizeof digest, "unknown");
  return digest;
}
