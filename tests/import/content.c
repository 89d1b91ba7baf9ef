/* ranks: 0 */
/* tests/import/content.c -- files that are not what their names say: texts,
 * ids of other widths, files with headers; and outputs that are there already.
 */
#include "data/data.h"
#include "import/import.h"
#include "tests/scratch.h"
#include "tests/data/sets.h"
#include "tests/tap.h"

#include "base/log.h"

enum { IDS = 3000, VOCAB = 50257 };

static char out[512];

static bool
refused (enum status s, enum status wanted, const char *a, const char *b)
{
  bool good = s == wanted && strstr (fail_message (), a) &&
              strstr (fail_message (), b) && scratch_bytes (out) < 0;
  if (!good)
    tap_note ("status %d: %s", (int)s, fail_message ());
  fail_clear ();
  unlink (out);
  return good;
}

static enum status
import (const char *kind, const char *in, const char *one, const char *two)
{
  const char *words[] = {one, two ? two : "valid=0"};
  return import_run (kind, 1, &in, 2, words, out);
}

/* -- text ------------------------------------------------------------------ */

#define B(words) words, sizeof words - 1
static const struct {
  const char *bytes;
  size_t n;
  const char *name, *cure;
} kinds[] = {
    {B ("PK\3\4\24\0\0\0\10\0"), "a zip archive", "unzip"},
    {B ("BZh91AY&SY\1\2\3"), "bzip2 data", "bunzip2"},
    {B ("\x28\xb5\x2f\xfd\x24\1\2\3"), "zstd data", "unzstd"},
    {B ("PAR1\25\4\25\20"), "a parquet table", "lines"},
    {B ("\x89HDF\r\n\x1a\n\0\0"), "an HDF5 file", "data.file="},
    {B ("\377\376h\0e\0l\0"), "UTF-16 text", "iconv -f UTF-16"},
    {B ("\376\377\0h\0e\0l"), "UTF-16 text", "iconv"},
    {B ("\377\376\0\0h\0\0\0"), "UTF-32 text", "iconv -f UTF-32"},
    {B ("h\0e\0l\0l\0o\0 \0y\0o\0u\0!\0"), "UTF-16LE text", "iconv"},
    {B ("\0h\0e\0l\0l\0o\0 \0y\0o\0u\0!"), "UTF-16BE text", "iconv"},
    {B ("h\0\0\0e\0\0\0l\0\0\0l\0\0\0o\0\0\0"), "UTF-32LE text", "iconv"},
    {B ("%PDF-1.4\n"), "a PDF", "pdftotext"},
    {B ("GIF89a\1\0\1\0"), "a GIF image", "PNG"},
    {B ("\x89PNG\r\n\x1a\n\0\0"), "a PNG image", "import folder"},
    {B ("version https://git-lfs\n"), "a pointer of Git LFS", "git lfs pull"},
};

static void
test_text (void)
{
  const char *in = scratch ("some.txt");
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    scratch_write (in, kinds[i].bytes, kinds[i].n);
    tap_ok (refused (import ("text", in, "force=no", NULL), E_DATA,
                     kinds[i].name, kinds[i].cure),
            "no text: %s", kinds[i].name);
  }
  static char tar[1024];
  memcpy (tar + 257, "ustar", 5);
  scratch_write (in, tar, sizeof tar);
  tap_ok (refused (import ("text", in, "force=no", "valid=0.5"), E_DATA,
                   "a tar archive", "tar xf"),
          "no text: a tar archive, before shares are counted");
  static const char *const texts[] = {
      "PK is how it begins", "BZh is no word", "caf\303\251 au lait",
      "{\"text\": \"a line of JSON\"}\n", "<html> is text as well"};
  bool good = true;
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    scratch_write (in, texts[i], strlen (texts[i]));
    good = import ("text", in, "force=no", NULL) == OK && good;
    unlink (out);
  }
  tap_ok (good, "text that looks like one of these is text %s",
          fail_message ());
  fail_clear ();
}

static void
test_zero (void)
{
  char said[1024] = "";
  const char *in = scratch ("zero.txt");
  scratch_write (in, "some text\0and some more of it", 28);
  FILE *log = fopen (scratch ("said"), "w+");
  log_file_set (log);
  enum status s = import ("text", in, "force=no", NULL);
  log_file_set (NULL);
  rewind (log);
  said[fread (said, 1, sizeof said - 1, log)] = '\0';
  fclose (log);
  unlink (out);
  tap_ok (s == OK && strstr (said, "zero.txt: byte 9 is zero"),
          "a zero in a text is told %s", said);
}

/* -- ids ------------------------------------------------------------------- */

static int
id_of (int i)
{
  return (int)((uint32_t)(i + 1) * 2654435761u % VOCAB);
}

/* n ids of `width` bytes behind a header, little-endian, at bytes. */
static size_t
put_ids (unsigned char *bytes, const int32_t *header, int n, int width)
{
  size_t at = 0;
  for (int i = 0; header && i < 256; i++)
    for (int k = 0; k < 4; k++)
      bytes[at++] = (unsigned char)((i < 3 ? header[i] : 0) >> (8 * k));
  for (int i = 0; i < n; i++)
    for (int k = 0; k < width; k++)
      bytes[at++] = (unsigned char)(k < 4 ? id_of (i) >> (8 * k) : 0);
  return at;
}

/* Whether what was made holds the ids, by HDF5 alone. */
static bool
ids_are (void)
{
  static int ids[IDS];
  hid_t file = H5Fopen (out, H5F_ACC_RDONLY, H5P_DEFAULT);
  hid_t set = H5Dopen2 (file, "/train/tokens", H5P_DEFAULT);
  hid_t space = H5Dget_space (set);
  bool good =
      H5Sget_simple_extent_npoints (space) == IDS &&
      H5Dread (set, H5T_NATIVE_INT, H5S_ALL, H5S_ALL, H5P_DEFAULT, ids) >= 0;
  for (int i = 0; good && i < IDS; i++)
    good = ids[i] == id_of (i);
  H5Sclose (space);
  H5Dclose (set);
  H5Fclose (file);
  unlink (out);
  return good;
}

static void
test_widths (void)
{
  static unsigned char bytes[8 * IDS];
  const char *in = scratch ("ids.bin");
  static const char *const words[] = {NULL, "format=uint32", "format=int32",
                                      "format=uint64", "format=int64"};
  for (int i = 1; i < 5; i++) {
    int width = i < 3 ? 4 : 8;
    scratch_write (in, bytes, put_ids (bytes, NULL, IDS, width));
    const char *vocab[] = {"vocab=50257", "valid=0"};
    tap_ok (refused (import_run ("tokens", 1, &in, 2, vocab, out), E_CONFIG,
                     "ids.bin", width == 4 ? "uint32" : "uint64"),
            "ids of %d bits are not taken for 16-bit ones", 8 * width);
    const char *said[] = {"vocab=50257", "valid=0", words[i]};
    tap_ok (import_run ("tokens", 1, &in, 3, said, out) == OK && ids_are (),
            "%s reads them %s", words[i], fail_message ());
    fail_clear ();
  }
  scratch_write (in, bytes, put_ids (bytes, NULL, IDS, 2));
  tap_ok (import ("tokens", in, "vocab=50257", NULL) == OK && ids_are (),
          "16-bit ids are read as such %s", fail_message ());
  size_t n = put_ids (bytes, NULL, IDS, 4);
  memset (bytes + 4 * 100, 0xff, 4);
  scratch_write (in, bytes, n);
  const char *said[] = {"vocab=50257", "valid=0", "format=int32"};
  tap_ok (refused (import_run ("tokens", 1, &in, 3, said, out), E_DATA,
                   "token 100 is -1", "ids begin at 0"),
          "a negative id is named as one");
}

static void
test_numbers (void)
{
  static char text[8 * IDS];
  const char *in = scratch ("ids.txt");
  size_t n = 0;
  for (int i = 0; i < IDS; i++)
    n += (size_t)snprintf (text + n, 8, "%d\n", id_of (i));
  scratch_write (in, text, n);
  tap_ok (import ("tokens", in, "vocab=50257", NULL) == OK && ids_are (),
          "numbers as text are read as such, unsaid %s", fail_message ());
  fail_clear ();
}

static void
test_llmc (void)
{
  static unsigned char bytes[1024 + 4 * IDS];
  const char *in = scratch ("shard.bin");
  for (int width = 2; width <= 4; width += 2) {
    int32_t header[] = {width == 2 ? 20240520 : 20240801, width == 2 ? 1 : 7,
                        IDS};
    size_t n = put_ids (bytes, header, IDS, width);
    scratch_write (in, bytes, n);
    tap_ok (import ("tokens", in, "vocab=50257", NULL) == OK && ids_are (),
            "a file of llm.c, %d bits %s", 8 * width, fail_message ());
    fail_clear ();
    scratch_write (in, bytes, n - 10 * (size_t)width);
    tap_ok (refused (import ("tokens", in, "vocab=50257", NULL), E_DATA,
                     "3000 tokens", "2990 are there"),
            "which is cut off");
    scratch_write (in, bytes, n);
    const char *said[] = {"vocab=50257",
                          width == 2 ? "format=uint32" : "format=uint16"};
    tap_ok (refused (import_run ("tokens", 1, &in, 2, said, out), E_CONFIG,
                     "llm.c", width == 2 ? "uint16" : "uint32"),
            "which is said to be something else");
  }
  scratch_write (in, "PK\3\4\24\0\0\0\10\0\0\0\0\0\0\0", 16);
  tap_ok (refused (import ("tokens", in, "vocab=50257", NULL), E_DATA,
                   "a zip archive", "unzip"),
          "an archive is no list of ids");
}

/* -- names of classes ------------------------------------------------------ */

/* A file of names that holds other bytes is no file of names. */
static void
test_names (void)
{
  static unsigned char record[20 * 3073];
  static const char names[] = "a\nb\nc\nd\ne\nf\ng\nh\ni\n\0x\n";
  char folder[512];
  snprintf (folder, sizeof folder, "%s", scratch ("c10"));
  mkdir (folder, 0777);
  for (int i = 0; i < 20; i++)
    record[i * 3073] = (unsigned char)(i % 10);
  for (int i = 1; i <= 5; i++)
    scratch_write (scratch ("c10/data_batch_%d.bin", i), record, sizeof record);
  scratch_write (scratch ("c10/test_batch.bin"), record, sizeof record);
  scratch_write (scratch ("c10/batches.meta.txt"), names, sizeof names - 1);
  struct text t;
  text_init (&t);
  tap_ok (import ("cifar10", folder, "force=no", NULL) == OK &&
              data_print (out, false, &t) == OK && strstr (t.data, "0, 1, 2"),
          "names with a zero byte in them: numbers instead %s",
          fail_message ());
  text_clear (&t);
  unlink (out);
}

/* -- what is there already ------------------------------------------------- */

static void
test_there (void)
{
  const char *in = scratch ("in.txt"), *link = scratch ("link.h5");
  char kept[16] = "";
  scratch_write (in, "some text to import", 19);
  scratch_write (out, "hours of work", 13);
  bool good = import ("text", in, "force=no", NULL) == E_USAGE &&
              strstr (fail_message (), "out.h5") &&
              strstr (fail_message (), "--force");
  FILE *f = fopen (out, "rb");
  good = good && f && fread (kept, 1, 16, f) == 13 &&
         memcmp (kept, "hours of work", 13) == 0;
  if (f)
    fclose (f);
  tap_ok (good, "what is there is not replaced: %s", fail_message ());
  fail_clear ();
  good = symlink ("out.h5", link) == 0 &&
         import_run ("text", 1, &in, 0, NULL, link) == E_USAGE &&
         scratch_bytes (out) == 13;
  tap_ok (good, "nor behind a link");
  fail_clear ();
  const char *force[] = {"force=yes", "valid=0"};
  struct stat st;
  good = import_run ("text", 1, &in, 2, force, link) == OK &&
         scratch_bytes (out) > 1000 && lstat (link, &st) == 0 &&
         S_ISLNK (st.st_mode);
  tap_ok (good, "but with force, and the link stays %s", fail_message ());
  scratch_write (out, "", 0);
  tap_ok (import ("text", in, "force=no", NULL) == OK,
          "an empty file is nothing to lose %s", fail_message ());
}

int
main (void)
{
  if (!scratch_open ())
    tap_bail ("no scratch folder");
  snprintf (out, sizeof out, "%s", scratch ("out.h5"));
  log_level_set (LOG_WARN);
  test_text ();
  test_zero ();
  test_widths ();
  test_numbers ();
  test_llmc ();
  test_names ();
  test_there ();
  scratch_close ();
  return tap_done ();
}
