/* import/text.c -- text files as a data set of tokens: bytes, or the
 * pieces that SentencePiece's programs find.
 *
 * Bytes go straight to the data set's spools.  For pieces the text of each
 * split is laid down as plain lines first, spm_train reads those of train,
 * spm_encode each, and the ids it writes, a line for a line, become tokens:
 * the line end is the byte piece <0x0A>, the separator of documents </s>.
 */
#include "import/corpus_impl.h"
#include "import/import_impl.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/spawn.h"
#include "data/pieces.h"
#include "store/file.h"
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { VOCAB_DEFAULT = 8192, BLOCK = 4096 };
/* Lines of train that a tokenizer learns from, and their bytes as long as the
 * mean line tells; more are drawn from by lot, so that its memory, some five
 * times as much, has a bound. */
enum { LINES_MOST = 2000000, BYTES_MOST = 1 << 30 };
#define LINE_MOST "65536" /* bytes of such a line */

struct text_job {
  struct import_corpus *corpus;
  enum import_documents documents;
  bool pending[DATA_SPLITS]; /* a separator before what comes next */
  /* pieces only */
  FILE *text[DATA_SPLITS], *ends[DATA_SPLITS];
  int64_t lines[DATA_SPLITS];
};

/* -- bytes ----------------------------------------------------------------- */

static enum status
put_separator (struct text_job *j, enum data_split split)
{
  uint32_t id = (uint32_t)j->corpus->separator;
  if (!j->pending[split])
    return OK;
  j->pending[split] = false;
  return import_corpus_put (j->corpus, split, &id, 1);
}

static enum status
put_bytes (void *context, enum data_split split, const unsigned char *text,
           size_t n, bool line_end)
{
  struct text_job *j = context;
  uint32_t ids[BLOCK];
  /* Where each line is a document, the separator stands for its end. */
  if (line_end && j->documents == IMPORT_DOCUMENT_LINE)
    n--;
  if (n > 0)
    TRY (put_separator (j, split));
  while (n > 0) {
    size_t some = n < BLOCK ? n : BLOCK;
    for (size_t i = 0; i < some; i++)
      ids[i] = text[i];
    TRY (import_corpus_put (j->corpus, split, ids, some));
    text += some;
    n -= some;
  }
  return OK;
}

static enum status
end_bytes (void *context, enum data_split split)
{
  struct text_job *j = context;
  j->pending[split] = true;
  j->corpus->split[split].documents++;
  return OK;
}

static enum status
import_bytes (struct text_job *j, struct import_source_spec *spec)
{
  struct import_source_sink sink = {put_bytes, end_bytes, j};
  int64_t bytes[DATA_SPLITS] = {0};
  j->corpus->tokenizer = "bytes";
  j->corpus->separator = 0;
  TRY (import_source_walk (spec, &sink, bytes));
  for (int i = 0; i < DATA_SPLITS; i++)
    j->corpus->split[i].bytes = bytes[i];
  return OK;
}

/* -- pieces: the text of each split ---------------------------------------- */

/* A file beside the output; one of eight rotating buffers. */
static const char *
beside (const struct text_job *j, int split, const char *what)
{
  static char path[8][4096];
  static unsigned turn;
  char *out = path[turn++ % 8];
  snprintf (out, sizeof path[0], "%s.%s%s", j->corpus->to.part,
            split >= 0 ? data_split_name ((enum data_split)split) : "spm",
            what);
  return out;
}

static enum status
io_failed (const char *path, const char *what)
{
  return fail (E_IO, "%s: not %s: %s", path, what, strerror (errno));
}

static enum status
put_line (void *context, enum data_split split, const unsigned char *text,
          size_t n, bool line_end)
{
  struct text_job *j = context;
  j->lines[split] += line_end;
  if (fwrite (text, 1, n, j->text[split]) == n)
    return OK;
  return io_failed (beside (j, (int)split, ".txt"), "written");
}

static enum status
end_lines (void *context, enum data_split split)
{
  struct text_job *j = context;
  int64_t lines = j->lines[split];
  j->corpus->split[split].documents++;
  if (fwrite (&lines, sizeof lines, 1, j->ends[split]) == 1)
    return OK;
  return io_failed (beside (j, (int)split, ".ends"), "written");
}

static enum status
open_lines (struct text_job *j)
{
  for (int i = 0; i < DATA_SPLITS; i++) {
    j->text[i] = fopen (beside (j, i, ".txt"), "wb");
    j->ends[i] = fopen (beside (j, i, ".ends"), "w+b");
    if (!j->text[i] || !j->ends[i])
      return io_failed (beside (j, i, ".txt"), "created");
  }
  return OK;
}

static enum status
close_text (struct text_job *j)
{
  enum status s = OK;
  for (int i = 0; i < DATA_SPLITS; i++) {
    if (j->text[i] && fclose (j->text[i]) != 0 && s == OK)
      s = io_failed (beside (j, i, ".txt"), "written");
    j->text[i] = NULL;
  }
  return s;
}

static void
remove_pieces (struct text_job *j)
{
  static const char *const own[] = {".txt", ".ends", ".ids"};
  static const char *const theirs[] = {".model", ".vocab", ".err"};
  (void)close_text (j);
  for (int i = 0; i < DATA_SPLITS; i++) {
    if (j->ends[i])
      fclose (j->ends[i]);
    j->ends[i] = NULL;
    for (int k = 0; k < 3; k++)
      unlink (beside (j, i, own[k]));
  }
  for (int k = 0; k < 3; k++)
    unlink (beside (j, -1, theirs[k]));
}

/* -- pieces: the tokenizer's programs -------------------------------------- */

/* What spm_train could not do, in words of our options. */
static enum status
explain_training (struct text_job *j, int64_t vocab, enum status s)
{
  char *said = NULL, *at;
  size_t n;
  if (s != E_DATA || store_file_read (beside (j, -1, ".err"), &said, &n) != OK)
    return s;
  if ((at = strstr (said, "a value <= "))) {
    fail_clear ();
    s = fail (E_CONFIG,
              "vocab=%lld: the text of train has pieces for %lld only",
              (long long)vocab, strtoll (at + 11, NULL, 10));
  } else if ((at = strstr (said, "required_chars. ")) &&
             (at = strstr (at, " vs "))) {
    fail_clear ();
    s = fail (E_CONFIG,
              "vocab=%lld: bytes and single characters of the text alone are "
              "%lld pieces",
              (long long)vocab, strtoll (at + 4, NULL, 10));
  } else if (strstr (said, "!sentences_.empty()")) {
    fail_clear ();
    s = fail (E_DATA,
              "%s: spm_train learns from lines of at most " LINE_MOST
              " bytes, of which train has none",
              j->corpus->output);
  }
  mem_free (&said);
  return s;
}

static int64_t
lines_to_learn (const struct text_job *j)
{
  int64_t n = j->lines[DATA_TRAIN];
  int64_t fit = BYTES_MOST / (j->corpus->split[DATA_TRAIN].bytes / n + 1);
  return fit < LINES_MOST ? fit : LINES_MOST;
}

static enum status
train_pieces (struct text_job *j, int64_t vocab)
{
  char input[4200], prefix[4200], size[48], threads[48], lines[48];
  snprintf (input, sizeof input, "--input=%s", beside (j, DATA_TRAIN, ".txt"));
  snprintf (prefix, sizeof prefix, "--model_prefix=%s", beside (j, -1, ""));
  snprintf (size, sizeof size, "--vocab_size=%lld", (long long)vocab);
  snprintf (lines, sizeof lines, "--input_sentence_size=%lld",
            (long long)lines_to_learn (j));
  snprintf (threads, sizeof threads, "--num_threads=%ld",
            sysconf (_SC_NPROCESSORS_ONLN));
  const char *argv[] = {"spm_train",
                        input,
                        prefix,
                        size,
                        threads,
                        "--byte_fallback=true",
                        "--normalization_rule_name=identity",
                        "--remove_extra_whitespaces=false",
                        "--character_coverage=0.9999",
                        "--max_sentence_length=" LINE_MOST,
                        lines,
                        "--shuffle_input_sentence=true",
                        "--random_seed=1",
                        "--minloglevel=1",
                        NULL};
  if (strchr (beside (j, DATA_TRAIN, ""), ','))
    return fail (E_USAGE, "%s: spm_train takes no path with a comma",
                 j->corpus->output);
  say (LOG_INFO, "spm_train: %lld pieces from %lld lines of train",
       (long long)vocab, (long long)j->lines[DATA_TRAIN]);
  enum status s =
      import_process_run (argv, "sentencepiece", NULL, beside (j, -1, ".err"));
  return explain_training (j, vocab, s);
}

static enum status
encode_split (struct text_job *j, const char *model, int split)
{
  char with[4200];
  snprintf (with, sizeof with, "--model=%s", model);
  const char *argv[] = {"spm_encode", with, "--output_format=id",
                        beside (j, split, ".txt"), NULL};
  return import_process_run (argv, "sentencepiece", beside (j, split, ".ids"),
                             beside (j, -1, ".err"));
}

/* -- pieces: ids to tokens ------------------------------------------------- */

struct ids { /* of a split, as spm_encode wrote them */
  struct text_job *j;
  enum data_split split;
  int32_t line_end;
  int64_t lines, next_end; /* lines so far; line of the next document's end */
  bool any;                /* of this line */
  uint32_t block[BLOCK];
  size_t n;
};

static enum status
flush_ids (struct ids *t)
{
  size_t n = t->n;
  t->n = 0;
  return n ? import_corpus_put (t->j->corpus, t->split, t->block, n) : OK;
}

static enum status
add_id (struct ids *t, uint32_t id)
{
  if (t->n + 2 > BLOCK)
    TRY (flush_ids (t));
  if (t->j->pending[t->split])
    t->block[t->n++] = (uint32_t)t->j->corpus->separator;
  t->j->pending[t->split] = false;
  t->block[t->n++] = id;
  return OK;
}

static void
next_end (struct ids *t)
{
  FILE *f = t->j->ends[t->split];
  if (fread (&t->next_end, sizeof t->next_end, 1, f) != 1)
    t->next_end = -1;
}

static enum status
end_id_line (struct ids *t)
{
  t->lines++;
  if (t->j->documents != IMPORT_DOCUMENT_LINE)
    TRY (add_id (t, (uint32_t)t->line_end));
  if (t->lines == t->next_end) {
    t->j->pending[t->split] = true;
    next_end (t);
  }
  return OK;
}

static enum status
read_ids (struct ids *t, FILE *in, const char *path)
{
  int64_t id = -1;
  int c;
  while ((c = getc (in)) != EOF) {
    if (isdigit (c)) {
      id = (id < 0 ? 0 : id) * 10 + (c - '0');
      if (id >= t->j->corpus->vocab)
        return fail (E_DATA, "%s: line %lld: id %lld, the model has %lld", path,
                     (long long)t->lines + 1, (long long)id,
                     (long long)t->j->corpus->vocab);
      continue;
    }
    if (id >= 0)
      TRY (add_id (t, (uint32_t)id));
    id = -1;
    if (c == '\n')
      TRY (end_id_line (t));
    else if (c != ' ')
      return fail (E_DATA, "%s: line %lld: no list of ids", path,
                   (long long)t->lines + 1);
    if (c == '\n' && t->lines % 65536 == 0)
      log_progress ("tokens of %s: line %s of %s", data_split_name (t->split),
                    text_count (t->lines), text_count (t->j->lines[t->split]));
  }
  if (ferror (in))
    return io_failed (path, "read");
  return flush_ids (t);
}

/* spm_encode writes a line of ids for each line of text.  The end of a line is
 * a token, too, and must be put in; the numbers of the lines at which documents
 * end were noted when the text was laid down. */
static enum status
take_ids (struct text_job *j, int split, int32_t line_end)
{
  static struct ids t; /* the block is large for a stack */
  const char *path = beside (j, split, ".ids");
  t = (struct ids){
      .j = j, .split = (enum data_split)split, .line_end = line_end};
  FILE *in = fopen (path, "rb");
  if (!in)
    return io_failed (path, "read");
  rewind (j->ends[split]);
  next_end (&t);
  enum status s = read_ids (&t, in, path);
  fclose (in);
  if (s == OK && t.lines != j->lines[split])
    s = fail (E_DATA, "spm_encode wrote %lld lines for %lld of %s",
              (long long)t.lines, (long long)j->lines[split],
              beside (j, split, ".txt"));
  return s;
}

/* The model: what is in it, and that it is the one asked for. */
static enum status
take_model (struct text_job *j, const char *path, int64_t vocab,
            int32_t *line_end)
{
  struct import_corpus *c = j->corpus;
  struct data_pieces *p = NULL;
  TRY (store_file_read (path, &c->model, &c->model_bytes));
  TRY (data_pieces_open (path, c->model, c->model_bytes, &p));
  int64_t n = data_pieces_count (p);
  *line_end = data_pieces_byte (p, '\n');
  c->separator = data_pieces_end (p);
  const char *changes = data_pieces_changes (p);
  data_pieces_close (&p);
  if (changes)
    return fail (E_DATA,
                 "%s: this model %s, so that its pieces do not give the text "
                 "back: one that does is made with spm_train "
                 "--byte_fallback=true --normalization_rule_name=identity "
                 "--remove_extra_whitespaces=false",
                 path, changes);
  if (vocab > 0 && n != vocab)
    return fail (E_CONFIG, "%s has %lld pieces, vocab=%lld asks for others",
                 path, (long long)n, (long long)vocab);
  if (c->separator < 0)
    return fail (E_DATA, "%s: has no piece </s>, which separates documents",
                 path);
  c->vocab = n;
  c->width = n <= 65536 ? 2 : 4;
  return OK;
}

static enum status
make_pieces (struct text_job *j, struct import_source_spec *spec,
             const char *model, int64_t vocab)
{
  struct import_source_sink sink = {put_line, end_lines, j};
  int64_t bytes[DATA_SPLITS] = {0};
  int32_t line_end = -1;
  if (model) /* known to do before the text is read */
    TRY (take_model (j, model, vocab, &line_end));
  TRY (open_lines (j));
  TRY (import_source_walk (spec, &sink, bytes));
  TRY (close_text (j));
  for (int i = 0; i < DATA_SPLITS; i++)
    j->corpus->split[i].bytes = bytes[i];
  if (j->lines[DATA_TRAIN] == 0)
    return fail (E_DATA, "%s: no lines to train on", j->corpus->output);
  if (!model) {
    TRY (train_pieces (j, vocab > 0 ? vocab : VOCAB_DEFAULT));
    model = beside (j, -1, ".model");
    TRY (take_model (j, model, 0, &line_end));
  }
  j->corpus->tokenizer = "sentencepiece";
  char path[4096];
  snprintf (path, sizeof path, "%s", model);
  for (int i = 0; i < DATA_SPLITS; i++) {
    if (j->lines[i] == 0)
      continue;
    TRY (encode_split (j, path, i));
    TRY (take_ids (j, i, line_end));
  }
  return OK;
}

static enum status
import_pieces (struct text_job *j, struct import_source_spec *spec,
               const char *model, int64_t vocab)
{
  const char *needed = model ? "spm_encode" : "spm_train";
  spec->whole_lines = spec->utf8 = true;
  if (!spawn_found (needed)) /* before hours of reading */
    return fail (E_MISSING,
                 "%s is not on PATH: install SentencePiece's programs (Debian: "
                 "apt install sentencepiece)",
                 needed);
  enum status s = make_pieces (j, spec, model, vocab);
  remove_pieces (j);
  return s;
}

/* -- the command ----------------------------------------------------------- */

static enum status
import_as (const struct import_job *job, const char *tokenizer,
           const char *model, int64_t vocab, struct import_source_spec *spec)
{
  struct import_corpus corpus = {.name = "text"};
  struct text_job j = {.corpus = &corpus, .documents = spec->documents};
  static const int64_t none[DATA_SPLITS] = {0};
  text_init (&corpus.origin);
  for (int i = 0; i < job->n_inputs; i++)
    text_add (&corpus.origin, "%s%s", i ? ", " : "",
              store_file_name (job->inputs[i]));
  enum status s = import_corpus_open (job->output, 256, &corpus);
  if (s == OK && strcmp (tokenizer, "bytes") == 0)
    s = import_bytes (&j, spec);
  else if (s == OK)
    s = import_pieces (&j, spec, model, vocab);
  if (s == OK && corpus.split[DATA_TRAIN].n < 2)
    s = fail (E_DATA, "%s: no text to train on", job->inputs[0]);
  if (s == OK)
    s = import_corpus_write (&corpus, none);
  if (s == OK)
    import_corpus_say (&corpus);
  import_corpus_close (&corpus);
  text_clear (&corpus.origin);
  return s;
}

static enum status
choose_tokenizer (const char *tokenizer, const char *model, int64_t vocab)
{
  static const char *const names[] = {"bytes", "sentencepiece"};
  bool bytes = strcmp (tokenizer, names[0]) == 0;
  if (!bytes && strcmp (tokenizer, names[1]) != 0) {
    const char *near = text_nearest (tokenizer, names, 2);
    return fail (E_CONFIG,
                 "import text: tokenizer \"%s\" is not known: bytes or "
                 "sentencepiece%s%s%s",
                 tokenizer, near ? "; did you mean " : "", near ? near : "",
                 near ? "?" : "");
  }
  if (bytes && vocab != 0 && vocab != 256)
    return fail (E_CONFIG, "import text: the tokenizer bytes has a vocabulary "
                           "of 256");
  if (bytes && model)
    return fail (E_CONFIG, "import text: the tokenizer bytes has no model; for "
                           "--tokenizer sentencepiece");
  return OK;
}

static enum status
choose_documents (const char *word, enum import_documents *out)
{
  static const char *const names[] = {"file", "line", "blank"};
  for (int i = 0; i < 3; i++)
    if (strcmp (word, names[i]) == 0) {
      *out = (enum import_documents)i;
      return OK;
    }
  return fail (E_CONFIG,
               "import text: documents=%s: file (each file is one), line (each "
               "line) or blank (separated by blank lines)",
               word);
}

/* A share, a number, or a file. */
static enum status
choose_share (const struct import_job *job, const char *word,
              const char *const *file, int split,
              struct import_source_spec *spec)
{
  double share;
  if (!word)
    return OK;
  if (text_to_double (word, &share)) {
    if (!(share >= 0) || (share > 1 && share != (double)(int64_t)share))
      return fail (E_CONFIG,
                   "import %s: %s=%s: a share below 1, a number of bytes, or a "
                   "file",
                   job->kind, data_split_name ((enum data_split)split), word);
    if (spec->by_document && share >= 1)
      return fail (E_CONFIG,
                   "import %s: %s=%s: with split=document a share below 1",
                   job->kind, data_split_name ((enum data_split)split), word);
    spec->share[split] = share;
    return OK;
  }
  spec->n[split] = 1;
  spec->files[split] = file;
  return OK;
}

enum status
import_text (const struct import_job *job)
{
  const char *tokenizer = "bytes", *model = NULL, *documents = "file";
  const char *split = "order", *valid = NULL, *test = NULL;
  struct import_option options[] = {
      {"vocab", 0, 2, 1 << 24, NULL}, {"tokenizer", 0, 0, 0, &tokenizer},
      {"model", 0, 0, 0, &model},     {"documents", 0, 0, 0, &documents},
      {"split", 0, 0, 0, &split},     {"valid", 0, 0, 0, &valid},
      {"test", 0, 0, 0, &test},
  };
  struct import_source_spec spec = {.share = {0, 0.1, 0}};
  TRY (import_options_parse (job->kind, job->n_options, job->options, options,
                             sizeof options / sizeof *options));
  if (job->n_inputs < 1)
    return fail (E_USAGE, "import text: no files");
  TRY (choose_tokenizer (tokenizer, model, options[0].value));
  TRY (choose_documents (documents, &spec.documents));
  spec.by_document = strcmp (split, "document") == 0;
  if (!spec.by_document && strcmp (split, "order") != 0)
    return fail (E_CONFIG,
                 "import text: split=%s: order (valid and test are the end of "
                 "the text) or document (whole documents in turn)",
                 split);
  spec.n[DATA_TRAIN] = job->n_inputs;
  spec.files[DATA_TRAIN] = job->inputs;
  if (valid || test)
    spec.share[DATA_VALID] = 0;
  TRY (choose_share (job, valid, &valid, DATA_VALID, &spec));
  TRY (choose_share (job, test, &test, DATA_TEST, &spec));
  if (spec.share[DATA_VALID] + spec.share[DATA_TEST] >= 1 &&
      spec.share[DATA_VALID] < 1 && spec.share[DATA_TEST] < 1)
    return fail (E_CONFIG, "import text: valid and test leave nothing to train "
                           "on");
  return import_as (job, tokenizer, model, options[0].value, &spec);
}
