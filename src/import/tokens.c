/* import/tokens.c -- ready ids as a data set: raw little-endian integers,
 * numbers as text, a one-dimensional .npy, or a file of llm.c with its header;
 * each of them plain or compressed.
 *
 * Ids of another width than is thought are still ids: every second one is zero.
 * So what nobody has said is looked for in the first bytes.
 */
#include "import/corpus_impl.h"
#include "import/import_impl.h"

#include "base/log.h"
#include "base/memory.h"
#include "store/file.h"
#include <ctype.h>
#include <string.h>

/* Unsaid: that of a header, else text where there are digits only, else 16
 * bits. */
enum form { FORM_UINT16, FORM_UINT32, FORM_UINT64, FORM_TEXT, FORM_UNSAID };
enum { CHUNK = 1 << 16, BLOCK = 4096 };

/* What format= may say; signed ones are the same bits. */
static const struct {
  const char *word;
  enum form form;
} forms[] = {
    {"uint16", FORM_UINT16}, {"uint32", FORM_UINT32}, {"int32", FORM_UINT32},
    {"uint64", FORM_UINT64}, {"int64", FORM_UINT64},  {"text", FORM_TEXT},
};
#define N_FORMS ((int)(sizeof forms / sizeof *forms))

struct ids_in {
  struct import_corpus *corpus;
  enum data_split split;
  enum form form;
  const char *path;
  int64_t index; /* of the next id of the file */
  int64_t said;  /* ids that its header tells of; -1: it does not */
  uint32_t block[BLOCK];
  size_t n;
  int64_t number;        /* text: the digits so far; -1: none */
  unsigned char part[8]; /* bytes of an id that a chunk has cut */
  size_t n_part;
};

static enum status
flush_ids (struct ids_in *t)
{
  size_t n = t->n;
  t->n = 0;
  return n ? import_corpus_put (t->corpus, t->split, t->block, n) : OK;
}

/* As a signed number of its width. */
static bool
is_negative (const struct ids_in *t, uint64_t id)
{
  return (t->form == FORM_UINT32 && id > INT32_MAX) ||
         (t->form == FORM_UINT64 && id > INT64_MAX);
}

static enum status
add_id (struct ids_in *t, uint64_t id)
{
  if (id >= (uint64_t)t->corpus->vocab && is_negative (t, id))
    return fail (E_DATA,
                 "%s: token %lld is %lld: ids begin at 0; leave out what is "
                 "padded or masked",
                 t->path, (long long)t->index,
                 (long long)(t->form == FORM_UINT32 ? (int64_t)(int32_t)id
                                                    : (int64_t)id));
  if (id >= (uint64_t)t->corpus->vocab)
    return fail (E_DATA, "%s: token %lld is %llu: vocab=%lld allows 0 to %lld",
                 t->path, (long long)t->index, (unsigned long long)id,
                 (long long)t->corpus->vocab, (long long)t->corpus->vocab - 1);
  t->index++;
  if (t->n == BLOCK)
    TRY (flush_ids (t));
  t->block[t->n++] = (uint32_t)id;
  return OK;
}

static enum status
feed_text (struct ids_in *t, const unsigned char *p, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    if (isdigit (p[i])) {
      t->number = (t->number < 0 ? 0 : t->number) * 10 + (p[i] - '0');
      if (t->number > UINT32_MAX)
        t->number = UINT32_MAX;
      continue;
    }
    if (!isspace (p[i]) && p[i] != ',')
      return fail (E_DATA, "%s: behind token %lld: \"%c\" is no id", t->path,
                   (long long)t->index, isprint (p[i]) ? p[i] : '?');
    if (t->number >= 0)
      TRY (add_id (t, (uint64_t)t->number));
    t->number = -1;
  }
  return OK;
}

static enum status
feed_raw (struct ids_in *t, const unsigned char *p, size_t n)
{
  size_t width = t->form == FORM_UINT32 ? 4 : t->form == FORM_UINT64 ? 8 : 2;
  for (size_t i = 0; i < n; i++) {
    t->part[t->n_part++] = p[i];
    if (t->n_part < width)
      continue;
    uint64_t id = 0;
    for (size_t k = 0; k < width; k++)
      id |= (uint64_t)t->part[k] << (8 * k);
    t->n_part = 0;
    TRY (add_id (t, id));
  }
  return OK;
}

/* -- .npy ------------------------------------------------------------------ */

/* Its header, if the file has one: form and the bytes before the data. */
static enum status
read_npy (struct ids_in *t, const unsigned char *p, size_t n, size_t *skip)
{
  static const unsigned char magic[6] = {0x93, 'N', 'U', 'M', 'P', 'Y'};
  static const char *const types[] = {"'<u2'", "'<u4'", "'<i4'", "'<i8'",
                                      "'<u8'"};
  static const enum form wide_as[] = {FORM_UINT16, FORM_UINT32, FORM_UINT32,
                                      FORM_UINT64, FORM_UINT64};
  *skip = 0;
  if (n < 12 || memcmp (p, magic, 6) != 0)
    return OK;
  size_t wide = p[6] == 1 ? 2 : 4, length = 0;
  for (size_t i = 0; i < wide; i++)
    length |= (size_t)p[8 + i] << (8 * i);
  char header[1024] = "";
  if (length + 8 + wide <= n && length < sizeof header)
    memcpy (header, p + 8 + wide, length);
  const char *shape = strstr (header, "'shape': (");
  const char *comma = shape ? strchr (shape, ',') : NULL;
  bool one = comma && (comma[1] == ')' || (comma[1] == ' ' && comma[2] == ')'));
  for (int i = 0; i < 5 && one; i++)
    if (strstr (header, types[i])) {
      t->form = wide_as[i];
      *skip = length + 8 + wide;
      return OK;
    }
  return fail (E_DATA,
               "%s: a .npy file, but not one-dimensional of little-endian "
               "integers (uint16, uint32, int32, int64)",
               t->path);
}

/* -- other beginnings ------------------------------------------------------ */

static int64_t
little_endian (const unsigned char *p)
{
  return (int64_t)p[0] | (int64_t)p[1] << 8 | (int64_t)p[2] << 16 |
         (int64_t)p[3] << 24;
}

/* The header of llm.c's files: 256 numbers of 32 bits, of which the first is
 * the kind, the second its version, the third the number of ids. */
static enum status
read_llmc (struct ids_in *t, const unsigned char *p, size_t n, size_t *skip)
{
  static const struct {
    int64_t magic;
    enum form form;
    const char *word;
  } kinds[] = {{20240520, FORM_UINT16, "uint16"},
               {20240801, FORM_UINT32, "uint32"}};
  enum { HEADER = 1024, VERSION_MOST = 255 };
  for (int i = 0; i < 2 && n >= 12; i++) {
    if (little_endian (p) != kinds[i].magic ||
        little_endian (p + 4) > VERSION_MOST)
      continue;
    if (n < HEADER)
      return fail (E_DATA, "%s: ends within the header of llm.c's files",
                   t->path);
    if (t->form != FORM_UNSAID && t->form != kinds[i].form)
      return fail (E_CONFIG,
                   "%s: has the header of llm.c's files, whose ids are %s: "
                   "leave format= out",
                   t->path, kinds[i].word);
    t->form = kinds[i].form;
    t->said = little_endian (p + 8);
    *skip = HEADER;
    say (LOG_INFO, "%s: a file of llm.c: %s ids of %s", t->path,
         text_count (t->said), kinds[i].word);
  }
  return OK;
}

/* Nothing but numbers and what stands between them. */
static bool
is_text (const unsigned char *p, size_t n)
{
  bool digits = false;
  for (size_t i = 0; i < n; i++) {
    if (!isdigit (p[i]) && !isspace (p[i]) && p[i] != ',')
      return false;
    digits = digits || isdigit (p[i]);
  }
  return digits && n >= 4;
}

/* Whether numbers of `wide` bytes would all fit in `narrow` bytes, and most of
 * them are not zero: then these are `wide`. */
static bool
seems_wide (const unsigned char *p, size_t n, size_t narrow, size_t wide)
{
  size_t filled = 0, numbers = n / wide;
  for (size_t i = 0; i < numbers; i++) {
    bool any = false;
    for (size_t k = 0; k < wide; k++) {
      if (k >= narrow && p[i * wide + k] != 0)
        return false;
      any = any || p[i * wide + k] != 0;
    }
    filled += any;
  }
  return numbers >= 8 && 2 * filled > numbers;
}

/* Of raw numbers, of the width that is thought. */
static enum status
check_width (struct ids_in *t, bool said, const unsigned char *p, size_t n)
{
  size_t narrow = t->form == FORM_UINT16 ? 2 : 4;
  if (t->form != FORM_UINT16 && t->form != FORM_UINT32)
    return OK;
  size_t wide = seems_wide (p, n, narrow, 8)                  ? 8
                : narrow == 2 && seems_wide (p, n, narrow, 4) ? 4
                                                              : 0;
  if (wide == 0)
    return OK;
  if (!said)
    return fail (E_CONFIG,
                 "%s: seems to hold ids of %zu bits (as ids of 16 bits %s are "
                 "zero): say format=uint%zu, or format=uint16 where they are",
                 t->path, 8 * wide, wide == 4 ? "half" : "three of four",
                 8 * wide);
  say (LOG_WARN, "%s: as ids of %zu bits %s are zero: format=uint%zu?", t->path,
       8 * narrow, wide == 2 * narrow ? "half" : "three of four", 8 * wide);
  return OK;
}

/* What the first n bytes of a file tell; skip: bytes before the first id. */
static enum status
read_head (struct ids_in *t, const unsigned char *p, size_t n, size_t *skip)
{
  bool said = t->form != FORM_UNSAID;
  t->said = -1;
  TRY (import_content_check (t->path, p, n,
                             t->form == FORM_TEXT ? IMPORT_CONTENT_TEXT
                                                  : IMPORT_CONTENT_IDS));
  TRY (read_npy (t, p, n, skip));
  if (*skip == 0)
    TRY (read_llmc (t, p, n, skip));
  if (*skip > 0)
    return OK;
  if (!said && is_text (p, n)) {
    t->form = FORM_TEXT;
    say (LOG_INFO, "%s: read as numbers written as text", t->path);
  }
  if (t->form == FORM_UNSAID && t->corpus->vocab > UINT16_MAX + 1)
    return fail (
        E_CONFIG,
        "%s: ids below vocab=%lld need more than 16 bits: say which with "
        "format=uint32, uint64, text or, after all, uint16",
        t->path, (long long)t->corpus->vocab);
  if (!said && t->form == FORM_UNSAID)
    t->form = FORM_UINT16;
  return check_width (t, said, p, n);
}

/* -- a file ---------------------------------------------------------------- */

static enum status
end_file (struct ids_in *t)
{
  if (t->n_part > 0)
    return fail (E_DATA, "%s: ends %zu bytes into token %lld", t->path,
                 t->n_part, (long long)t->index);
  if (t->form == FORM_TEXT)
    TRY (feed_text (t, (const unsigned char *)"\n", 1));
  if (t->said >= 0 && t->said != t->index)
    return fail (
        E_DATA, "%s: its header tells of %lld tokens, %lld are there: cut off?",
        t->path, (long long)t->said, (long long)t->index);
  if (t->index == 0)
    return fail (E_DATA, "%s: no tokens in it", t->path);
  return flush_ids (t);
}

static enum status
feed (struct ids_in *t, const unsigned char *p, size_t n)
{
  return t->form == FORM_TEXT ? feed_text (t, p, n) : feed_raw (t, p, n);
}

static enum status
read_file (struct ids_in *t, unsigned char *chunk)
{
  struct import_stream *in = NULL;
  enum form given = t->form;
  t->index = 0;
  t->number = -1;
  t->n_part = 0;
  TRY (import_stream_open (t->path, IMPORT_CONTENT_IDS, &in));
  size_t got = 0, skip = 0;
  enum status s = import_stream_fill (in, chunk, CHUNK, &got);
  if (s == OK)
    s = read_head (t, chunk, got, &skip);
  while (s == OK && got > 0) {
    s = feed (t, chunk + skip, got - skip);
    skip = 0;
    log_progress ("reading %s: %s tokens", t->path, text_count (t->index));
    if (s == OK)
      s = import_stream_read (in, chunk, CHUNK, &got);
  }
  if (s == OK)
    s = end_file (t);
  t->form = given;
  import_stream_close (&in);
  return s;
}

/* -- the command ----------------------------------------------------------- */

/* valid=, test=: a share or number of the tokens of train, or a file. */
static enum status
choose_share (const char *word, int split, double *share, const char **file)
{
  *share = 0;
  *file = NULL;
  if (!word)
    return OK;
  if (!text_to_double (word, share))
    *file = word;
  else if (!(*share >= 0) || (*share > 1 && *share != (double)(int64_t)*share))
    return fail (E_CONFIG,
                 "import tokens: %s=%s: a share below 1, a number of tokens, "
                 "or a file",
                 data_split_name ((enum data_split)split), word);
  return OK;
}

static enum status
hold_out (const struct import_corpus *c, const double *share, int64_t *hold)
{
  int64_t n = c->split[DATA_TRAIN].n, left = n;
  for (int i = DATA_VALID; i < DATA_SPLITS; i++) {
    hold[i] = (int64_t)(share[i] < 1 ? share[i] * (double)n : share[i]);
    left -= hold[i];
  }
  if (left < 2)
    return fail (E_CONFIG,
                 "import tokens: valid and test leave %lld of %lld tokens to "
                 "train on",
                 (long long)left, (long long)n);
  return OK;
}

static enum status
import_ids (const struct import_job *job, enum form form, int64_t vocab,
            int64_t separator, const double *share, const char *const *files)
{
  static struct ids_in t; /* the block is large for a stack */
  struct import_corpus corpus = {
      .name = "tokens", .tokenizer = "ids", .separator = separator};
  unsigned char *chunk = NULL;
  int64_t hold[DATA_SPLITS] = {0};
  t = (struct ids_in){.corpus = &corpus, .form = form};
  text_init (&corpus.origin);
  text_add (&corpus.origin, "%s", store_file_name (job->inputs[0]));
  enum status s = import_corpus_open (job->output, vocab, &corpus);
  if (s == OK)
    s = mem_new (CHUNK, 1, "input", (void **)&chunk);
  for (int i = 0; s == OK && i < job->n_inputs; i++) {
    t.path = job->inputs[i];
    s = read_file (&t, chunk);
  }
  for (int i = DATA_VALID; s == OK && i < DATA_SPLITS; i++)
    if (files[i]) {
      t.split = (enum data_split)i;
      t.path = files[i];
      s = read_file (&t, chunk);
    }
  if (s == OK)
    s = hold_out (&corpus, share, hold);
  if (s == OK)
    s = import_corpus_write (&corpus, hold);
  for (int i = DATA_VALID; i < DATA_SPLITS; i++) {
    corpus.split[i].n += hold[i];
    corpus.split[DATA_TRAIN].n -= hold[i];
  }
  if (s == OK)
    import_corpus_say (&corpus);
  mem_free (&chunk);
  import_corpus_close (&corpus);
  text_clear (&corpus.origin);
  return s;
}

enum status
import_tokens (const struct import_job *job)
{
  const char *form = NULL, *valid = NULL, *test = NULL;
  const char *files[DATA_SPLITS] = {NULL};
  double share[DATA_SPLITS] = {0};
  struct import_option options[] = {
      {"vocab", 0, 2, (int64_t)1 << 31, NULL},
      {"separator", -1, 0, 1 << 30, NULL},
      {"format", 0, 0, 0, &form},
      {"valid", 0, 0, 0, &valid},
      {"test", 0, 0, 0, &test},
  };
  int found = 0;
  TRY (import_options_parse (job->kind, job->n_options, job->options, options,
                             sizeof options / sizeof *options));
  if (job->n_inputs < 1)
    return fail (E_USAGE, "import tokens: no files");
  if (options[0].value == 0)
    return fail (E_CONFIG, "import tokens: vocab=N is needed: tokens are 0 to "
                           "N - 1");
  if (options[1].value >= options[0].value)
    return fail (E_CONFIG,
                 "import tokens: separator=%lld is outside the "
                 "vocabulary of %lld",
                 (long long)options[1].value, (long long)options[0].value);
  while (form && found < N_FORMS && strcmp (form, forms[found].word) != 0)
    found++;
  if (found == N_FORMS)
    return fail (E_CONFIG,
                 "import tokens: format=%s: uint16, uint32, uint64, int32, "
                 "int64 (little-endian), text (numbers), or nothing for .npy "
                 "and files of llm.c",
                 form);
  for (int i = DATA_VALID; i < DATA_SPLITS; i++)
    TRY (
        choose_share (i == DATA_VALID ? valid : test, i, &share[i], &files[i]));
  if (!valid && !test)
    share[DATA_VALID] = 0.1;
  return import_ids (job, form ? forms[found].form : FORM_UNSAID,
                     options[0].value, options[1].value, share, files);
}
