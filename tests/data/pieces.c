/* ranks: 0 */
/* tests/data/pieces.c -- a tokenizer's model is a file as others are: one that
 * somebody has made by hand is refused or used, and room is enough for the
 * most ids that a text can become.
 */
#include "data/data.h"
#include "tests/scratch.h"
#include "tests/data/sets.h"
#include "tests/tap.h"

#include "base/fault.h"
#include "base/log.h"
#include "base/memory.h"

/* -- a model, as protocol buffers ------------------------------------------ */

enum { NORMAL = 1, UNKNOWN, CONTROL, BYTE = 6 };
enum { FIRST_BYTE = 3, VOCAB = FIRST_BYTE + 256 };

static unsigned char model[1 << 14];
static size_t model_bytes;

static void
put_bytes (const void *data, size_t n)
{
  memcpy (model + model_bytes, data, n);
  model_bytes += n;
}

/* All of it is shorter than 128 bytes. */
static void
add_piece (const char *text, int type)
{
  unsigned char n = (unsigned char)strlen (text);
  const unsigned char begin[] = {1 << 3 | 2, (unsigned char)(n + 9), 1 << 3 | 2,
                                 n};
  const unsigned char end[] = {2 << 3 | 5,         0, 0, 0, 0, 3 << 3,
                               (unsigned char)type};
  put_bytes (begin, sizeof begin);
  put_bytes (text, n);
  put_bytes (end, sizeof end);
}

/* Bytes alone, and pieces of which every text is made otherwise; short: a piece
 * of the type of bytes that names none. */
static void
make_model (bool with_short)
{
  static const unsigned char tail[] = {3 << 3 | 2, 4, 3 << 3, 1, 4 << 3, 0};
  char name[8];
  model_bytes = 0;
  add_piece ("<unk>", UNKNOWN);
  add_piece ("<s>", CONTROL);
  add_piece ("</s>", CONTROL);
  for (int i = 0; i < 256; i++) {
    snprintf (name, sizeof name, "<0x%02X>", (unsigned)i);
    add_piece (name, BYTE);
  }
  if (with_short)
    add_piece ("", BYTE);
  put_bytes (tail, sizeof tail);
}

static void
make_set (const char *path, int vocab)
{
  int version = 1, ids[32] = {0};
  hsize_t n = 32, bytes = model_bytes;
  hid_t file = H5Fcreate (path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  set_text (file, "interlock_format", "dataset");
  set_text (file, "kind", "tokens");
  set_text (file, "name", "by hand");
  set_text (file, "tokenizer", "sentencepiece");
  set_numbers (file, "version", H5T_NATIVE_INT, 0, &version);
  set_numbers (file, "vocab_size", H5T_NATIVE_INT, 0, &vocab);
  set_array (file, "tokenizer_model", H5T_STD_U8LE, H5T_NATIVE_UINT8, 1, &bytes,
             false, model);
  hid_t g = H5Gcreate2 (file, "train", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  set_array (g, "tokens", H5T_STD_U16LE, H5T_NATIVE_INT, 1, &n, false, ids);
  H5Gclose (g);
  H5Fclose (file);
}

/* -- what comes of it ------------------------------------------------------ */

/* Each blank and the mark before a line are U+2581, three bytes of which none
 * is a piece: a line of one blank and its end become seven ids. */
static void
test_room (void)
{
  enum { LINES = 4000 };
  static char text[2 * LINES + 1];
  static const int line[7] = {0xe2, 0x96, 0x81, 0xe2, 0x96, 0x81, '\n'};
  struct data_set *d = NULL;
  struct data_tokenizer *t = NULL;
  int32_t *ids = NULL;
  int64_t n = 0;
  for (int i = 0; i < LINES; i++)
    memcpy (text + 2 * i, " \n", 2);
  make_model (false);
  make_set (scratch ("room.h5"), VOCAB);
  bool good = data_open (scratch ("room.h5"), &d) == OK &&
              data_tokenizer_open (d, &t) == OK &&
              data_tokenizer_encode (t, text, 2 * LINES, &ids, &n) == OK;
  tap_ok (good && n == 7 * LINES, "%lld ids of %d lines of a blank",
          (long long)n, LINES);
  for (int64_t i = 0; good && i < n; i++)
    good = ids[i] == FIRST_BYTE + line[i % 7];
  tap_ok (good, "all of them are as they should be");
  mem_free (&ids);
  good = data_tokenizer_encode (t, "", 0, &ids, &n) == OK && n == 0;
  mem_free (&ids);
  tap_ok (good, "no text, no ids");
  data_tokenizer_close (&t);
  data_close (&d);
}

/* A piece that says it is a byte and does not say which. */
static void
test_short (void)
{
  struct data_set *d = NULL;
  struct data_tokenizer *t = NULL;
  size_t n = 7;
  make_model (true);
  make_set (scratch ("short.h5"), VOCAB + 1);
  bool good = data_open (scratch ("short.h5"), &d) == OK &&
              data_tokenizer_open (d, &t) == OK;
  if (good)
    (void)data_tokenizer_decode (t, VOCAB, &n);
  tap_ok (good && n == 0, "a byte that is none is no text");
  data_tokenizer_close (&t);
  data_close (&d);
}

int
main (void)
{
  fault_plant (NULL);
  log_level_set (LOG_ERROR);
  if (!scratch_open ())
    return 1;
  H5Eset_auto2 (H5E_DEFAULT, NULL, NULL);
  test_room ();
  test_short ();
  scratch_close ();
  return tap_done ();
}
