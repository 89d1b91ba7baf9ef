/* plant: import/idx.c */
/* tests/fuzz/idx.c -- MNIST's files: images, then labels. */
#include "import/import.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerInitialize (int *argc, char ***argv)
{
  static const char images[] = "\0\0\x8\x3\0\0\0\x3\0\0\0\x2\0\0\0\x2"
                               "abcdefghijkl";
  static const char labels[] = "\0\0\x8\x1\0\0\0\x3\0\1\2";
  const struct fuzz_piece good[] = {{images, sizeof images - 1},
                                    {labels, sizeof labels - 1}};
  const struct fuzz_piece cut[] = {{images, sizeof images - 2},
                                   {labels, sizeof labels - 1}};
  (void)argc;
  (void)argv;
  if (fuzz_seeds_wanted ()) {
    fuzz_seed ("good", true, 2, good);
    fuzz_seed ("cut", true, 2, cut);
    exit (0);
  }
  return 0;
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t n)
{
  const uint8_t *images, *labels;
  fuzz_open ();
  size_t n_images = fuzz_part (&data, &n, &images);
  size_t n_labels = fuzz_part (&data, &n, &labels);
  const char *const pair[] = {fuzz_file ("images", images, n_images),
                              fuzz_file ("labels", labels, n_labels)};
  const char *out = scratch ("out.h5");
  (void)import_run ("idx", 2, pair, 0, NULL, out);
  remove (out);
  fail_clear ();
  return 0;
}
