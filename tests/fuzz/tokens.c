/* plant: import/tokens.c */
/* tests/fuzz/tokens.c -- ready ids: .npy, raw or numbers; the first byte says
 * what the command line says of them. */
#include "import/import.h"
#include "tests/fuzz/fuzz.h"

#define NPY                                                               \
  "\0\x93NUMPY\1\0\x3a\0{'descr': '<u2', 'fortran_order': False, 'shape'" \
  ": (4,), }\n"

int
LLVMFuzzerInitialize (int *argc, char ***argv)
{
  const struct fuzz_piece npy[] = {{NPY, sizeof NPY - 1},
                                   {"\1\0\2\0\3\0\4\0\1\0\2\0", 12}};
  const struct fuzz_piece raw[] = {{"\1\1\0\2\0\3\0\4\0\1\0\2\0", 13}};
  const struct fuzz_piece wide[] = {{"\2\1\0\0\0\2\0\0\0\3\0\0\0", 13}};
  const struct fuzz_piece words[] = {{"\4"
                                      "1 2,3\n4 5 6 7",
                                      14}};
  /* llm.c: 256 numbers of 32 bits, a mark, a version, how many ids. */
  static unsigned char head[1 + 1024] = {0, 0x88, 0xd8, 0x34, 0x01,
                                         1, 0,    0,    0,    4};
  const struct fuzz_piece llmc[] = {{head, sizeof head},
                                    {"\1\0\2\0\3\0\4\0", 8}};
  (void)argc;
  (void)argv;
  if (fuzz_seeds_wanted ()) {
    fuzz_seed ("llmc", false, 2, llmc);
    fuzz_seed ("npy", false, 2, npy);
    fuzz_seed ("raw", false, 1, raw);
    fuzz_seed ("wide", false, 1, wide);
    fuzz_seed ("words", false, 1, words);
    exit (0);
  }
  return 0;
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t n)
{
  static const char *const forms[] = {NULL, "format=uint16", "format=uint32",
                                      "format=uint64", "format=text"};
  fuzz_open ();
  const char *form = forms[n > 0 ? data[0] % 5 : 0];
  const char *const inputs[] = {fuzz_file ("ids", data + (n > 0), n - (n > 0))};
  const char *const options[] = {"vocab=300", form};
  const char *out = scratch ("out.h5");
  (void)import_run ("tokens", 1, inputs, form ? 2 : 1, options, out);
  remove (out);
  fail_clear ();
  return 0;
}
