/* store/tokens_impl.h -- what writer and reader of token sets agree on. */
#ifndef STORE_TOKENS_IMPL_H
#define STORE_TOKENS_IMPL_H

#include <stddef.h>
#include <stdint.h>

/* The digest of tokens: XXH3 of each block with that of the one before as its
 * seed, so that neither side needs them all in memory. */
#define TOKENS_BLOCK_BYTES ((size_t)1 << 20)
#define TOKENS_DIGEST_SEED 1
/* The tokenizer's model, bytes as its own program reads them. */
#define TOKENS_MODEL "/tokenizer_model"

#endif
