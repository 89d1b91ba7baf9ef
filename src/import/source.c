/* import/source.c -- text files as runs of bytes, dealt out to splits, with the
 * ends of lines and documents.
 */
#include "import/corpus_impl.h"
#include "import/import_impl.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/utf8.h"
#include <string.h>
#include <sys/stat.h>

enum { CHUNK = 1 << 16 };

struct walk {
  const struct import_source_spec *spec;
  const struct import_source_sink *sink;
  int64_t *bytes;
  int64_t border[DATA_SPLITS]; /* where each split ends, of train's files */
  int64_t offset, total;       /* of train's files; total 0: not known */
  double due[DATA_SPLITS];     /* documents a split is owed */
  const char *path;
  int64_t file_offset;
  enum data_split split; /* of what comes */
  bool given;            /* a file of valid or test: no shares */
  bool zero_told;        /* of this file */
  bool line_start, line_blank, document_start, document_empty;
  struct utf8 utf8;
  unsigned char *chunk;
};

/* -- UTF-8 ----------------------------------------------------------------- */

static enum status
check_utf8 (struct walk *w, const unsigned char *p, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    if (w->utf8.left == 0 && p[i] < 0x80)
      continue;
    if (!utf8_step (&w->utf8, p[i]))
      return fail (E_DATA,
                   "%s: byte %lld (%02x) is not UTF-8 (the tokenizer bytes "
                   "takes any)",
                   w->path, (long long)(w->file_offset + (int64_t)i), p[i]);
  }
  return OK;
}

/* -- which split ----------------------------------------------------------- */

static double
share_of (const struct import_source_spec *spec, int split, int64_t total)
{
  double share = spec->share[split];
  return share < 1 ? share * (double)total : share;
}

static void
choose_by_offset (struct walk *w)
{
  w->split = w->offset < w->border[DATA_TRAIN]   ? DATA_TRAIN
             : w->offset < w->border[DATA_VALID] ? DATA_VALID
                                                 : DATA_TEST;
}

/* Each split is owed its share of every document; it gets a whole one when the
 * debt reaches one.  So held-out documents are spread evenly over the text,
 * without a draw.  Where both are due, valid comes first and test with the
 * next.
 */
static void
choose_by_document (struct walk *w)
{
  w->split = DATA_TRAIN;
  for (int i = DATA_TEST; i > DATA_TRAIN; i--) {
    w->due[i] += w->spec->share[i];
    if (w->due[i] >= 1 - 1e-9)
      w->split = (enum data_split)i;
  }
  if (w->split != DATA_TRAIN)
    w->due[w->split] -= 1;
}

static void
choose (struct walk *w)
{
  if (w->given)
    return;
  if (w->spec->by_document && w->document_start)
    choose_by_document (w);
  if (!w->spec->by_document && (!w->spec->whole_lines || w->line_start))
    choose_by_offset (w);
}

/* Bytes before the next split begins inside a line; n where it does not. */
static size_t
until_border (const struct walk *w, size_t n)
{
  if (w->given || w->spec->by_document || w->spec->whole_lines ||
      w->split == DATA_TEST)
    return n;
  int64_t left = w->border[w->split] - w->offset;
  return left > 0 && left < (int64_t)n ? (size_t)left : n;
}

/* -- the walk -------------------------------------------------------------- */

static enum status
end_document (struct walk *w)
{
  if (w->document_empty)
    return OK;
  w->document_start = w->document_empty = true;
  return w->sink->document_end (w->sink->context, w->split);
}

static enum status
end_line (struct walk *w)
{
  bool blank = w->line_blank;
  w->line_start = w->line_blank = true;
  if (w->spec->documents == IMPORT_DOCUMENT_LINE ||
      (w->spec->documents == IMPORT_DOCUMENT_BLANK && blank))
    return end_document (w);
  return OK;
}

static bool
is_blank (const unsigned char *p, size_t n)
{
  for (size_t i = 0; i < n; i++)
    if (p[i] != '\n' && p[i] != '\r' && p[i] != ' ' && p[i] != '\t')
      return false;
  return true;
}

/* Hands on runs of bytes, each of one split and not beyond the end of a line. A
 * line may come in several: at the end of a chunk, and where a split ends. */
static enum status
feed (struct walk *w, const unsigned char *p, size_t n)
{
  while (n > 0) {
    choose (w);
    const unsigned char *end = memchr (p, '\n', n);
    size_t length = until_border (w, end ? (size_t)(end - p) + 1 : n);
    bool line_end = end && p + length == end + 1;
    bool blank = is_blank (p, length);
    w->line_blank = w->line_blank && blank;
    /* A file's own blank lines are text; elsewhere they separate. */
    if (!blank || w->spec->documents == IMPORT_DOCUMENT_FILE)
      w->document_empty = false;
    w->line_start = w->document_start = false;
    TRY (w->sink->run (w->sink->context, w->split, p, length, line_end));
    w->bytes[w->split] += (int64_t)length;
    if (!w->given)
      w->offset += (int64_t)length;
    p += length;
    n -= length;
    if (line_end)
      TRY (end_line (w));
  }
  return OK;
}

static void
show (const struct walk *w)
{
  if (w->total > 0)
    log_progress ("reading %s: %s of %s", w->path,
                  text_bytes ((double)w->offset),
                  text_bytes ((double)w->total));
  else
    log_progress ("reading %s: %s", w->path,
                  text_bytes ((double)w->file_offset));
}

static enum status
end_file (struct walk *w)
{
  if (w->utf8.left > 0)
    return fail (E_DATA, "%s: ends at byte %lld within a character: not UTF-8",
                 w->path, (long long)w->file_offset);
  if (!w->line_start && w->spec->whole_lines) {
    TRY (w->sink->run (w->sink->context, w->split, (const unsigned char *)"\n",
                       1, true));
    w->bytes[w->split]++;
  }
  w->line_start = w->line_blank = true;
  return end_document (w);
}

/* A zero byte is no text, and with the tokenizer bytes it would be taken for
 * the separator of documents: told once per file. */
static void
warn_of_zero (struct walk *w, size_t n)
{
  const unsigned char *zero = n > 0 ? memchr (w->chunk, 0, n) : NULL;
  if (!zero || w->zero_told)
    return;
  w->zero_told = true;
  say (LOG_WARN,
       "%s: byte %lld is zero: no text?  (by bytes a zero stands between "
       "documents)",
       w->path, (long long)(w->file_offset + (zero - w->chunk)));
}

static enum status
walk_file (struct walk *w, const char *path)
{
  struct import_stream *in = NULL;
  w->path = path;
  w->file_offset = 0;
  w->zero_told = false;
  w->line_start = w->line_blank = true;
  w->document_start = w->document_empty = true;
  TRY (import_stream_open (path, IMPORT_CONTENT_TEXT, &in));
  enum status s = OK;
  size_t got = 1;
  for (int64_t i = 0; s == OK && got > 0; i++) {
    s = import_stream_fill (in, w->chunk, CHUNK, &got);
    if (s == OK && i == 0)
      s = import_content_check (path, w->chunk, got, IMPORT_CONTENT_TEXT);
    if (s == OK)
      warn_of_zero (w, got);
    if (s == OK && w->spec->utf8)
      s = check_utf8 (w, w->chunk, got);
    if (s == OK)
      s = feed (w, w->chunk, got);
    w->file_offset += (int64_t)got;
    if (i % 64 == 0)
      show (w);
  }
  import_stream_close (&in);
  return s == OK ? end_file (w) : s;
}

/* Bytes of a file as it is read: by its size, or by reading it. */
static enum status
count_bytes (struct walk *w, const char *path, int64_t *bytes)
{
  struct import_stream *in = NULL;
  struct stat about;
  if (stat (path, &about) == 0 && !S_ISREG (about.st_mode) &&
      !S_ISDIR (about.st_mode)) /* a directory says so when it is read */
    return fail (E_USAGE,
                 "%s: no regular file, so it can be read once, but a share for "
                 "valid or test needs its length first: give valid=FILE, or "
                 "split=document, or valid=0",
                 path);
  TRY (import_stream_open (path, IMPORT_CONTENT_TEXT, &in));
  enum status s = OK;
  size_t got = 1;
  int64_t n = 0;
  for (int64_t i = 0; s == OK && got > 0; i++) {
    s = import_stream_fill (in, w->chunk, CHUNK, &got);
    if (s == OK && i == 0)
      s = import_content_check (path, w->chunk, got, IMPORT_CONTENT_TEXT);
    n += (int64_t)got;
    if (i % 64 == 0)
      log_progress ("counting %s: %s", path, text_bytes ((double)n));
  }
  import_stream_close (&in);
  *bytes += n;
  return s;
}

/* Where splits end, in bytes of all of train's files one behind the other. Test
 * is the end of them, valid what lies before it. */
static enum status
find_borders (struct walk *w)
{
  const struct import_source_spec *spec = w->spec;
  for (int i = 0; i < DATA_SPLITS; i++)
    w->border[i] = INT64_MAX;
  if (spec->by_document ||
      (spec->share[DATA_VALID] == 0 && spec->share[DATA_TEST] == 0))
    return OK;
  for (int i = 0; i < spec->n[DATA_TRAIN]; i++)
    TRY (count_bytes (w, spec->files[DATA_TRAIN][i], &w->total));
  if (w->total == 0)
    return fail (E_DATA, "%s: no text to train on", spec->files[DATA_TRAIN][0]);
  double valid = share_of (spec, DATA_VALID, w->total);
  double test = share_of (spec, DATA_TEST, w->total);
  if (valid + test >= (double)w->total)
    return fail (E_CONFIG,
                 "valid and test want %.0f and %.0f bytes, but there are "
                 "only %lld",
                 valid, test, (long long)w->total);
  w->border[DATA_VALID] = w->total - (int64_t)test;
  w->border[DATA_TRAIN] = w->border[DATA_VALID] - (int64_t)valid;
  if (test == 0)
    w->border[DATA_VALID] = INT64_MAX;
  return OK;
}

/* Warns of a split that got nothing, as its share was less than one byte, line
 * or document: otherwise it would only be noticed in training. */
static void
warn_of_nothing (const struct walk *w)
{
  const struct import_source_spec *spec = w->spec;
  const char *unit = spec->by_document   ? "documents (see documents=)"
                     : spec->whole_lines ? "lines"
                                         : "bytes";
  for (int i = DATA_VALID; i < DATA_SPLITS; i++)
    if (spec->share[i] > 0 && w->bytes[i] == 0)
      say (LOG_WARN, "%s=%g: there is no %s, the text has too few %s",
           data_split_name ((enum data_split)i), spec->share[i],
           data_split_name ((enum data_split)i), unit);
}

enum status
import_source_walk (const struct import_source_spec *spec,
                    const struct import_source_sink *sink,
                    int64_t bytes[DATA_SPLITS])
{
  struct walk w = {.spec = spec, .sink = sink, .bytes = bytes};
  TRY (mem_new (CHUNK, 1, "input", (void **)&w.chunk));
  enum status s = find_borders (&w);
  for (int i = 0; i < DATA_SPLITS; i++) {
    w.given = i != DATA_TRAIN;
    w.split = (enum data_split)i;
    for (int k = 0; s == OK && k < spec->n[i]; k++)
      s = walk_file (&w, spec->files[i][k]);
  }
  mem_free (&w.chunk);
  if (s == OK)
    warn_of_nothing (&w);
  return s;
}
