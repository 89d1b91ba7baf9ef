/* base/processor.h -- which processor this is, as the system tells it. */
#ifndef BASE_PROCESSOR_H
#define BASE_PROCESSOR_H

#include <stddef.h>

/* "model name" of the first one, "" where there is no such line. */
void
processor_name (char *out, size_t size);
/* A digest of all that tells its kind (maker, family, model, stepping, cache):
 * what is measured on one holds for others with the same. */
void
processor_digest (char out[33]);

#endif
