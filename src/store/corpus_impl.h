/* store/corpus_impl.h -- from text files to a data set of tokens, in constant
 * memory.
 *
 *   stream   an input file, decompressed on the way
 *   source   input files as runs of text, each of one split, with the ends of
 *            lines and documents
 *   corpus   the data set file being made: token files per split first, since
 *            their length is not known, then one contiguous dataset each
 */
#ifndef STORE_CORPUS_IMPL_H
#define STORE_CORPUS_IMPL_H

#include "base/text.h"
#include "store/file_impl.h"
#include "store/store.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* -- stream ---------------------------------------------------------------- */

struct store_stream;
/* E_MISSING, E_DATA. */
enum status
store_stream_open (const char *path, struct store_stream **out);
void
store_stream_close (struct store_stream **t);
bool
store_stream_is_plain (const struct store_stream *t);
/* Up to room bytes; *got 0 at the end. */
enum status
store_stream_read (struct store_stream *t, unsigned char *out, size_t room,
                   size_t *got);
/* The same, until room is full or the end has come. */
enum status
store_stream_fill (struct store_stream *t, unsigned char *out, size_t room,
                   size_t *got);

/* -- source ---------------------------------------------------------------- */

enum store_documents {
  STORE_DOCUMENT_FILE,  /* each file is one */
  STORE_DOCUMENT_LINE,  /* each line; its end belongs to none */
  STORE_DOCUMENT_BLANK, /* they are separated by blank lines */
};

struct store_source_how {
  int n[STORE_SPLITS]; /* files of train, and of valid and test when these are
                          given as files */
  const char *const *files[STORE_SPLITS];
  enum store_documents documents;
  bool by_document;           /* shares are dealt out by whole documents */
  double share[STORE_SPLITS]; /* of valid and test, taken from the files of
                                 train: below 1 a share, else bytes */
  bool whole_lines;           /* a split ends with a line; files end with a line
                                 end, which is added where it is missing */
  bool utf8;                  /* refuse what is not */
};
/* What a source says, in order. Runs: n bytes of one split; never across the
 * end of a line. */
struct store_source_sink {
  enum status (*run) (void *context, enum store_split split,
                      const unsigned char *text, size_t n, bool line_end);
  enum status (*document_end) (void *context, enum store_split split);
  void *context;
};
/* Walk all files.  bytes[] gets the source bytes of each split. */
enum status
store_source_walk (const struct store_source_how *how,
                   const struct store_source_sink *sink,
                   int64_t bytes[STORE_SPLITS]);

/* -- corpus ---------------------------------------------------------------- */

struct store_corpus_split {
  FILE *spool; /* tokens, width bytes each */
  int64_t n, bytes, documents;
};

struct store_corpus {
  const char *name;
  struct text origin;
  const char *tokenizer; /* "bytes", "sentencepiece", "ids" */
  int64_t vocab;
  int64_t separator; /* token between documents; -1: none */
  int width;         /* 2 or 4 bytes of a token */
  char *model;       /* the tokenizer's, owned; NULL: none */
  size_t model_bytes;
  const char *output;
  struct store_output to; /* spools have .SPLIT behind its part */
  struct store_corpus_split split[STORE_SPLITS];
};
/* For output; vocab decides the width. */
enum status
store_corpus_open (const char *output, int64_t vocab, struct store_corpus *c);
enum status
store_corpus_put (struct store_corpus *c, enum store_split split,
                  const uint32_t *ids, size_t n);
/* Move the last tokens of train to valid and test: n each, before test's. */
enum status
store_corpus_write (struct store_corpus *c, const int64_t hold[STORE_SPLITS]);
/* What was written, to the log. */
void
store_corpus_say (const struct store_corpus *c);
/* Removes what is left of files of its own. */
void
store_corpus_close (struct store_corpus *c);

/* -- signals (interrupt.c) ------------------------------------------------- */

/* From now on INT, TERM, HUP, USR1 and USR2, unless ignored, remove PART and
 * what lies beside it under its name before they end the process; NULL: no
 * longer. */
void
store_interrupt_guard (const char *part);
/* The program that they end as well; 0: none. */
void
store_interrupt_child (pid_t pid);

/* -- another program (process.c) ------------------------------------------- */

/* Run argv[0], found on PATH, with output to out (a path, or NULL) and errors
 * to a file err, whose last lines are in the message when it fails: E_MISSING
 * naming `package` when there is no such program, E_DATA when it fails, E_IO
 * when it fails and nothing more can be written beside err. */
enum status
store_process_run (const char *const *argv, const char *package,
                   const char *out, const char *err);
bool
store_process_found (const char *program);

#endif
