/* store/raw.h -- HDF5 with every call checked; for this room, data and import.
 *
 * Failures become fail () with file, path inside it, and HDF5's own innermost
 * message; the library itself prints nothing.  HDF5 is called by one thread at
 * a time: the training's, or the one that writes checkpoints beside it. Whoever
 * may meet the other goes through the door (store_h5_enter), and stays only for
 * what is short.
 */
#ifndef STORE_RAW_H
#define STORE_RAW_H

#include "base/status.h"
#include "base/tensor.h"
#include "base/text.h"
#include <hdf5.h>
#include <stdbool.h>
#include <stdint.h>

#define STORE_H5_DIMS 8

struct wire;

/* An open object and the words by which messages speak of it. */
struct store_h5_at {
  hid_t id;
  const char *file; /* name of the file */
  const char *path; /* path inside it, "/" for the root */
  enum status bad;  /* E_DATA, E_CHECKPOINT, or E_IO when writing */
};

/* The door: one thread at a time; a thread may enter again inside. */
void
store_h5_enter (void);
void
store_h5_leave (void);

/* Start the library and silence it.  May be called any number of times. */
void
store_h5_start (void);
/* HDF5's innermost words about the call that has just failed; buf is returned.
 */
const char *
store_h5_why (char buf[256]);

/* HDF5's word for numbers in the file, or in memory; not to be closed. */
hid_t
store_h5_type (enum tensor_type type, bool in_file);

/* Properties of a file that is only read; owned by the caller. */
hid_t
store_h5_read_access (void);
/* The same for a file that the ranks of a node open together; *transfer:
 * properties of collective transfers, owned by the caller in any case.  False
 * where there is no parallel access. */
bool
store_h5_node (struct wire *w, hid_t access, hid_t *transfer);
/* Open for reading by the serial driver.  E_MISSING when there is no such file
 * or it may not be read, bad when it is no HDF5 file or cut off,
 * E_MEMORY for want of descriptors. */
enum status
store_h5_open (const char *path, enum status bad, hid_t *file);
/* Whether a file begins as HDF5 files do, be it whole or not. */
bool
store_h5_signed (const char *path);
/* True when every link of an absolute path exists, or one of them leads out of
 * the file. */
bool
store_h5_has (hid_t file, const char *path);
/* True for a group of that path. */
bool
store_h5_is_group (hid_t file, const char *path);
/* at->bad when a link on the way to at->path leads to another file. */
enum status
store_h5_inside (hid_t file, const struct store_h5_at *at);
/* Open the dataset at->path as at->id.  at->bad when it is missing, or has no
 * values in this file that can be read: behind an external link, virtual, with
 * raw data elsewhere, compressed by a filter that is not here.  beside: raw
 * data may lie in a regular file of the same folder. */
enum status
store_h5_set_open (hid_t file, bool beside, struct store_h5_at *at);
/* at->bad when not all values of an open dataset were ever written. */
enum status
store_h5_written (const struct store_h5_at *at);
/* Whether the values lie in the file in one piece, as they are. */
bool
store_h5_is_plain (const struct store_h5_at *at);

/* Length of the file that an object is in; 0 when it cannot be told. */
int64_t
store_h5_file_bytes (hid_t id);

bool
store_h5_has_attribute (hid_t id, const char *name);
/* A string of fixed or variable length; *out is owned by the caller. */
enum status
store_h5_get_text (const struct store_h5_at *at, const char *name, char **out);
/* A list of strings, joined by newlines. */
enum status
store_h5_get_texts (const struct store_h5_at *at, const char *name,
                    struct text *joined, int *n);
enum status
store_h5_get_int (const struct store_h5_at *at, const char *name, int64_t *out);
/* How many values an attribute has; 0: there is none. */
int64_t
store_h5_count (const struct store_h5_at *at, const char *name);
/* Exactly n numbers. */
enum status
store_h5_get_doubles (const struct store_h5_at *at, const char *name, int n,
                      double *out);

enum status
store_h5_put_text (const struct store_h5_at *at, const char *name,
                   const char *value);
enum status
store_h5_put_texts (const struct store_h5_at *at, const char *name, int n,
                    const char *const *values);
enum status
store_h5_put_int (const struct store_h5_at *at, const char *name,
                  int64_t value);
enum status
store_h5_put_doubles (const struct store_h5_at *at, const char *name, int n,
                      const double *value);

/* Dims of an open dataset (at most STORE_H5_DIMS).  Fails where they promise
 * more than the file can hold, so that memory may be asked for by them. */
enum status
store_h5_shape (const struct store_h5_at *at, int *n_dims, int64_t *dims);
/* "[128, 3, 32, 32]"; one of four rotating buffers. */
const char *
store_h5_shape_text (int n_dims, const int64_t *dims);

/* Properties of everything we write: readable by HDF5 1.8 and later, no times,
 * contiguous, not filled before it is written. */
hid_t
store_h5_file_access (void);
hid_t
store_h5_object_create (void);
hid_t
store_h5_data_create (void);

#endif
