/* plant: store/source.c */
/* tests/fuzz/text.c -- a text, plain, .gz or .xz, as bytes; the first byte says
 * what a document is. */
#include "store/store.h"
#include "tests/fuzz/fuzz.h"

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
  (void)store_import ("text", 1, inputs, 2, options, out);
  remove (out);
  fail_clear ();
  return 0;
}
