/* plant: weights/safetensors.c */
/* tests/fuzz/weights.c -- files of tensors, safetensors or HDF5. */
#include "weights/weights_impl.h"
#include "base/memory.h"
#include "tests/fuzz/fuzz.h"

/* A length and a header, then numbers of three types. */
static void
seed (const char *name, const char *header, size_t data)
{
  static const char numbers[64];
  const size_t n = strlen (header);
  const unsigned char length[8] = {(unsigned char)n, (unsigned char)(n >> 8)};
  const struct fuzz_piece piece[] = {{length, 8}, {header, n}, {numbers, data}};
  fuzz_seed (name, false, 3, piece);
}

int
LLVMFuzzerInitialize (int *argc, char ***argv)
{
  (void)argc;
  (void)argv;
  if (fuzz_seeds_wanted ()) {
    seed ("good",
          "{\"__metadata__\":{\"format\":\"pt\"},"
          "\"fc.weight\":{\"dtype\":\"F32\",\"shape\":[2,2],"
          "\"data_offsets\":[0,16]},"
          "\"fc.bias\":{\"dtype\":\"BF16\",\"shape\":[2],"
          "\"data_offsets\":[16,20]},"
          "\"n\":{\"dtype\":\"I64\",\"shape\":[],"
          "\"data_offsets\":[20,28]}}",
          28);
    seed ("overlap",
          "{\"a\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[0,8]},"
          "\"b\":{\"dtype\":\"F16\",\"shape\":[4],\"data_offsets\":[0,8]}}",
          8);
    exit (0);
  }
  return 0;
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t n)
{
  struct weights_file f;
  fuzz_open ();
  if (weights_open (fuzz_file ("model.safetensors", data, n), true, &f) == OK) {
    for (int i = 0; i < f.n; i++) {
      float *out = NULL;
      if (f.tensor[i].type == WEIGHTS_OTHER ||
          MEM_NEW ((size_t)weights_count (&f.tensor[i]) + 1, &out, "a tensor"))
        continue;
      (void)weights_read (&f, &f.tensor[i], out);
      mem_free (&out);
    }
    weights_close (&f);
  }
  fail_clear ();
  return 0;
}
