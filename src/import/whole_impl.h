/* import/whole_impl.h -- the file that an import leaves. */
#ifndef IMPORT_WHOLE_IMPL_H
#define IMPORT_WHOLE_IMPL_H

#include "store/raw.h"

/* A new HDF5 file, made whole or not at all: space for bytes is asked for, fill
 * makes what is in it, then it is sealed, synced and renamed from OUTPUT.part.
 * fault_here ("write"). */
enum status
import_whole (const char *output, int64_t bytes,
              enum status (*fill) (void *context, hid_t file, const char *part),
              void *context);

#endif
