/* plant: store/h5 */
/* tests/fuzz/checkpoint.c -- a damaged checkpoint: listed, verified, read. */
#include "store/h5.h"
#include "tests/fuzz/hdf5.h"
#include "tests/store/tensors.h"

static struct fuzz_whole whole;

int
LLVMFuzzerInitialize (int *argc, char ***argv)
{
  const struct fuzz_piece same = {"", 0}, first = {"\0\0\0\0\1", 5},
                          end = {"\xff\xff\0\0\0", 5};
  (void)argc;
  (void)argv;
  if (fuzz_seeds_wanted ()) {
    fuzz_seed ("same", false, 1, &same);
    fuzz_seed ("first", false, 1, &first);
    fuzz_seed ("end", false, 1, &end);
    exit (0);
  }
  struct wire *w = NULL;
  fuzz_open ();
  if (wire_open_alone (&w) != OK ||
      write_version (w, scratch ("whole.h5"), 3, 0) != OK) {
    fprintf (stderr, "no checkpoint: %s\n", fail_message ());
    abort ();
  }
  fuzz_keep (scratch ("whole.h5"), &whole);
  return 0;
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t n)
{
  struct store_checkpoint *c = NULL;
  struct text out;
  char kind[16];
  const char *path = fuzz_damage (&whole, data, n);
  text_init (&out);
  (void)store_file_kind (path, kind);
  fail_clear ();
  (void)store_checkpoint_print (path, false, &out);
  fail_clear ();
  (void)store_checkpoint_verify (path, NULL);
  fail_clear ();
  if (store_checkpoint_open (path, &c) == OK) {
    static float x[VALUES_MOST];
    (void)store_checkpoint_agrees (c);
    (void)store_checkpoint_paths (c, &out);
    for (int i = 0; i < N_TENSORS; i++) {
      struct store_tensor t = shapes[i];
      t.data = x;
      (void)store_checkpoint_read (c, &t);
      fail_clear ();
    }
    store_checkpoint_close (&c);
  }
  fail_clear ();
  text_clear (&out);
  fuzz_balance ();
  return 0;
}
