/* ranks: 0 */
/* tests/store/damage.c -- a checkpoint with one byte changed, or cut off:
 * noticed, or harmless because all that is read is as it was; never a crash,
 * never used in silence.
 *
 * Each byte of a small file is changed in turn when INTERLOCK_BIG is set, else
 * a seeded sample of them.
 */
#include "store/checkpoint.h"
#include "tests/store/changes.h"
#include "tests/store/tensors.h"
#include "tests/tap.h"
#include "wire/wire.h"

#include "base/fault.h"
#include "base/log.h"
#include "base/memory.h"

enum { SAMPLE = 2400 };

static char path[512];

/* Where to change bytes instead of everywhere, and what is then in the file:
 * many tensors of the same kind in one group. */
enum { MANY = 40, PLACES_MOST = 8192 };
static int64_t places[PLACES_MOST], n_places;

/* As eval and train.init read: nothing of another version may come out of a
 * file whose digests agree. */
static bool
loads_other (void)
{
  struct store_checkpoint *c = NULL;
  static float x[VALUES_MOST];
  bool other = false;
  if (store_checkpoint_open (path, &c) == OK &&
      store_checkpoint_agrees (c) == OK)
    for (int i = 0; i < N_TENSORS && n_places == 0; i++) {
      struct store_tensor t = shapes[i];
      t.data = x;
      if (store_checkpoint_read (c, &t) == OK)
        other = other || memcmp (x, values_of (i, 3), count_of (&t) * 4) != 0;
    }
  store_checkpoint_close (&c);
  fail_clear ();
  return other;
}

/* Whole and equal, whole and other, or not whole. */
static enum verdict
judge (void)
{
  struct store_checkpoint *c = NULL;
  struct text out;
  text_init (&out);
  enum status s = store_checkpoint_print (path, true, &out);
  text_clear (&out);
  fail_clear ();
  bool other = loads_other ();
  if (s != OK)
    return other ? SILENT : NOTICED;
  if (n_places > 0)
    return HARMLESS; /* every digest agrees */
  bool equal = holds_version (path, 3);
  if (store_checkpoint_open (path, &c) == OK) {
    struct store_attributes a;
    store_checkpoint_attributes (c, &a);
    equal = equal && !strcmp (a.order, attributes.order) &&
            !strcmp (a.data, attributes.data) &&
            !strcmp (a.metrics, attributes.metrics) &&
            !strcmp (a.progress, attributes.progress);
    store_checkpoint_close (&c);
  } else {
    equal = false;
  }
  fail_clear ();
  return equal ? HARMLESS : SILENT;
}

/* A cut at every 4 KiB and at odd places between. */
static int64_t
place_of_cut (const struct changes *c, int64_t i)
{
  (void)c;
  return i / 2 * 4096 + (i % 2 ? 1237 : 0);
}

/* Byte of an index. */
static int64_t
place_in_index (const struct changes *c, int64_t i)
{
  (void)c;
  return places[i];
}

/* -- an index of links ----------------------------------------------------- */

static enum status
write_many (struct wire *w)
{
  static struct store_tensor t[MANY];
  static float x[MANY];
  for (int i = 0; i < MANY; i++) {
    t[i] = (struct store_tensor){.n_dims = 0, .data = &x[i]};
    snprintf (t[i].path, sizeof t[i].path, "/model/layer%d.bias", i);
    x[i] = (float)i;
  }
  return store_checkpoint_write (w, path, &attributes, t, MANY, NULL);
}

/* A group of more than a few links keeps them in a B-tree, whose leaves are
 * read before any checksum of a tensor is. */
static void
find_leaves (const struct changes *c)
{
  enum { LEAF = 512 };
  for (int64_t i = 0; i + LEAF <= c->size; i++)
    if (memcmp (c->whole + i, "BTLF\0\5", 6) == 0)
      for (int k = 0; k < LEAF && n_places < PLACES_MOST; k++)
        places[n_places++] = i + k;
}

static void
change_index (struct wire *w, struct changes c)
{
  snprintf (path, sizeof path, "%s", scratch ("many.h5"));
  tap_ok (write_many (w) == OK, "a checkpoint with %d links in a group", MANY);
  changes_take (&c, path);
  find_leaves (&c);
  tap_ok (n_places >= 512, "%lld bytes of indices of links",
          (long long)n_places);
  c.n = n_places;
  c.place = place_in_index;
  changes_run (&c);
  tap_ok (c.seen->n[NOTICED] > 0, "damage in an index is noticed");
  changes_say (&c, true, "index of links");
  n_places = 0;
}

static void
change_and_cut (struct changes c)
{
  c.n = getenv ("INTERLOCK_BIG") != NULL ? c.size : SAMPLE;
  changes_run (&c);
  tap_ok (c.seen->next >= 2000 && c.seen->n[NOTICED] > c.size / 100,
          "%lld bytes of %lld changed", (long long)c.seen->next,
          (long long)c.size);
  changes_say (&c, true, "one bit");
  c.cuts = true;
  c.n = 2 * (c.size / 4096 + 1);
  c.place = place_of_cut;
  changes_run (&c);
  tap_ok (c.seen->n[NOTICED] >= 2 * (c.size / 4096), "cut at every 4 KiB");
  changes_say (&c, true, "cut off");
}

int
main (void)
{
  struct wire *w = NULL;
  struct changes c = {.seen = changes_share (), .seed = 31, .judge = judge};
  fault_plant (NULL);
  log_level_set (LOG_ERROR);
  if (wire_open_alone (&w) != OK || !scratch_open ())
    return 1;
  attributes.order = "shuffle";
  attributes.data = "0123456789abcdef";
  attributes.metrics = "step,split,head0_loss\n3,train,0.5\n";
  attributes.progress = "interval 1 from 3 heads 1: 0x0p+0 0";
  snprintf (path, sizeof path, "%s", scratch ("small.h5"));
  tap_ok (write_version (w, path, 3, 0) == OK && judge () == HARMLESS,
          "a small checkpoint, whole");
  changes_take (&c, path);
  /* The checker is checked: what is read differs, and the digests agree. */
  tap_ok (write_version (w, path, 4, 0) == OK && judge () == SILENT,
          "other contents under the same name would be seen");
  change_and_cut (c);
  change_index (w, c);
  scratch_close ();
  wire_close (&w);
  return tap_done ();
}
