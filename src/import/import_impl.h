/* import/import_impl.h -- what the importers share. */
#ifndef IMPORT_IMPORT_IMPL_H
#define IMPORT_IMPORT_IMPL_H

#include "base/text.h"
#include "data/data.h"
#include "import/import.h"
#include <sys/types.h>

/* -- an input file from front to back (stream.c) --------------------------- */

struct import_stream;
/* E_MISSING, E_DATA.  path may lead into an archive that has been read.  where:
 * for whom (content.c), whom a file is refused that begins with what is no
 * input to them, compression included; 0: for anybody. */
enum status
import_stream_open (const char *path, int where, struct import_stream **out);
void
import_stream_close (struct import_stream **t);
/* Up to room bytes; *got 0 at the end. */
enum status
import_stream_read (struct import_stream *t, unsigned char *out, size_t room,
                    size_t *got);
/* The same, until room is full or the end has come. */
enum status
import_stream_fill (struct import_stream *t, unsigned char *out, size_t room,
                    size_t *got);

/* -- whole input files (input.c) ------------------------------------------- */

/* Decompressed by its first bytes. */
struct import_input {
  unsigned char *data; /* owned */
  size_t size;
};
/* most: how many bytes a file can have that begins with these n.  E_MISSING
 * when there is none, E_DATA when the compressed stream is damaged or cut off,
 * or goes on behind that. */
enum status
import_input_read (const char *path,
                   uint64_t (*most) (const unsigned char *head, size_t n),
                   struct import_input *out);
void
import_input_clear (struct import_input *in);
/* The first that exists of folder/name, and the same with .xz, .gz, .bz2 and
 * .zst; false when none does. */
bool
import_input_find (const char *folder, const char *name, struct text *out);

/* -- images in memory ------------------------------------------------------ */

struct import_images_split {
  int64_t n, room;
  unsigned char *pixels; /* n x C x H x W; owned */
  unsigned char *labels; /* n; owned */
};

struct import_images {
  const char *name;
  struct text origin;
  struct text classes; /* names joined by newlines */
  int n_classes;
  int channels, height, width;
  struct import_images_split split[DATA_SPLITS];
};

void
import_images_init (struct import_images *m);
void
import_images_clear (struct import_images *m);
/* Room for n more samples of a split; they are written at pixels and labels
 * behind n, which the caller then raises. */
enum status
import_images_room (struct import_images *m, enum data_split split, int64_t n);
/* Move the last n of train to valid (n < 0: a tenth).  E_CONFIG when nothing
 * would be left. */
enum status
import_images_hold_out (struct import_images *m, int64_t n);
/* The data set file, under another name first. */
enum status
import_images_write (const struct import_images *m, const char *output);

/* -- options --------------------------------------------------------------- */

struct import_option {
  const char *key;
  int64_t value; /* the default, until parsed */
  int64_t least, most;
  const char **text; /* where a text goes, borrowed; NULL: a number */
};
/* Words "key=value"; E_CONFIG naming word, kind and the nearest known key. */
enum status
import_options_parse (const char *kind, int n_options,
                      const char *const *options, struct import_option *known,
                      int n_known);

/* -- signals (interrupt.c) ------------------------------------------------- */

/* From now on INT, TERM, HUP, USR1 and USR2, unless ignored, remove PART and
 * what lies beside it under its name before they end the process; NULL: no
 * longer. */
void
import_interrupt_guard (const char *part);

/* -- another program (process.c) ------------------------------------------- */

/* Run argv[0], found on PATH, with output to out (a path, or NULL) and errors
 * to a file err, whose last lines are in the message when it fails: E_MISSING
 * naming `package` when there is no such program, E_DATA when it fails, E_IO
 * when it fails and nothing more can be written beside err. */
enum status
import_process_run (const char *const *argv, const char *package,
                    const char *out, const char *err);

/* -- what a file is, by its first bytes (content.c) ------------------------ */

enum { /* who asks */
       IMPORT_CONTENT_TEXT = 1,
       IMPORT_CONTENT_IDS = 2,
       IMPORT_CONTENT_IMAGES = 4,
       IMPORT_CONTENT_PACKED = 8 /* what is compressed and read through */
};
/* Whether these first n bytes are of a kind that is no such input: its name
 * with an article, and what to do about it. */
bool
import_content_known (const unsigned char *p, size_t n, int where,
                      const char **name, const char **cure);
/* E_DATA naming path and kind, where it is so; for text also what is encoded
 * in units of two or four bytes. */
enum status
import_content_check (const char *path, const unsigned char *p, size_t n,
                      int where);

/* -- importers ------------------------------------------------------------- */

struct import_job {
  const char *kind;
  int n_inputs;
  const char *const *inputs;
  int n_options;
  const char *const *options;
  const char *output;
};
enum status
import_cifar10 (const struct import_job *job, struct import_images *m);
enum status
import_cifar100 (const struct import_job *job, struct import_images *m);
enum status
import_idx (const struct import_job *job, struct import_images *m);
enum status
import_synthetic (const struct import_job *job, struct import_images *m);
/* These write the file themselves, in constant memory. */
enum status
import_text (const struct import_job *job);
enum status
import_tokens (const struct import_job *job);
enum status
import_folder (const struct import_job *job);
enum status
import_weights (const struct import_job *job);

/* The drawing alone: sample number `sample` of a split, [3, size, size].  size
 * a divisor or multiple of 32, 8 to 128. */
void
import_synthetic_draw (uint64_t seed, enum data_split split, int64_t sample,
                       int label, int size, unsigned char *out);

#endif
