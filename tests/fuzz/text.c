/* plant: import/source.c */
/* tests/fuzz/text.c -- a text, plain, .gz or .xz, as bytes; the first byte says
 * what a document is. */
#include "import/import.h"
#include "tests/fuzz/fuzz.h"

/* "two lines\nof text\n" as gzip and xz write it. */
int
LLVMFuzzerInitialize (int *argc, char ***argv)
{
  static const char gz[] =
      "\146\037\213\010\000\000\000\000\000\002\003\053\051\317\127\310"
      "\311\314\113\055\346\312\117\123\050\111\255\050\341\002\000\007"
      "\366\242\216\022\000\000\000";
  static const char xz[] =
      "\146\375\067\172\130\132\000\000\001\151\042\336\066\002\000\041"
      "\001\014\000\000\000\217\230\101\234\001\000\021\164\167\157\040"
      "\154\151\156\145\163\012\157\146\040\164\145\170\164\012\000\000"
      "\000\007\366\242\216\000\001\046\022\107\107\341\020\220\102\231"
      "\015\001\000\000\000\000\001\131\132";
  const struct fuzz_piece gzip = {gz, sizeof gz - 1},
                          xzip = {xz, sizeof xz - 1};
  (void)argc;
  (void)argv;
  if (fuzz_seeds_wanted ()) {
    fuzz_seed ("gz", false, 1, &gzip);
    fuzz_seed ("xz", false, 1, &xzip);
    exit (0);
  }
  return 0;
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t n)
{
  static const char *const documents[] = {"documents=file", "documents=line",
                                          "documents=blank"};
  fuzz_open ();
  const char *how = documents[n > 0 ? data[0] % 3 : 0];
  const char *const inputs[] = {
      fuzz_file ("text", data + (n > 0), n - (n > 0))};
  const char *const options[] = {"tokenizer=bytes", how};
  const char *out = scratch ("out.h5");
  (void)import_run ("text", 1, inputs, 2, options, out);
  remove (out);
  fail_clear ();
  return 0;
}
