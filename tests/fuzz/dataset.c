/* plant: store/h5 */
/* tests/fuzz/dataset.c -- a damaged data set as our importers make it: the
 * first byte says which (pixels, tokens, JPEG images), the others what is
 * changed.
 *
 * None of others: HDF5 itself does not survive damage in strings of variable
 * length (H5HG_read) and in the header of squeezed chunks (H5D__scatgath_read).
 */
#include "data/data.h"
#include "import/import.h"
#include "store/h5.h"
#include "store/raw.h"
#include "tests/fuzz/hdf5.h"
#include "tests/data/photos.h"

enum { SETS = 3 };
static struct fuzz_whole whole[SETS];

static void
import_one (const char *kind, const char *input, int n, const char *const *how,
            const char *out)
{
  if (import_run (kind, input ? 1 : 0, &input, n, how, out) != OK) {
    fprintf (stderr, "no data set: %s\n", fail_message ());
    abort ();
  }
}

static void
make_sets (void)
{
  const char *const drawn[] = {"train=20", "valid=10", "test=10", "size=8"};
  const char *const documents[] = {"documents=line"};
  const char *const size[] = {"size=8", "valid=0", "test=0"};
  import_one ("synthetic", NULL, 4, drawn, scratch ("0.h5"));
  const char *text = "a line\nanother one\nthe third of them\n";
  import_one ("text", fuzz_file ("text", (const uint8_t *)text, strlen (text)),
              1, documents, scratch ("1.h5"));
  mkdir (scratch ("photos"), 0777);
  mkdir (scratch ("photos/a"), 0777);
  mkdir (scratch ("photos/b"), 0777);
  photo_write (scratch ("photos/a/1.jpg"), 1, 9, 7);
  photo_write (scratch ("photos/b/2.jpg"), 2, 8, 8);
  import_one ("folder", scratch ("photos"), 3, size, scratch ("2.h5"));
  for (int i = 0; i < SETS; i++)
    fuzz_keep (scratch ("%d.h5", i), &whole[i]);
}

int
LLVMFuzzerInitialize (int *argc, char ***argv)
{
  (void)argc;
  (void)argv;
  if (fuzz_seeds_wanted ()) {
    for (int i = 0; i < SETS; i++) {
      const char which = (char)i;
      const struct fuzz_piece same = {&which, 1};
      const struct fuzz_piece cut[] = {{&which, 1}, {"\xff\xff\0\0\0", 5}};
      char name[16];
      snprintf (name, sizeof name, "same-%d", i);
      fuzz_seed (name, false, 1, &same);
      snprintf (name, sizeof name, "cut-%d", i);
      fuzz_seed (name, false, 2, cut);
    }
    exit (0);
  }
  fuzz_open ();
  make_sets ();
  return 0;
}

/* All samples of a split. */
static void
read_split (struct data_set *d, const struct data_info *info,
            enum data_split split)
{
  static float x[65536];
  static int32_t labels[65536];
  int64_t values = info->tokens[split] > 0
                       ? 4
                       : (int64_t)info->channels * info->height * info->width;
  int64_t n = info->samples[split];
  n = n > 8 ? 8 : n;
  if (n < 1 || values < 1 || n * values > 65536)
    return;
  (void)data_read (d, split, 0, n, x);
  fail_clear ();
  (void)data_read_labels (d, split, 0, n, n, labels);
  fail_clear ();
}

static void
read_all (struct data_set *d)
{
  struct data_info info;
  data_info (d, &info);
  bool tokens = strcmp (info.kind, "tokens") == 0;
  if (tokens) {
    struct data_tokenizer *t = NULL;
    size_t n;
    if (data_tokenizer_open (d, &t) == OK)
      for (int i = 0; i < info.classes && i < 300; i++)
        (void)data_tokenizer_decode (t, i, &n);
    data_tokenizer_close (&t);
    fail_clear ();
    data_windows (d, 4, 0);
    data_info (d, &info);
  }
  for (int s = 0; s < DATA_SPLITS; s++)
    read_split (d, &info, (enum data_split)s);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t n)
{
  struct data_set *d = NULL;
  struct text out;
  char kind[16];
  const char *path = fuzz_damage (&whole[n > 0 ? data[0] % SETS : 0],
                                  data + (n > 0), n - (n > 0));
  text_init (&out);
  (void)store_file_kind (path, kind);
  fail_clear ();
  (void)data_print (path, true, &out);
  fail_clear ();
  if (data_open (path, &d) == OK)
    read_all (d);
  data_close (&d);
  fail_clear ();
  text_clear (&out);
  fuzz_balance ();
  return 0;
}
