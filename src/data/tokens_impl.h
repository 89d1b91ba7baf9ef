/* data/tokens_impl.h -- what the tokenizer asks of a data set. */
#ifndef DATA_TOKENS_IMPL_H
#define DATA_TOKENS_IMPL_H

struct data_set;

/* The name of its tokenizer; NULL: there is none, these are no tokens. */
const char *
data_tokens_tokenizer (const struct data_set *d);

#endif
