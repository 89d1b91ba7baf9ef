/* plant: import/cifar.c */
/* tests/fuzz/cifar.c -- CIFAR-10's records and the names of its classes.
 *
 * Records are 3073 bytes, and all but the first are zeros for the fuzzer: an
 * input is the bytes that begin each record, the size in front; then the end of
 * the file; then the names.
 */
#include "import/import.h"
#include "tests/fuzz/fuzz.h"

enum { RECORD = 3073, RECORDS = 16 };

int
LLVMFuzzerInitialize (int *argc, char ***argv)
{
  const struct fuzz_piece good[] = {
      {"\0\1\2\3", 4}, {"", 0}, {"a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n", 20}};
  const struct fuzz_piece cut[] = {{"\0\1\2\3", 4}, {"abc", 3}, {"x\r\n", 3}};
  const struct fuzz_piece high[] = {{"\0\1\xa\3", 4}, {"", 0}, {"", 0}};
  (void)argc;
  (void)argv;
  if (fuzz_seeds_wanted ()) {
    fuzz_seed ("good", true, 3, good);
    fuzz_seed ("cut", true, 3, cut);
    fuzz_seed ("high", true, 3, high);
    exit (0);
  }
  return 0;
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t n)
{
  static uint8_t file[RECORDS * RECORD + 65536];
  static const char *const names[] = {"data_batch_1.bin", "data_batch_2.bin",
                                      "data_batch_3.bin", "data_batch_4.bin",
                                      "data_batch_5.bin", "test_batch.bin"};
  const uint8_t *first, *end, *classes;
  fuzz_open ();
  size_t records = fuzz_part (&data, &n, &first);
  size_t left = fuzz_part (&data, &n, &end);
  size_t n_classes = fuzz_part (&data, &n, &classes);
  records = records < RECORDS ? records : RECORDS;
  for (size_t i = 0; i < records; i++)
    file[i * RECORD] = first[i];
  if (left > 0)
    memcpy (file + records * RECORD, end, left);
  for (int i = 0; i < 6; i++)
    fuzz_file (names[i], file, records * RECORD + left);
  if (left > 0)
    memset (file + records * RECORD, 0, left);
  fuzz_file ("batches.meta.txt", classes, n_classes);
  const char *const inputs[] = {scratch_folder};
  const char *out = scratch ("out.h5");
  (void)import_run ("cifar10", 1, inputs, 0, NULL, out);
  remove (out);
  fail_clear ();
  return 0;
}
