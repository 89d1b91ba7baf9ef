/* ranks: 0 */
/* tests/data/tokens.c -- text and ready ids as data sets: what the importers
 * write is read back with HDF5 alone; windows and labels are compared with
 * those made here from the definition; bad files are refused with file, place
 * and number.
 */
#include "data/data.h"
#include "import/import.h"
#include "tests/data/refused.h"
#include "tests/import/packed.h"
#include "tests/scratch.h"
#include "tests/data/sets.h"
#include "tests/tap.h"

#include "base/fault.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"
#include <zlib.h>

enum { ROOM = 1 << 16 };

/* -- helpers --------------------------------------------------------------- */

static enum status
import_words (const char *kind, const char *output, int n_inputs,
              const char *const *inputs, const char *words)
{
  const char *list[9];
  char copy[1024], *save = NULL;
  int n = 0;
  list[n++] = "force=yes"; /* what the last test has made */
  snprintf (copy, sizeof copy, "%s", words);
  for (char *w = strtok_r (copy, " ", &save); w;
       w = strtok_r (NULL, " ", &save))
    list[n++] = w;
  return import_run (kind, n_inputs, inputs, n, list, output);
}

static enum status
import_one (const char *kind, const char *output, const char *input,
            const char *words)
{
  return import_words (kind, output, 1, &input, words);
}

/* A split by HDF5 alone; -1 when it is not there. */
static int64_t
read_split (const char *path, const char *split, int *out)
{
  char name[32];
  int64_t n = -1;
  snprintf (name, sizeof name, "/%s/tokens", split);
  hid_t file = H5Fopen (path, H5F_ACC_RDONLY, H5P_DEFAULT);
  if (file < 0 || H5Lexists (file, name + 0, H5P_DEFAULT) < 0) {
    if (file >= 0)
      H5Fclose (file);
    return -1;
  }
  hid_t set = H5Dopen2 (file, name, H5P_DEFAULT);
  if (set >= 0) {
    hid_t space = H5Dget_space (set);
    n = (int64_t)H5Sget_simple_extent_npoints (space);
    if (n > ROOM ||
        H5Dread (set, H5T_NATIVE_INT, H5S_ALL, H5S_ALL, H5P_DEFAULT, out) < 0)
      n = -2;
    H5Sclose (space);
    H5Dclose (set);
  }
  H5Fclose (file);
  return n;
}

/* Whether a split's tokens are those bytes; '|' stands for 0. */
static bool
split_is (const char *path, const char *split, const char *text)
{
  static int ids[ROOM];
  int64_t n = read_split (path, split, ids);
  bool good = n == (int64_t)strlen (text);
  for (int64_t i = 0; good && i < n; i++)
    good = ids[i] == (text[i] == '|' ? 0 : (unsigned char)text[i]);
  if (!good && n >= 0) {
    fprintf (stderr, "# %s /%s: ", path, split);
    for (int64_t i = 0; i < n; i++)
      fputc (ids[i] ? ids[i] : '|', stderr);
    fputc ('\n', stderr);
  }
  return good || (text[0] == '\0' && n == -1);
}

#define WORDS(...) ((const char *const[REFUSED_WORDS]){__VA_ARGS__})

static void
write_text (const char *path, const char *text)
{
  scratch_write (path, text, strlen (text));
}

/* -- text by bytes --------------------------------------------------------- */

struct way {
  const char *what, *words, *train, *valid, *test;
};

/* Of one file, TEXT. */
#define TEXT "one\ntwo\n\nthree\nfour\n"
static const struct way ways[] = {
    {"a share at the end", "valid=0.25", "one\ntwo\n\nthree\n", "four\n", ""},
    {"numbers of bytes, cut where they say", "valid=6 test=4", "one\ntwo\n\nt",
     "hree\nf", "our\n"},
    {"a tenth where nothing is said", "", "one\ntwo\n\nthree\nfou", "r\n", ""},
    {"nothing held out", "valid=0", TEXT, "", ""},
    {"lines as documents", "documents=line valid=0", "one|two|three|four", "",
     ""},
    {"blank lines between documents", "documents=blank valid=0",
     "one\ntwo\n\n|three\nfour\n", "", ""},
    {"every second document", "documents=line split=document valid=0.5",
     "one|three", "two|four", ""},
    {"every fourth document, twice",
     "documents=line split=document valid=0.25 test=0.25", "one|two|three",
     "four", ""},
};

static void
test_ways (void)
{
  const char *in = scratch ("way.txt"), *out = scratch ("way.h5");
  write_text (in, TEXT);
  for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
    const struct way *w = &ways[i];
    enum status s = import_one ("text", out, in, w->words);
    tap_ok (s == OK && split_is (out, "train", w->train) &&
                split_is (out, "valid", w->valid) &&
                split_is (out, "test", w->test),
            "%s: %s", w->what, s == OK ? w->words : fail_message ());
    fail_clear ();
  }
}

static void
write_gz (const char *path, const char *text)
{
  gzFile f = gzopen (path, "wb");
  gzwrite (f, text, (unsigned)strlen (text) / 2);
  gzclose (f);
  f = gzopen (path, "ab");
  gzwrite (f, text + strlen (text) / 2,
           (unsigned)(strlen (text) - strlen (text) / 2));
  gzclose (f);
}

static void
write_xz (const char *path, const char *text)
{
  const struct packed whole = {
      .name = "text", .data = text, .size = strlen (text)};
  if (!packed_write (path, "xz", NULL, 1, &whole))
    tap_bail ("xz");
}

/* One bit of train's third token. */
static void
flip_token (const char *path)
{
  hid_t file = H5Fopen (path, H5F_ACC_RDONLY, H5P_DEFAULT);
  hid_t set = H5Dopen2 (file, "/train/tokens", H5P_DEFAULT);
  int64_t at = (int64_t)H5Dget_offset (set) + 4;
  H5Dclose (set);
  H5Fclose (file);
  scratch_flip (path, at);
}

static void
test_files (void)
{
  const char *out = scratch ("files.h5");
  const char *in[3] = {scratch ("a.gz"), scratch ("b.xz"), scratch ("c")};
  char words[1200];
  write_gz (in[0], "first ");
  write_xz (in[1], "second, longer");
  write_text (in[2], "third\n");
  enum status s = import_words ("text", out, 3, in, "valid=6");
  tap_ok (s == OK && split_is (out, "train", "first |second, longer") &&
              split_is (out, "valid", "third\n"),
          "three files in three wrappings are three documents");
  snprintf (words, sizeof words, "valid=%s test=%s", in[1], in[0]);
  s = import_words ("text", out, 1, in + 2, words);
  tap_ok (s == OK && split_is (out, "train", "third\n") &&
              split_is (out, "valid", "second, longer") &&
              split_is (out, "test", "first "),
          "valid and test from files of their own");
  struct data_set *d = NULL;
  struct data_info info = {.classes = 0};
  if (data_open (out, &d) == OK)
    data_info (d, &info);
  tap_ok (info.classes == 256 && info.separator == 0 &&
              info.bytes[DATA_TRAIN] == 6 && info.bytes[DATA_VALID] == 14 &&
              info.tokens[DATA_TEST] == 6,
          "vocabulary, separator and bytes of text are known");
  data_close (&d);
  struct text t;
  text_init (&t);
  s = data_print (out, true, &t);
  tap_ok (s == OK && strstr (t.data, "agrees"), "its digests agree");
  flip_token (out);
  s = data_print (out, true, &t);
  tap_ok (refused (s, E_DATA, WORDS ("/train/tokens", "digest", "damaged")),
          "one bit is noticed");
  text_clear (&t);
}

/* -- constant memory ------------------------------------------------------- */

static void
test_memory (void)
{
  enum { MIB = 24 };
  const char *in = scratch ("large.txt"), *out = scratch ("large.h5");
  static char block[1 << 20];
  FILE *f = fopen (in, "wb");
  for (size_t i = 0; i < sizeof block; i++)
    block[i] = i % 61 == 60 ? '\n' : (char)('a' + i % 23);
  for (int i = 0; i < MIB; i++)
    fwrite (block, 1, sizeof block, f);
  fclose (f);
  size_t bytes, blocks, peak;
  enum status s = import_one ("text", out, in, "valid=0.1");
  mem_count (&bytes, &blocks, &peak);
  tap_ok (s == OK && peak < (size_t)6 << 20, "%d MiB are imported in %.1f MiB",
          MIB, (double)peak / (1 << 20));
  unlink (in);
  unlink (out);
}

/* -- SentencePiece --------------------------------------------------------- */

/* Sentences of words that come back. */
static void
write_prose (const char *path, int lines)
{
  static const char *const words[] = {"the",
                                      "house",
                                      "stands",
                                      "beside",
                                      "a",
                                      "river",
                                      "and",
                                      "its",
                                      "water",
                                      "runs",
                                      "slowly",
                                      "under",
                                      "old",
                                      "bridges",
                                      "where",
                                      "children",
                                      "play",
                                      "until",
                                      "evening",
                                      "falls",
                                      "\xc3\xa9t\xc3\xa9",
                                      "\xce\xba\xce\xb1\xce\xb9",
                                      "<unk>",
                                      "  spaced",
                                      "end\t."};
  FILE *f = fopen (path, "wb");
  struct random_key key = {3, RANDOM_TEST, 1, 1};
  uint64_t at = 0;
  for (int i = 0; i < lines; i++) {
    int n = (int)random_below (&key, at++, 14);
    for (int k = 0; k < n; k++)
      fprintf (f, "%s%s", k ? " " : "", words[random_below (&key, at++, 25)]);
    fputc ('\n', f);
  }
  fclose (f);
}

/* Decoded, a split is the text; encoded, the text is the split. */
static void
round_trip (const char *out, const char *text_path)
{
  static int ids[ROOM];
  static char text[ROOM], back[ROOM];
  FILE *f = fopen (text_path, "rb");
  size_t size = f ? fread (text, 1, sizeof text, f) : 0, have = 0;
  if (f)
    fclose (f);
  int64_t n = read_split (out, "train", ids), m = 0;
  struct data_set *d = NULL;
  struct data_tokenizer *t = NULL;
  int32_t *again = NULL;
  enum status s = data_open (out, &d);
  if (s == OK)
    s = data_tokenizer_open (d, &t);
  for (int64_t i = 0; s == OK && i < n; i++) {
    size_t k;
    const char *p = data_tokenizer_decode (t, ids[i], &k);
    if (have + k <= sizeof back)
      memcpy (back + have, p, k);
    have += k;
  }
  tap_ok (s == OK && have == size && memcmp (text, back, size) == 0,
          "pieces decode to the text, byte for byte (%zu of %zu)", have, size);
  if (s == OK)
    s = data_tokenizer_encode (t, text, size, &again, &m);
  bool same = s == OK && m == n;
  for (int64_t i = 0; same && i < n; i++)
    same = again[i] == ids[i];
  tap_ok (same, "and the text encodes to what spm_encode said (%d tokens)",
          (int)n);
  mem_free (&again);
  data_tokenizer_close (&t);
  data_close (&d);
  fail_clear ();
}

static void
test_pieces (void)
{
  const char *in = scratch ("prose.txt"), *out = scratch ("prose.h5");
  const char *copy = scratch ("again.h5"), *model = scratch ("m.model");
  char command[2200], words[700];
  write_prose (in, 400);
  enum status s =
      import_one ("text", out, in, "tokenizer=sentencepiece vocab=320 valid=0");
  if (s == E_MISSING) {
    for (int i = 0; i < 10; i++)
      tap_skip ("spm_train is not installed");
    fail_clear ();
    return;
  }
  tap_ok (s == OK, "imported by pieces%s%s", s == OK ? "" : ": ",
          fail_message ());
  fail_clear ();
  round_trip (out, in);
  /* BPE, from a model of their own. */
  snprintf (command, sizeof command,
            "spm_train --input=%s --model_prefix=%s/m --model_type=bpe "
            "--vocab_size=360 --byte_fallback=true "
            "--normalization_rule_name=identity "
            "--remove_extra_whitespaces=false --minloglevel=2 >%s/log 2>&1",
            in, scratch_folder, scratch_folder);
  snprintf (words, sizeof words, "tokenizer=sentencepiece valid=0 model=%s",
            model);
  tap_ok (system (command) == 0 && import_one ("text", copy, in, words) == OK,
          "imported with a BPE model that was there");
  round_trip (copy, in);
  snprintf (words, sizeof words, "tokenizer=sentencepiece vocab=99 model=%s",
            model);
  s = import_one ("text", copy, in, words);
  tap_ok (refused (s, E_CONFIG, WORDS ("m.model", "360", "vocab=99")),
          "a model that does not match is refused");
  /* One that has its own idea of a text. */
  snprintf (command, sizeof command,
            "spm_train --input=%s --model_prefix=%s/m --vocab_size=300 "
            "--byte_fallback=true --remove_extra_whitespaces=false "
            "--minloglevel=2 >%s/log 2>&1",
            in, scratch_folder, scratch_folder);
  snprintf (words, sizeof words, "tokenizer=sentencepiece model=%s", model);
  bool made = system (command) == 0;
  s = import_one ("text", copy, "no-such-file", words);
  tap_ok (made && refused (s, E_DATA,
                           WORDS ("m.model", "replaces characters",
                                  "rule_name=identity")),
          "a model that changes text is refused before the text is read");
  snprintf (command, sizeof command,
            "spm_train --input=%s --model_prefix=%s/m --vocab_size=300 "
            "--byte_fallback=true --normalization_rule_name=identity "
            "--minloglevel=2 >%s/log 2>&1",
            in, scratch_folder, scratch_folder);
  made = system (command) == 0;
  s = import_one ("text", copy, "no-such-file", words);
  tap_ok (made && refused (s, E_DATA, WORDS ("m.model", "removes blanks")),
          "so is one that takes blanks out");
  snprintf (words, sizeof words, "tokenizer=sentencepiece model=%s", in);
  s = import_one ("text", copy, in, words);
  tap_ok (refused (s, E_DATA, WORDS ("prose.txt", "not a SentencePiece model")),
          "a file that is no model is refused");
}

static void
test_no_program (void)
{
  char kept[4096];
  const char *in = scratch ("utf.txt"), *out = scratch ("utf.h5");
  static const struct {
    const char *what, *text, *say;
  } rows[] = {
      {"a lone byte", "abc\xff", "byte 3 (ff)"},
      {"an overlong form", "ab\xc0\xaf", "byte 2 (c0)"},
      {"a surrogate", "a\xed\xa0\x80", "byte 2 (a0)"},
      {"beyond the last", "\xf4\x90\x80\x80", "byte 1 (90)"},
      {"a broken one", "x\xe2\x82y", "byte 3 (79)"},
      {"cut off", "abcd\xe2\x82", "ends at byte 6"},
  };
  snprintf (kept, sizeof kept, "%s", getenv ("PATH"));
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    write_text (in, rows[i].text);
    tap_ok (import_one ("text", out, in, "valid=0") == OK, "bytes take %s",
            rows[i].what);
    fail_clear ();
    enum status s = import_one ("text", out, in, "tokenizer=sentencepiece");
    if (s == E_MISSING) {
      tap_skip ("spm_train is not installed");
      fail_clear ();
    } else
      tap_ok (refused (s, E_DATA, WORDS ("utf.txt", rows[i].say, "UTF-8")),
              "pieces do not, and name the place");
  }
  setenv ("PATH", scratch_folder, 1);
  enum status s = import_one ("text", out, in, "tokenizer=sentencepiece");
  setenv ("PATH", kept, 1);
  tap_ok (refused (s, E_MISSING, WORDS ("spm_train", "sentencepiece")),
          "without the program its package is named");
}

/* -- ready ids ------------------------------------------------------------- */

static bool
ids_are (const char *path, const char *split, int n, const int *wanted)
{
  static int ids[ROOM];
  int64_t found = read_split (path, split, ids);
  return found == n && memcmp (ids, wanted, (size_t)n * sizeof *ids) == 0;
}

static void
test_ids (void)
{
  static const int all[8] = {7, 0, 65535, 9, 70000, 3, 3, 1};
  static const uint16_t narrow[8] = {7, 0, 65535, 9, 4464, 3, 3, 1};
  uint32_t wide[8];
  int64_t huge[8];
  for (int i = 0; i < 8; i++) {
    wide[i] = (uint32_t)all[i];
    huge[i] = all[i];
  }
  const char *in = scratch ("ids"), *out = scratch ("ids.h5");
  char npy[128 + sizeof huge] = "\x93NUMPY\x01";
  snprintf (npy + 10, 118,
            "{'descr': '<i8', 'fortran_order': False, 'shape': (8,), }");
  npy[8] = 118;
  memcpy (npy + 128, huge, sizeof huge);
  static const int held[8] = {7, 0, 65535, 9, 4464, 3, 3, 1};
  scratch_write (in, narrow, sizeof narrow);
  tap_ok (import_one ("tokens", out, in, "vocab=65536 valid=2 test=1") == OK &&
              ids_are (out, "train", 5, held) &&
              ids_are (out, "valid", 2, held + 5) &&
              ids_are (out, "test", 1, held + 7),
          "16-bit ids; the last are held out");
  scratch_write (in, wide, sizeof wide);
  tap_ok (import_one ("tokens", out, in,
                      "vocab=70001 format=uint32 valid=0 separator=3") == OK &&
              ids_are (out, "train", 8, all),
          "32-bit ids");
  write_text (in, "7 0,65535\n9 70000\t3 3 1");
  tap_ok (import_one ("tokens", out, in, "vocab=70001 format=text valid=0") ==
                  OK &&
              ids_are (out, "train", 8, all),
          "ids as text");
  scratch_write (in, npy, sizeof npy);
  tap_ok (import_one ("tokens", out, in, "vocab=70001 valid=0") == OK &&
              ids_are (out, "train", 8, all),
          "a .npy file");
  tap_ok (refused (import_one ("tokens", out, in, "vocab=70000 valid=0"),
                   E_DATA, WORDS ("ids", "token 4", "70000", "69999")),
          "an id outside the vocabulary is named with its place");
  /* As long as a header may be, and its last byte is the first comma. */
  char edge[10 + 1023 + 16] = "\x93NUMPY\x01\0\xff\x03{'descr': '<u2', "
                              "'shape': (";
  memset (edge + strlen (edge + 10) + 10, '1', 1022 - strlen (edge + 10));
  edge[10 + 1022] = ',';
  scratch_write (in, edge, sizeof edge);
  tap_ok (refused (import_one ("tokens", out, in, "vocab=70001 valid=0"),
                   E_DATA, WORDS ("ids", ".npy", "one-dimensional")),
          "a .npy file whose header ends in its shape");
  scratch_write (in, wide, sizeof wide - 1);
  tap_ok (refused (import_one ("tokens", out, in,
                               "vocab=70001 format=uint32 valid=0"),
                   E_DATA, WORDS ("ids", "3 bytes", "token 7")),
          "a file cut inside an id is refused");
  write_text (in, "1 2 x");
  tap_ok (refused (import_one ("tokens", out, in, "vocab=9 format=text"),
                   E_DATA, WORDS ("behind token 2", "x")),
          "what is no number is refused");
  tap_ok (scratch_parts () == 0, "nothing half-made is left behind");
}

/* -- windows --------------------------------------------------------------- */

enum { N = 103, VALID = 31, VOCAB = 50, T = 8 };

static int
token (int split, int64_t i)
{
  struct random_key key = {17, RANDOM_TEST, (uint64_t)split, 5};
  return (int)random_below (&key, (uint64_t)i, VOCAB);
}

enum token_spoil {
  GOOD,
  CHUNKED,
  TOO_HIGH,
  REALS,
  TWO_DIMS,
  NO_VOCAB,
  NO_TOKENIZER,
  MIXED
};

static void
make_set (const char *path, enum token_spoil spoil)
{
  int version = 1, vocab = VOCAB, ids[N];
  hid_t file = H5Fcreate (path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  set_text (file, "interlock_format", "dataset");
  set_text (file, "kind", "tokens");
  set_text (file, "name", "small");
  set_numbers (file, "version", H5T_NATIVE_INT, 0, &version);
  if (spoil != NO_VOCAB)
    set_numbers (file, "vocab_size", H5T_NATIVE_INT, 0, &vocab);
  if (spoil != NO_TOKENIZER)
    set_text (file, "tokenizer", "other");
  for (int split = 0; split < 2; split++) {
    int64_t n = split == 0 ? N : VALID;
    for (int64_t i = 0; i < n; i++)
      ids[i] = token (split, i);
    if (spoil == TOO_HIGH && split == 1)
      ids[17] = VOCAB;
    hid_t g = H5Gcreate2 (file, split == 0 ? "train" : "valid", H5P_DEFAULT,
                          H5P_DEFAULT, H5P_DEFAULT);
    hsize_t dims[4] = {(hsize_t)n, 1, 1, 1};
    set_array (g, "tokens",
               spoil == REALS                 ? H5T_IEEE_F32LE
               : spoil == MIXED && split == 1 ? H5T_STD_U32LE
               : spoil == CHUNKED             ? H5T_STD_U16BE
                                              : H5T_STD_U16LE,
               H5T_NATIVE_INT, spoil == TWO_DIMS ? 2 : 1, dims,
               spoil == CHUNKED, ids);
    H5Gclose (g);
  }
  H5Fclose (file);
}

static void
test_bad_sets (void)
{
  static const struct {
    enum token_spoil spoil;
    const char *say[REFUSED_WORDS];
  } rows[] = {
      {TOO_HIGH,
       {"bad.h5", "/valid/tokens[17]", "token 50", "vocab_size is 50"}},
      {REALS, {"/train/tokens", "uint16"}},
      {TWO_DIMS, {"/train/tokens", "[103, 1]", "[T]"}},
      {NO_VOCAB, {"vocab_size", "missing"}},
      {NO_TOKENIZER, {"tokenizer", "missing"}},
      {MIXED, {"/valid/tokens", "4 bytes", "2"}},
  };
  const char *path = scratch ("bad.h5");
  struct data_set *d = NULL;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    make_set (path, rows[i].spoil);
    tap_ok (refused (data_open (path, &d), E_DATA, rows[i].say), "refused: %s",
            rows[i].say[0]);
    data_close (&d);
  }
  make_set (path, GOOD);
  if (truncate (path, scratch_bytes (path) - 20) != 0)
    tap_bail ("truncate");
  tap_ok (refused (data_open (path, &d), E_DATA, WORDS ("bad.h5")),
          "refused: cut off");
  data_close (&d);
  int64_t n;
  make_set (path, GOOD);
  if (data_open (path, &d) != OK)
    tap_bail ("open");
  data_windows (d, VALID, 0);
  tap_ok (refused (data_training_samples (d, DATA_VALID, true, &n), E_DATA,
                   WORDS ("/valid/tokens", "31 tokens", "context = 31", "32")),
          "a context longer than the data is refused");
  tap_ok (refused (data_training_samples (d, DATA_TEST, true, &n), E_DATA,
                   WORDS ("/test")),
          "a split that is not there is refused");
  data_close (&d);
}

/* The slow twin: where window `sample` of an epoch begins. */
static int64_t
window_twin (bool shuffle, int64_t stride, uint64_t seed, int64_t epoch,
             int64_t sample)
{
  struct random_key key = {seed, RANDOM_WINDOW, (uint64_t)epoch, 0};
  return shuffle ? sample * T + (int64_t)random_below (&key, 0, T)
                 : sample * stride;
}

static void
test_loader (const char *path, bool shuffle, int64_t stride, int64_t memory)
{
  enum { BATCH = 6, STEPS = 9, SEED = 77 };
  struct data_set *d = NULL;
  struct data_loader *l = NULL;
  struct data_order *o = NULL;
  int32_t x[BATCH * T], labels[BATCH * T];
  int64_t n = 0, wanted = shuffle ? N / T - 1 : (N - 1 - T) / stride + 1;
  enum status s = data_open (path, &d);
  if (s != OK)
    tap_bail ("a set does not open");
  data_memory (d, memory);
  data_windows (d, T, stride);
  s = data_training_samples (d, DATA_TRAIN, shuffle, &n);
  tap_ok (s == OK && n == wanted, "%d windows, %s, stride %d", (int)n,
          shuffle ? "shuffled" : "sequential", (int)stride);
  struct data_loader_spec spec = {.data = d,
                                  .split = DATA_TRAIN,
                                  .batch = BATCH,
                                  .n = BATCH,
                                  .n_micro = 2,
                                  .shuffle = shuffle,
                                  .seed = SEED,
                                  .start_step = 1,
                                  .end_step = STEPS,
                                  .ahead = 2};
  s = data_order_create (n, BATCH, shuffle, SEED, &o);
  if (s == OK)
    s = data_loader_open (&spec, &l);
  bool inputs = s == OK, targets = s == OK;
  for (int64_t step = 1; s == OK && step < STEPS; step++) {
    for (int m = 0; m < 2 && s == OK; m++)
      s = data_take (l, step, m, (float *)(x + m * BATCH / 2 * T));
    if (s == OK)
      s = data_take_labels (d, DATA_TRAIN, o, step, 0, BATCH, labels);
    for (int64_t i = 0; i < BATCH; i++) {
      int64_t epoch, sample;
      data_order_sample (o, step, i, &epoch, &sample);
      int64_t at = window_twin (shuffle, stride, SEED, epoch, sample);
      for (int64_t t = 0; t < T; t++) {
        inputs = inputs && x[i * T + t] == token (0, at + t);
        targets = targets && labels[i * T + t] == token (0, at + t + 1);
      }
    }
  }
  tap_ok (s == OK && inputs, "tokens of every window%s%s", s ? ": " : "",
          fail_message ());
  tap_ok (s == OK && targets, "labels are the tokens behind them");
  fail_clear ();
  data_loader_close (&l);
  data_order_destroy (&o);
  data_close (&d);
}

static void
test_evaluation (const char *path)
{
  struct data_set *d = NULL;
  struct data_info info;
  int32_t x[3 * T], labels[3 * T];
  int scored[VALID] = {0};
  bool good = data_open (path, &d) == OK;
  data_windows (d, T, 3);
  data_info (d, &info);
  int64_t n = info.samples[DATA_VALID];
  for (int64_t b = 0; b * 3 < n + 3; b++) {
    good = good && data_read (d, DATA_VALID, b * 3, 3, (float *)x) == OK &&
           data_read_labels (d, DATA_VALID, b * 3, 3, n, labels) == OK;
    for (int64_t i = 0; i < 3 * T; i++) {
      int64_t at = b * 3 * T + i;
      good = good && x[i] == (at < VALID ? token (1, at) : 0);
      if (labels[i] < 0)
        continue;
      good = good && at + 1 < VALID && labels[i] == token (1, at + 1);
      if (at + 1 < VALID)
        scored[at + 1]++;
    }
  }
  for (int i = 1; i < VALID; i++)
    good = good && scored[i] == 1;
  tap_ok (good && n == 4,
          "an evaluation scores every token but the first once");
  good = data_read_labels (d, DATA_VALID, 0, 3, 2, labels) == OK;
  for (int64_t i = 0; i < 3 * T; i++)
    good = good && (labels[i] >= 0) == (i < 2 * T);
  tap_ok (good, "a limit leaves later windows without labels");
  data_close (&d);
}

/* Two epochs begin at different places, and one window is enough. */
static void
test_offsets (void)
{
  struct data_order *o = NULL;
  int different = 0;
  if (data_order_create (4, 2, true, 5, &o) != OK)
    tap_bail ("order");
  bool inside = true;
  for (int64_t e = 0; e < 50; e++) {
    int64_t at = data_order_offset (o, e, T);
    inside = inside && at >= 0 && at < T && at == data_order_offset (o, e, T);
    different += at != data_order_offset (o, e + 1, T);
  }
  tap_ok (inside && different > 30, "epochs begin at places of their own");
  data_order_destroy (&o);
}

static void
test_faults (void)
{
  const char *in = scratch ("f.txt"), *out = scratch ("f.h5");
  write_text (in, TEXT);
  fault_plant ("write");
  tap_ok (refused (import_one ("text", out, in, ""), E_IO,
                   WORDS ("f.h5.", ".part", "planted")) &&
              scratch_bytes (out) < 0 && scratch_parts () == 0,
          "a failed write leaves nothing");
  fault_plant ("");
  tap_ok (refused (import_one ("text", out, scratch ("none"), ""), E_MISSING,
                   WORDS ("none")),
          "a file that is not there");
  write_gz (in, TEXT TEXT TEXT);
  if (truncate (in, scratch_bytes (in) - 12) != 0)
    tap_bail ("truncate");
  tap_ok (refused (import_one ("text", out, in, "valid=0"), E_DATA,
                   WORDS ("f.txt", "gzip", "cut off")),
          "a damaged gzip file");
}

int
main (void)
{
  if (!scratch_open ())
    return 1;
  log_level_set (LOG_WARN);
  test_memory ();
  test_ways ();
  test_files ();
  test_pieces ();
  test_no_program ();
  test_ids ();
  test_bad_sets ();
  const char *path = scratch ("w.h5");
  make_set (path, GOOD);
  test_loader (path, true, 0, 1 << 20);
  test_loader (path, false, T, 10);
  test_loader (path, false, 3, 1 << 20);
  make_set (path, CHUNKED);
  test_loader (path, true, 0, 10);
  make_set (path, GOOD);
  test_evaluation (path);
  test_offsets ();
  test_faults ();
  scratch_close ();
  return tap_done ();
}
