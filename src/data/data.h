/* data/data.h -- data sets as training reads them.
 *
 * A data set file is opened and checked, its samples come in an order that
 * (seed, epoch) decide, and threads make micro-batches of them ahead of the
 * step.  The format is that of the manual page interlock(5).  Local unless it
 * says Collective.
 */
#ifndef DATA_DATA_H
#define DATA_DATA_H

#include "base/status.h"
#include "base/tensor.h"
#include "base/text.h"
#include "wire/wire.h"
#include <stdbool.h>
#include <stdint.h>

/* "libjpeg-turbo 2.1.5, libpng 1.6.39", or which of them is not there. */
const char *
data_describe_images (void);

enum data_split { DATA_TRAIN, DATA_VALID, DATA_TEST, DATA_SPLITS };
const char *
data_split_name (enum data_split s);

struct data_set; /* an open data set file */
struct data_kind;
struct data_info {
  char kind[16]; /* "images", "tokens" */
  char name[64];
  const struct data_kind *of;  /* its functions; NULL: no set was opened */
  int classes;                 /* of tokens: the vocabulary */
  int channels, height, width; /* of an image as it is seen */
  enum tensor_type type; /* of the numbers that loaders and data_read give */
  int augment;           /* or of data_augment: what can be done to samples */
  const char *decoder;   /* of images as JPEG: what decodes them; else "" */
  int64_t length;        /* labels of a sample: 1, or the context */
  int64_t stride;        /* of tokens: from one window to the next */
  int64_t samples[DATA_SPLITS]; /* 0: the split does not exist; of tokens:
                                    windows of an evaluation, or, before
                                    data_windows, tokens */
  /* of tokens */
  int64_t tokens[DATA_SPLITS];
  int64_t bytes[DATA_SPLITS]; /* of the text they were made from; 0: unknown */
  int64_t separator;          /* the token between documents; -1: none */
  uint64_t digest;            /* of header and labels: is it the same set? */
};
/* Open and check everything that does not need the pixels: format, ranks,
 * shapes, every label.  Refusals (E_DATA, E_MISSING) name file, dataset path
 * and index.  fault_here ("read"). */
enum status
data_open (const char *path, struct data_set **out);
/* The same by all ranks of a world, which must find the same file (E_PROTOCOL):
 * the ranks of a node read the labels of a split in one collective transfer of
 * parallel HDF5.  In a world of one rank: data_open.  All ranks return
 * the same status and message.  Collective on world. */
enum status
data_open_all (struct wire *w, const char *path, struct data_set **out);
/* Before the loaders of a split: ranks that want it get it into memory, if it
 * is to be there, in one collective transfer; the others take part and get
 * nothing.  Does nothing in a world of one rank, where the loader reads.  All
 * ranks return the same status and message.  Collective on world. */
enum status
data_fetch (struct wire *w, struct data_set *d, enum data_split split,
            bool wanted);
/* Compare a split with its digest, unless that was done; after this what is
 * read from the file is compared block by block where it has digests of them.
 * Before any thread reads the split; a loader does it.  Local. */
enum status
data_prove (struct data_set *d, enum data_split split);
/* The same, where labels are read from the samples; others have been compared
 * when they were opened. */
enum status
data_labels_prove (struct data_set *d, enum data_split split);
void
data_close (struct data_set **d);
void
data_info (const struct data_set *d, struct data_info *out);
/* By which images of values 0 .. 1 were normalised, [channels], until close;
 * false, and NULL, of floats, which are used as they are, and of tokens. */
bool
data_normal (const struct data_set *d, const double **mean, const double **std);
/* All labels of a split, int32 [samples]; borrowed until close. */
const int32_t *
data_labels (const struct data_set *d, enum data_split split);
/* Splits up to this many bytes are read to memory by a loader, once (1 GiB);
 * larger ones by sample.  Before the first loader. */
void
data_memory (struct data_set *d, int64_t bytes);
/* Tokens: samples are windows of T = context tokens and the one behind.  In an
 * evaluation and in sequential order window i begins at token i x stride (0:
 * context); shuffled, at i x context + an offset below context that (seed,
 * epoch) decide.  Once, before everything below. */
void
data_windows (struct data_set *d, int64_t context, int64_t stride);
/* Samples to train on: of images those of the split, of tokens its windows.
 * E_DATA when there is none: the context is longer than the data. */
enum status
data_training_samples (const struct data_set *d, enum data_split split,
                       bool shuffle, int64_t *out);
/* The same number from what is known of a set, also without the windows; 0:
 * none. */
int64_t
data_info_samples (const struct data_info *info, enum data_split split,
                   int64_t context, int64_t stride, bool shuffle);
/* What `interlock info` prints; check: read every byte. */
enum status
data_print (const char *path, bool check, struct text *out);

/* Which sample is number i of step s: the same on every rank, from (seed,
 * epoch) alone.  Position p = s x batch + i; epoch = p / n; shuffle: a
 * permutation per epoch; sequential: p mod n. */
struct data_order;
enum status
data_order_create (int64_t n, int64_t batch, bool shuffle, uint64_t seed,
                   struct data_order **out);
void
data_order_destroy (struct data_order **o);
void
data_order_sample (struct data_order *o, int64_t step, int64_t i,
                   int64_t *epoch, int64_t *sample);
bool
data_order_shuffles (const struct data_order *o);
/* A number below range from (seed, epoch) alone; 0 in sequential order. */
int64_t
data_order_offset (const struct data_order *o, int64_t epoch, int64_t range);

/* Micro-batches, made ahead by threads, of numbers of info.type: images
 * normalised, augmented from (seed, epoch, sample) alone, plain [n, c, h, w]
 * TENSOR_F32; tokens [n, T] TENSOR_I32.  The same bits whatever the number of
 * threads. */
struct data_loader;
enum data_augment {
  DATA_AUGMENT_NONE = 0,
  DATA_AUGMENT_FLIP = 1,
  DATA_AUGMENT_CROP4 = 2,   /* pad 4 with zeros (after normalising), crop */
  DATA_AUGMENT_IMAGENET = 4 /* JPEG images only: a part of random size, aspect
                                and place, and flip */
};
struct data_loader_spec {
  struct data_set *data; /* borrowed */
  enum data_split split;
  int64_t limit;    /* use the first n samples only; 0: all.  An order
                       that is to agree is made with the smaller of
                       limit and samples */
  int64_t batch;    /* whole batch, all replicas */
  int64_t first, n; /* this loader gives samples first .. first+n-1 of
                       each batch, as n_micro equal parts */
  int n_micro;
  bool shuffle;
  int augment; /* or of data_augment */
  uint64_t seed;
  int64_t start_step, end_step;
  int64_t ahead;  /* micro-batches made ahead, >= 1 */
  int cores;      /* of this rank, for decoding; 0: one */
  bool evaluates; /* instead, where info.decoder says something: what data_read
                     gives, in the order of the file, without an end */
};
/* Threads that such a loader has: one where nothing is decoded. */
int
data_loader_threads (const struct data_loader_spec *spec);
/* Memory of such a loader: micro-batches, what the threads decode in, and the
 * split, where a loader brings it to memory. */
double
data_loader_bytes (const struct data_loader_spec *spec);
/* Seconds in which one core makes a sample, from some samples spread over the
 * split, in about most_s seconds.  Before the loader; from the thread that
 * opened the set. */
enum status
data_loader_pace (const struct data_loader_spec *spec, double most_s,
                  double *sample_s);
enum status
data_loader_open (const struct data_loader_spec *spec,
                  struct data_loader **out);
void
data_loader_close (struct data_loader **l);
/* The next micro-batch, in order, copied into x (n / n_micro samples).  Waits
 * for the threads when they are behind; what failed in one fails here. */
enum status
data_take (struct data_loader *l, int64_t step, int micro, void *x);
/* The same, and it stays the next one. */
enum status
data_look_ahead (struct data_loader *l, int64_t step, int micro, void *x);
/* Labels of the same samples, without a loader, for ranks that hold heads: [n],
 * or of tokens [n, T], the next token of each place. */
enum status
data_take_labels (const struct data_set *d, enum data_split split,
                  struct data_order *o, int64_t step, int64_t first, int64_t n,
                  int32_t *labels);
/* For evaluation: samples first .. first+n-1 of the split, in file order, no
 * augmentation; numbers past the end repeat the last sample.  Allocates
 * nothing, but in the first call what comparing digests takes and, of JPEG
 * images, the room to decode them; from the thread that opened the set. */
enum status
data_read (struct data_set *d, enum data_split split, int64_t first, int64_t n,
           void *x);

/* Labels of the same, [n] or [n, T]; -1 past sample n_samples and past the end
 * of the tokens, so that each is scored once. */
enum status
data_read_labels (struct data_set *d, enum data_split split, int64_t first,
                  int64_t n, int64_t n_samples, int32_t *labels);

/* -- tokens and text ------------------------------------------------------- */

/* The tokenizer that a data set of tokens holds. */
struct data_tokenizer;
enum status
data_tokenizer_open (const struct data_set *d, struct data_tokenizer **out);
void
data_tokenizer_close (struct data_tokenizer **t);
/* n bytes as ids, owned by the caller.  Of ready ids: numbers.  E_DATA for what
 * cannot be said in this vocabulary. */
enum status
data_tokenizer_encode (struct data_tokenizer *t, const char *text, size_t n,
                       int32_t **ids, int64_t *n_ids);
/* The bytes of the next token of a text, and its size; valid until the next
 * call.  Remembers whether a line begins. */
const char *
data_tokenizer_decode (struct data_tokenizer *t, int32_t id, size_t *n);

#endif
