/* tests/store/tensors.h -- a small set of tensors spread over the ranks, and
 * whether a checkpoint holds them.
 */
#ifndef TESTS_STORE_TENSORS_H
#define TESTS_STORE_TENSORS_H

#include "base/random.h"
#include "store/checkpoint.h"
#include "tests/scratch.h"
#include "tests/tap.h"
#include "wire/wire.h"

static const struct store_tensor shapes[] = {
    {"/model/conv1.weight", 4, {16, 3, 3, 3}, NULL, TENSOR_F32},
    {"/model/bn1.running_mean", 1, {16}, NULL, TENSOR_F32},
    {"/model/layer1.0.conv1.weight", 4, {5, 7, 3, 1}, NULL, TENSOR_F32},
    {"/model/fc.weight", 2, {10, 64}, NULL, TENSOR_F32},
    {"/model/scale", 0, {0}, NULL, TENSOR_F32},
    {"/heads/0/0.weight", 4, {8, 16, 3, 3}, NULL, TENSOR_F32},
    {"/heads/1/3.bias", 1, {10}, NULL, TENSOR_F32},
    {"/optimizer/momentum/model/conv1.weight",
     4,
     {16, 3, 3, 3},
     NULL,
     TENSOR_F32},
    {"/optimizer/momentum/heads/0/0.weight",
     4,
     {8, 16, 3, 3},
     NULL,
     TENSOR_F32},
};
#define N_TENSORS ((int)(sizeof shapes / sizeof shapes[0]))
enum { VALUES_MOST = 2048 };

static struct store_attributes attributes = {
    .step = 123456789012,
    .epoch = 7,
    .sample = 99,
    .seed = 42,
    .config = "[model]\nfamily = resnet\n",
    .tuning = "",
    .library = "a library 1.2; \xc3\xa4 3 threads",
};

SCRATCH_FN float *
values_of (int i, uint64_t version)
{
  static float pool[N_TENSORS][VALUES_MOST];
  struct random_key key = {version, RANDOM_TEST, (uint64_t)i, 0};
  for (int k = 0; k < VALUES_MOST; k++)
    pool[i][k] = (float)random_normal (&key, (uint64_t)k);
  return pool[i];
}

SCRATCH_FN size_t
count_of (const struct store_tensor *t)
{
  size_t n = 1;
  for (int i = 0; i < t->n_dims; i++)
    n *= (size_t)t->dims[i];
  return n;
}

/* Tensor i belongs to rank (i + turn) % size; all of version. */
SCRATCH_FN int
give_version (struct wire *w, uint64_t version, int turn,
              struct store_tensor mine[N_TENSORS])
{
  int n = 0;
  for (int i = N_TENSORS - 1; i >= 0; i--)
    if ((i + turn) % wire_size (w) == wire_rank (w)) {
      mine[n] = shapes[i];
      mine[n++].data = values_of (i, version);
    }
  return n;
}

SCRATCH_FN enum status
write_how (struct wire *w, const char *path, uint64_t version, int turn,
           const struct store_spec *spec)
{
  struct store_tensor mine[N_TENSORS];
  int n = give_version (w, version, turn, mine);
  return store_checkpoint_write (w, path, &attributes, mine, n, spec);
}

SCRATCH_FN enum status
write_version (struct wire *w, const char *path, uint64_t version, int turn)
{
  return write_how (w, path, version, turn, NULL);
}

/* Read here, alone, and compare all. */
SCRATCH_FN bool
holds_version (const char *path, uint64_t version)
{
  struct store_checkpoint *c = NULL;
  struct store_attributes a;
  static float x[VALUES_MOST];
  if (store_checkpoint_open (path, &c) != OK) {
    tap_note ("%s", fail_message ());
    fail_clear ();
    return false;
  }
  store_checkpoint_attributes (c, &a);
  bool good = a.step == attributes.step && a.epoch == attributes.epoch &&
              a.sample == attributes.sample && a.seed == attributes.seed &&
              !strcmp (a.config, attributes.config) &&
              !strcmp (a.tuning, attributes.tuning) &&
              !strcmp (a.library, attributes.library);
  for (int i = 0; i < N_TENSORS && good; i++) {
    struct store_tensor t = shapes[i];
    t.data = x;
    memset (x, 0xff, sizeof x);
    good = store_checkpoint_has (c, t.path) &&
           store_checkpoint_read (c, &t) == OK &&
           !memcmp (x, values_of (i, version), count_of (&t) * 4);
  }
  good = good && !store_checkpoint_has (c, "/model/none") &&
         !store_checkpoint_has (c, "/none/none");
  store_checkpoint_close (&c);
  fail_clear ();
  return good;
}

/* Files in a folder whose name ends in .part: none may be left. */
SCRATCH_FN int
count_parts (const char *folder)
{
  int n = 0;
  DIR *dir = opendir (folder);
  for (struct dirent *e; dir && (e = readdir (dir));) {
    size_t length = strlen (e->d_name);
    n += length > 5 && !strcmp (e->d_name + length - 5, ".part");
  }
  if (dir)
    closedir (dir);
  return n;
}

SCRATCH_FN bool
equal_files (const char *a, const char *b)
{
  FILE *f = fopen (a, "rb"), *g = fopen (b, "rb");
  int c = 0, n = 0;
  bool good = f && g;
  while (good && c != EOF) {
    c = fgetc (f);
    good = c == fgetc (g);
    n++;
  }
  if (f)
    fclose (f);
  if (g)
    fclose (g);
  return good && n > 20000;
}

/* The same folder on all ranks, made by root. */
SCRATCH_FN void
share_folder (struct wire *w)
{
  if (wire_rank (w) == 0 && !scratch_open ())
    scratch_folder[0] = '\0';
  (void)wire_broadcast (w, scratch_folder, sizeof scratch_folder, 0);
}

#endif
