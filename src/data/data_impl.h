/* data/data_impl.h -- an open data set, as its files see it.
 *
 *   open      the file, its header, its splits; kinds: which kinds there are
 *   read      samples that lie in the file as an array; entries: of any length
 *   labels    a class for each sample
 *   seal      what a file says of itself; proof: that it is so
 *   together  a split or its labels, by all ranks at once
 *
 * What a set of one kind has beside this is in the file of that kind (pixels,
 * photographs, tokens).  HDF5 is called by the thread that opened the set; the
 * loader's threads read only memory, or the plain file through fd.
 */
#ifndef DATA_DATA_IMPL_H
#define DATA_DATA_IMPL_H

#include "data/data.h"
#include "data/format.h"
#include "store/raw.h"

struct data_samples {
  int64_t n;          /* samples as the file has them; 0: no such split */
  int32_t *labels;    /* n; owned; NULL where the kind has none */
  bool plain_labels;  /* the file has them in one piece */
  hid_t set;          /* open; -1 when there is no such split */
  int64_t offset;     /* of the samples in the file, when they lie there as we
                         want them in memory; else -1 */
  unsigned char *all; /* n x sample_bytes; owned; NULL when not in memory */
  bool proven;        /* compared with its digest, or it has none */
  uint64_t *blocks;   /* digests of what stays in the file; owned; NULL */
  _Atomic unsigned char *seen; /* blocks that were compared; owned; NULL */
};

struct data_set {
  char *path;
  hid_t file;
  int fd; /* the same file, for pread */
  const struct data_kind *kind;
  void *own; /* kind->own_bytes, of the kind; owned */
  struct data_info info;
  const double *mean, *std; /* of data_normal; borrowed from own */
  char *origin;
  bool told;            /* that it has no digests */
  size_t sample_bytes;  /* of one in memory; 0: no split was opened yet */
  int64_t values;       /* that a loader gives of a sample */
  unsigned char *block; /* block_samples x sample_bytes, to read through */
  int64_t block_samples;
  bool together;        /* labels are read by all ranks at once, later */
  int64_t memory_bytes; /* splits up to this are read to memory */
  struct data_samples split[DATA_SPLITS];
};

/* -- kinds ----------------------------------------------------------------- */

/* Takes some bytes, in order. */
struct data_sink {
  enum status (*take) (void *context, const void *data, size_t n);
  void *context;
};

/* How the samples of a split lie in the file. */
struct data_storage {
  bool together;    /* parallel HDF5 can read them in one call */
  size_t block;     /* bytes that have a digest of their own; 0: each sample */
  const char *unit; /* "block": what such bytes are */
  /* Of all samples of a split. */
  double (*bytes) (const struct data_set *d, enum data_split which);
  /* Whether a loader of the split is to have all of it in memory. */
  bool (*fits) (const struct data_set *d, enum data_split which);
  /* Whether it is there, or is read by HDF5 alone. */
  bool (*inside) (const struct data_set *d, enum data_split which);
  enum status (*load) (struct data_set *d, enum data_split which);
  /* All of it, in order. */
  enum status (*walk) (const struct data_set *d, enum data_split which,
                       const struct data_sink *sink);
  /* Which sample is it that makes the digest of the whole wrong, whose digests
   * of samples are in split->blocks?  NULL: nobody can tell. */
  enum status (*find) (const struct data_set *d, enum data_split which);
};
extern const struct data_storage data_array;   /* read.c */
extern const struct data_storage data_lengths; /* photographs.c */

/* What a thread of a loader makes samples with. */
struct data_maker {
  const struct data_loader_spec *spec;
  const struct data_order *order; /* NULL: the file's */
  unsigned char *raw;             /* a sample; owned */
  void *own;                      /* of the kind; may be NULL */
};

struct data_attribute { /* of the root; what a reader goes by is sealed */
  const char *name;
  char type; /* s: text, l: list of texts, d: doubles, i: integer */
};

/* A kind of data; functions that may be NULL say so.  Rows are in kinds.c. */
struct data_kind {
  const char *word; /* the file's attribute "kind" */
  const char *set;  /* samples are in /SPLIT/SET, an array of n_dims ... */
  int n_dims;
  const char *shape;     /* ... as the format writes it, "[N, C, H, W]" */
  const char *what;      /* they are, "pixels" */
  bool labelled;         /* /SPLIT/labels has a class for each */
  bool chained;          /* the digest of all is one of 1 MiB after the other */
  int augment;           /* or of what can be done to samples */
  enum tensor_type type; /* of what a loader gives */
  const char *beside;    /* another dataset of the file; NULL: none */
  size_t own_bytes;
  const struct data_storage *storage;
  const struct data_attribute *attributes; /* NULL behind the last */

  /* Attributes, before the seal is compared, and after; may be NULL. */
  enum status (*header) (struct data_set *d);
  enum status (*begin) (struct data_set *d);
  /* at: the open array; dims: its own.  split->n and set are there. */
  enum status (*split) (struct data_set *d, enum data_split which,
                        const struct store_h5_at *at, const int64_t *dims);
  /* All splits are there. */
  enum status (*finish) (struct data_set *d);
  /* info.digest, of header and labels; may be NULL: finish has made it. */
  void (*digest) (struct data_set *d);
  void (*close) (struct data_set *d);
  /* Type of a sample's values in memory; not to be closed. */
  hid_t (*memory) (const struct data_set *d, enum data_split which);

  /* Room in m->raw, and what else making samples takes. */
  enum status (*maker_open) (struct data_maker *m);
  void (*maker_close) (struct data_maker *m); /* may be NULL */
  /* Bytes of a maker, where samples are decoded by as many threads as there are
   * cores, each with its own; NULL: one thread does. */
  double (*maker_bytes) (const struct data_set *d);
  /* A sample of an order, d->values of kind->type. */
  enum status (*make) (struct data_maker *m, int64_t epoch, int64_t sample,
                       void *out);
  /* data_read, of a split that is there. */
  enum status (*read) (struct data_set *d, enum data_split which, int64_t first,
                       int64_t n, void *out);
  /* Labels of a sample of an order; of samples in file order, -1 past the end:
   * info.length each. */
  enum status (*label) (const struct data_set *d, enum data_split which,
                        const struct data_order *o, int64_t epoch,
                        int64_t sample, int32_t *labels);
  enum status (*labels) (struct data_set *d, enum data_split which,
                         int64_t first, int64_t n, int32_t *labels);
  /* data_windows; NULL: samples are what the file has. */
  void (*windows) (struct data_set *d, int64_t context, int64_t stride);
  /* data_info_samples; and the complaint that there are none. */
  int64_t (*samples) (const struct data_info *info, enum data_split split,
                      int64_t context, int64_t stride, bool shuffle);
  enum status (*too_few) (const struct data_set *d, enum data_split split);

  /* What `interlock info` says of all, of a split, of its check. */
  void (*print) (const struct data_set *d, struct text *out);
  enum status (*print_split) (const struct data_set *d, enum data_split which,
                              struct text *out);
  enum status (*check_split) (struct data_set *d, enum data_split which,
                              struct text *out);
  enum status (*check_rest) (struct data_set *d, struct text *out); /* NULL */
};
extern const struct data_kind data_pixels, data_photographs, data_tokens;

/* All kinds, one after the other; NULL behind the last. */
const struct data_kind *
data_kind (int i);
/* The kind of the samples of a split, by what is there; the first of this word
 * where nothing is; NULL: there is no such word. */
const struct data_kind *
data_kind_of (hid_t file, const char *word, enum data_split which);

/* -- open.c ---------------------------------------------------------------- */

/* data_open; together: but for reading labels and for the digest. */
enum status
data_begin (const char *path, bool together, struct data_set **out);

/* -- place.c --------------------------------------------------------------- */

/* "/train/images", "/train/jpeg", "/valid/tokens". */
void
data_path (const struct data_set *d, enum data_split which, char out[48]);
/* Where the samples lie in the file (split->offset), if they lie as memory
 * wants them; and that they lie inside it. */
enum status
data_locate (struct data_set *d, const struct store_h5_at *at,
             enum data_split which);
/* Room of a MiB to read through, of whole samples. */
enum status
data_block_open (struct data_set *d, const char *what);

/* -- read.c ---------------------------------------------------------------- */

/* Bring the split to memory where it fits (memory_bytes) or must be (chunked or
 * compressed, which a loader's thread cannot read). */
enum status
data_load (struct data_set *d, enum data_split split);
/* Raw bytes of samples first .. first+n-1 of an array.  Calls HDF5 only when
 * the split is neither in memory nor plain in the file. */
enum status
data_raw (const struct data_set *d, enum data_split split, int64_t first,
          int64_t n, unsigned char *out);

/* -- pace.c ---------------------------------------------------------------- */

/* What maker_open made, or began to. */
void
data_maker_close (struct data_maker *m);

/* -- labels.c -------------------------------------------------------------- */

/* Those of a split, checked; not yet read where that is done together. */
enum status
data_labels_open (struct data_set *d, enum data_split which);
/* Room for all labels of a split as the file has them (type), and as int64. */
enum status
data_labels_room (const struct data_set *d, enum data_split which, hid_t type,
                  void **raw);
/* What was read there from the open dataset id, compared with its digest and
 * checked, as the split's labels; raw is overwritten. */
enum status
data_labels_take (struct data_set *d, enum data_split which, hid_t id,
                  hid_t type, void *raw);
/* h, and all labels. */
uint64_t
data_labels_digest (const struct data_set *d, uint64_t h);
enum status
data_labels_check (const struct data_set *d, enum data_split which,
                   struct text *out);
/* kind->label and kind->labels of a kind that is labelled. */
enum status
data_label_kept (const struct data_set *d, enum data_split which,
                 const struct data_order *o, int64_t epoch, int64_t sample,
                 int32_t *labels);
enum status
data_labels_kept (struct data_set *d, enum data_split which, int64_t first,
                  int64_t n, int32_t *labels);

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
/* All bytes of a split with the file's digest; each piece goes to `also`, too,
 * unless that is NULL. */
enum status
data_whole_compare (const struct data_set *d, enum data_split which,
                    const struct data_sink *also, struct text *out);
/* Compare what was computed with the digest that the file keeps of it, if any;
 * adds a line to out unless that is NULL.  E_DATA where they differ. */
enum status
data_compare (const struct store_h5_at *at, const char *digest,
              struct text *out);

#endif
