/* plant: import/packed.c */
/* tests/fuzz/packed.c -- archives, as bytes. */
#include "import/import.h"
#include "tests/fuzz/fuzz.h"
#include "tests/import/packed.h"

static void
seed (const char *name, const char *filter, const char *format, int n,
      const struct packed *file)
{
  static char bytes[1 << 16];
  const char *path = scratch ("%s", name);
  packed_write (path, filter, format, n, file);
  FILE *f = fopen (path, "rb");
  struct fuzz_piece piece = {bytes, f ? fread (bytes, 1, sizeof bytes, f) : 0};
  if (f)
    fclose (f);
  fuzz_seed (name, false, 1, &piece);
}

int
LLVMFuzzerInitialize (int *argc, char ***argv)
{
  static const struct packed good[] = {
      {.name = "mnist/train-images-idx3-ubyte",
       .data = "\0\0\x8\x3\0\0\0\x3\0\0\0\x2\0\0\0\x2"
               "abcdefghijkl",
       .size = 28},
      {.name = "mnist/train-labels-idx1-ubyte",
       .data = "\0\0\x8\x1\0\0\0\x3\0\1\2",
       .size = 11},
      {.name = "mnist/link", .link = "/etc"},
      {.name = "mnist/folder/"},
      {.name = "__MACOSX/._x", .data = "x", .size = 1}};
  static const struct packed up[] = {{.name = "../x", .data = "x", .size = 1}};
  (void)argc;
  (void)argv;
  if (fuzz_seeds_wanted ()) {
    fuzz_open ();
    seed ("tar", "none", "ustar", 5, good);
    seed ("pax", "gzip", "pax", 5, good);
    seed ("gnu", "xz", "gnutar", 5, good);
    seed ("zip", "none", "zip", 5, good);
    seed ("up", "none", "zip", 1, up);
    exit (0);
  }
  return 0;
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t n)
{
  fuzz_open ();
  const char *in = fuzz_file ("archive", data, n);
  const char *out = scratch ("out.h5");
  (void)import_run ("idx", 1, &in, 0, NULL, out);
  remove (out);
  fail_clear ();
  (void)import_run ("folder", 1, &in, 0, NULL, out);
  remove (out);
  fail_clear ();
  return 0;
}
