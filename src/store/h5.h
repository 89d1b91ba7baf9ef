/* store/h5.h -- the library of files, and what is asked of any of its files.
 *
 * HDF5 ids stay in this room; data and import see them by store/raw.h.
 * Local.
 */
#ifndef STORE_H5_H
#define STORE_H5_H

#include "base/status.h"
#include "base/tensor.h"
#include <stddef.h>
#include <stdint.h>

/* Start the library of files before MPI: it would end itself in MPI_Finalize
 * otherwise, and crash there when a file could not be closed, as on a full
 * disk. Local. */
void
store_start (void);
const char *
store_describe (void); /* "HDF5 1.10.8 (parallel)" */

/* "dataset", "checkpoint" or "" for a file. */
enum status
store_file_kind (const char *path, char kind[16]);

/* -- results --------------------------------------------------------------- */

struct store_array { /* written as f64 */
  char path[64];     /* "/cka", "/eigenvalues/3" */
  int n_dims;
  int64_t dims[TENSOR_DIMS];
  const double *data; /* borrowed */
};
struct store_results { /* all borrowed */
  const char *format;  /* root attribute interlock_format; version is 1 */
  int n_texts, n_rows, n_arrays;
  const char *const (*texts)[2]; /* root attributes: name, value */
  const char *const *rows;       /* root attribute rows: a list of strings */
  const struct store_array *arrays;
};
/* The bytes of an HDF5 file of them; *data is owned by the caller.  E_MEMORY.
 */
enum status
store_results_make (const struct store_results *r, char **data, size_t *size);

#endif
