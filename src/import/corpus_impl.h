/* import/corpus_impl.h -- from text files to a data set of tokens, in constant
 * memory.
 *
 *   source   input files as runs of text, each of one split, with the ends of
 *            lines and documents
 *   corpus   the data set file being made: token files per split first, since
 *            their length is not known, then one contiguous dataset each
 */
#ifndef IMPORT_CORPUS_IMPL_H
#define IMPORT_CORPUS_IMPL_H

#include "base/text.h"
#include "data/data.h"
#include "store/file.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* -- source ---------------------------------------------------------------- */

enum import_documents {
  IMPORT_DOCUMENT_FILE,  /* each file is one */
  IMPORT_DOCUMENT_LINE,  /* each line; its end belongs to none */
  IMPORT_DOCUMENT_BLANK, /* they are separated by blank lines */
};

struct import_source_spec {
  int n[DATA_SPLITS]; /* files of train, and of valid and test when these are
                          given as files */
  const char *const *files[DATA_SPLITS];
  enum import_documents documents;
  bool by_document;          /* shares are dealt out by whole documents */
  double share[DATA_SPLITS]; /* of valid and test, taken from the files of
                                 train: below 1 a share, else bytes */
  bool whole_lines;          /* a split ends with a line; files end with a line
                                end, which is added where it is missing */
  bool utf8;                 /* refuse what is not */
};
/* What a source says, in order. Runs: n bytes of one split; never across the
 * end of a line. */
struct import_source_sink {
  enum status (*run) (void *context, enum data_split split,
                      const unsigned char *text, size_t n, bool line_end);
  enum status (*document_end) (void *context, enum data_split split);
  void *context;
};
/* Walk all files.  bytes[] gets the source bytes of each split. */
enum status
import_source_walk (const struct import_source_spec *spec,
                    const struct import_source_sink *sink,
                    int64_t bytes[DATA_SPLITS]);

/* -- corpus ---------------------------------------------------------------- */

struct import_corpus_split {
  FILE *spool; /* tokens, width bytes each */
  int64_t n, bytes, documents;
};

struct import_corpus {
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
  struct import_corpus_split split[DATA_SPLITS];
};
/* For output; vocab decides the width. */
enum status
import_corpus_open (const char *output, int64_t vocab, struct import_corpus *c);
enum status
import_corpus_put (struct import_corpus *c, enum data_split split,
                   const uint32_t *ids, size_t n);
/* Move the last tokens of train to valid and test: n each, before test's. */
enum status
import_corpus_write (struct import_corpus *c, const int64_t hold[DATA_SPLITS]);
/* What was written, to the log. */
void
import_corpus_say (const struct import_corpus *c);
/* Removes what is left of files of its own. */
void
import_corpus_close (struct import_corpus *c);

#endif
