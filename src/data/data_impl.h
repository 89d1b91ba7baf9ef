/* data/data_impl.h -- an open data set, as its files see it.
 *
 * HDF5 is called by the thread that opened the set; the loader's thread reads
 * only memory, or the plain file through fd.
 */
#ifndef DATA_DATA_IMPL_H
#define DATA_DATA_IMPL_H

#include "data/data.h"
#include "data/format.h"
#include "store/raw.h"

struct data_entries; /* jpeg_impl.h */
struct data_viewer;

struct data_samples {
  int64_t n;             /* samples, or tokens; 0: no such split */
  int32_t *labels;       /* n; owned */
  bool plain_labels;     /* the file has them in one piece */
  hid_t images;          /* open; -1 when there is no such split */
  int64_t offset;        /* of the pixels in the file, when they lie there as
                            we want them in memory; else -1 */
  unsigned char *pixels; /* n x sample_bytes; owned; NULL when not in memory */
  bool checked;          /* tokens: all are in the vocabulary */
  bool proven;           /* compared with its digest, or it has none */
  uint64_t *blocks;      /* digests of what stays in the file; owned; NULL */
  _Atomic unsigned char *seen;  /* blocks that were compared; owned; NULL */
  bool negative;                /* tokens: the file's type has a sign */
  struct data_entries *entries; /* JPEG images; owned; NULL: pixels */
};

struct data_set {
  char *path;
  hid_t file;
  int fd; /* the same file, for pread */
  struct data_info info;
  char *origin;
  struct text classes; /* names, joined by newlines; may be empty */
  int n_names;
  bool told;             /* that it has no digests */
  bool floats;           /* images are float32, used as they are */
  bool floats_known;     /* a first split has decided floats and shapes */
  int64_t sample_values; /* C x H x W */
  size_t sample_bytes;
  double *mean, *std;   /* C each; NULL for float32 without them */
  float *table;         /* C x 256: byte to normalised value; NULL: floats */
  unsigned char *block; /* block_samples x sample_bytes, for data_read */
  int64_t block_samples;
  struct data_viewer *viewer; /* of JPEG images, for data_read, which makes
                                  it; owned; NULL before */
  bool tokens;      /* a sample is one token, of sample_bytes 2 or 4 */
  bool width_known; /* a first split has decided on sample_bytes */
  char *tokenizer;  /* of tokens: its name; owned */
  int64_t context, stride;
  bool together;        /* labels are read by all ranks at once, later */
  int64_t memory_bytes; /* splits up to this are read to memory */
  struct data_samples split[DATA_SPLITS];
};

/* data_open; together: but for reading labels and for the digest. */
enum status
data_begin (const char *path, bool together, struct data_set **out);
/* Room for all labels of a split as the file has them (type), and as int64. */
enum status
data_labels_room (const struct data_set *d, enum data_split which, hid_t type,
                  void **raw);
/* What was read there from the open dataset id, compared with its digest and
 * checked, as the split's labels; raw is overwritten. */
enum status
data_labels_take (struct data_set *d, enum data_split which, hid_t id,
                  hid_t type, void *raw);
void
data_digest (struct data_set *d);
/* Type of a sample's values in memory; not to be closed. */
hid_t
data_type (const struct data_set *d, enum data_split which);
/* Whether a loader of the split is to have all of it in memory. */
bool
data_fits (const struct data_set *d, enum data_split which);
/* Bring the split to memory where it fits (memory_bytes) or must be (chunked or
 * compressed, which a loader's thread cannot read). */
enum status
data_load (struct data_set *d, enum data_split split);
/* Raw bytes of samples first .. first+n-1.  Calls HDF5 only when the split is
 * neither in memory nor plain in the file. */
enum status
data_raw (const struct data_set *d, enum data_split split, int64_t first,
          int64_t n, unsigned char *out);
/* Open the array of a split's samples, which must have n_dims dimensions, the
 * first at least 1; shape: how the format writes it, "[T]".  Fills
 * split->images and dims; at borrows path. */
enum status
data_array (const struct data_set *d, const char *path, int n_dims,
            const char *shape, struct data_samples *split,
            struct store_h5_at *at, int64_t *dims);
/* -- digests (seal.c, proof.c) --------------------------------------------- */

/* Compare attributes, shapes and list of datasets with the file's digest. */
enum status
data_seal_check (const struct data_set *d);
/* Read the digests of a split's blocks, if it has them, and compare them with
 * their own; what is read of it from the file afterwards is compared. */
enum status
data_blocks_check (struct data_set *d, enum data_split which);
/* Block k, whose n bytes are data. */
enum status
data_block_compare (const struct data_set *d, enum data_split which, int64_t k,
                    const void *data, size_t n);

/* Compare what was computed with the digest that the file keeps of it, if any;
 * adds a line to out unless that is NULL.  E_DATA where they differ. */
enum status
data_compare (const struct store_h5_at *at, const char *digest,
              struct text *out);
/* "/train/images", "/train/jpeg", "/valid/tokens". */
void
data_path (const struct data_set *d, enum data_split which, char out[48]);
/* Where the pixels or tokens lie in the file (split->offset), if they lie as
 * memory wants them; and that they lie inside it.  type: of memory. */
enum status
data_locate (struct data_set *d, const struct store_h5_at *at, hid_t type,
             struct data_samples *split);

/* -- tokens (tokens.c) ----------------------------------------------------- */

/* Header and splits of a set of kind tokens; every token is checked here where
 * a split fits in memory, else when it is read. */
enum status
data_tokens_open (struct data_set *d);
/* Tokens first .. first+n-1 as int32, checked; room: n x sample_bytes of
 * scratch.  Calls HDF5 as data_raw does. */
enum status
data_tokens_read (const struct data_set *d, enum data_split split,
                  int64_t first, int64_t n, unsigned char *room, int32_t *out);
/* A window of an order: its T tokens, or the T behind its first. */
enum status
data_tokens_window (const struct data_set *d, enum data_split split,
                    const struct data_order *o, int64_t epoch, int64_t sample,
                    unsigned char *room, int32_t *out);
enum status
data_tokens_labels (const struct data_set *d, enum data_split split,
                    const struct data_order *o, int64_t epoch, int64_t sample,
                    int32_t *labels);
enum status
data_tokens_print (struct data_set *d, bool check, struct text *out);

/* One sample's raw bytes as normalised floats [C, H, W]. */
void
data_normalise (const struct data_set *d, const unsigned char *raw, float *x);
/* As normalise, with flip and crop: output pixel (y, x) is pixel
 * (y + dy - 4, x' + dx - 4), x' mirrored when flip; zero outside. */
void
data_augment_sample (const struct data_set *d, const unsigned char *raw,
                     bool flip, int dy, int dx, float *x);
/* What (seed, epoch, sample) decides; dy = dx = 4: not moved. */
void
data_augment_draw (int augment, uint64_t seed, int64_t epoch, int64_t sample,
                   bool *flip, int *dy, int *dx);

#endif
