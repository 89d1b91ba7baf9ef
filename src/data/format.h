/* data/format.h -- what writer and reader of data sets agree on. */
#ifndef DATA_FORMAT_H
#define DATA_FORMAT_H

#include "store/raw.h"
#include <stddef.h>
#include <stdint.h>

/* The digest of tokens: XXH3 of each block with that of the one before as its
 * seed, so that neither side needs them all in memory. */
#define TOKENS_BLOCK_BYTES ((size_t)1 << 20)
#define TOKENS_DIGEST_SEED 1
/* The tokenizer's model, bytes as its own program reads them. */
#define TOKENS_MODEL "/tokenizer_model"

/* Beside images, jpeg or tokens: digests of their blocks, XXH3 with the number
 * of the block as its seed; of JPEG images each is a block. */
#define DATA_BLOCKS "digests"
#define DATA_BLOCK_BYTES ((size_t)1 << 16)

/* Write the digest of the whole, and the digests of blocks where they are not
 * there, into a file that has everything else. */
enum status
data_seal_write (hid_t file, const char *part);
/* block_bytes 0: not of equal size. */
enum status
data_blocks_write (hid_t file, const char *part, const char *path,
                   const uint64_t *digests, int64_t n, int64_t block_bytes);

#endif
