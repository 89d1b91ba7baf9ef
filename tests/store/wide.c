/* ranks: 2 */
/* tests/store/wide.c -- tensors beyond 2^31 bytes through HDF5, written
 * together and one by one, and read back.
 *
 * limit: 300
 *
 * Only under INTERLOCK_BIG=1, where there is memory and disk.
 */
#define TAP_MPI
#include "base/memory.h"
#include "tests/memory.h"
#include "tests/store/tensors.h"
#include <stdlib.h>
#include <sys/statvfs.h>

#define VALUES (((int64_t)1 << 29) + 3)

/* On the node of rank 0. */
static bool
has_room (struct wire *w)
{
  struct statvfs disk = {0};
  int enough = memory_left () > 8e9 && statvfs (scratch_folder, &disk) == 0 &&
               (double)disk.f_bavail * (double)disk.f_frsize > 6e9;
  (void)wire_broadcast (w, &enough, sizeof enough, 0);
  return enough != 0;
}

static float
value_of (int rank, int64_t i)
{
  return (float)((i * 7 + rank) % 65521);
}

static void
test_wide (struct wire *w, bool collective, bool deep, float *data)
{
  int me = wire_rank (w);
  char path[512];
  static const char *const name[2] = {"/model/a", "/model/b"};
  struct store_tensor t = {"", 1, {VALUES}, data, TENSOR_F32};
  struct store_spec spec = {.collective = collective};
  struct store_checkpoint *c = NULL;
  if (deep) /* the same number, and the first dimensions say little */
    t = (struct store_tensor){"", 3, {1, 2, VALUES / 2}, data, TENSOR_F32};
  int64_t n = deep ? VALUES / 2 * 2 : VALUES;
  snprintf (t.path, sizeof t.path, "%s", name[me]);
  snprintf (path, sizeof path, "%s", scratch ("wide.h5"));
  for (int64_t i = 0; i < n; i++)
    data[i] = value_of (me, i);
  bool good = store_checkpoint_write (w, path, &attributes, &t, 1, &spec) == OK;
  memset (data, 0, (size_t)VALUES * sizeof *data);
  snprintf (t.path, sizeof t.path, "%s", name[1 - me]);
  good = good && store_checkpoint_open (path, &c) == OK &&
         store_checkpoint_read (c, &t) == OK;
  store_checkpoint_close (&c);
  for (int64_t i = 0; i < n && good; i++)
    good = data[i] == value_of (1 - me, i);
  tap_ok (good, "%lld numbers of each rank, %s", (long long)n,
          collective ? "written together" : "each for itself");
  wire_barrier (w);
}

int
main (int argc, char **argv)
{
  struct wire *w = NULL;
  const char *big = getenv ("INTERLOCK_BIG");
  float *data = NULL;
  if (wire_open (&argc, &argv, &w) != OK) {
    tap_bail (fail_message ());
    return tap_done ();
  }
  if (wire_rank (w) == 0 && !scratch_open ())
    wire_abort (fail (E_IO, "no folder"));
  (void)wire_broadcast (w, scratch_folder, sizeof scratch_folder, 0);
  if (big == NULL || strcmp (big, "1") != 0) {
    tap_skip ("beyond 2^31: only under INTERLOCK_BIG=1");
  } else if (!has_room (w)) {
    tap_skip ("beyond 2^31: 8 GB of memory and 6 GB of disk are not free");
  } else {
    if (mem_new ((size_t)VALUES, sizeof *data, "numbers", (void **)&data) != OK)
      wire_abort (E_MEMORY);
    test_wide (w, false, false, data);
    test_wide (w, false, true, data);
    test_wide (w, true, false, data);
    mem_free (&data);
  }
  wire_barrier (w);
  if (wire_rank (w) == 0)
    scratch_close ();
  wire_close (&w);
  return tap_done ();
}
