/* ranks: 1 2 3 */
/* tests/store/saver.c -- checkpoints written beside the steps: the same bytes
 * as by the other ways, and nothing but whole files under final names whatever
 * fails.
 */
#define TAP_MPI
#include "store/run.h"
#include "store/saver.h"
#include "tests/store/tensors.h"
#include "tests/tap.h"
#include "wire/wire.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/memory.h"
#include <signal.h>
#include <sys/resource.h>

/* Move the saver on until the save is over.  Ranks look at different times. */
static struct store_saved
settle (struct wire *w, struct store_saver *v, const struct store_attributes *a)
{
  struct store_saved out = {.status = E_FAULT};
  for (double start = clock_now_s (); !store_saver_poll (v, &out);) {
    if (store_saver_waits (v) && store_saver_describe (v, a) != OK)
      break;
    wire_rest (start - wire_rank (w));
  }
  return out;
}

static struct store_saver *
saver_of (struct wire *w, uint64_t version, int turn, int64_t keep)
{
  struct store_tensor mine[N_TENSORS];
  struct store_saver *v = NULL;
  int n = give_version (w, version, turn, mine);
  if (store_saver_open (w, mine, n, NULL, keep ? scratch ("kept") : NULL, keep,
                        &v) != OK)
    wire_abort (E_FAULT);
  return v;
}

/* All ranks save and say how it went. */
static struct store_saved
save (struct wire *w, const char *path, uint64_t version, int turn)
{
  struct store_saver *v = saver_of (w, version, turn, 0);
  store_saver_begin (v, path, attributes.step);
  struct store_saved out = settle (w, v, &attributes);
  store_saver_close (&v);
  wire_barrier (w);
  return out;
}

static void
test_same_bytes (struct wire *w)
{
  char beside[512], path[512];
  static char many[200001];
  static const struct store_spec hows[2] = {{.collective = false},
                                            {.collective = true}};
  memset (many, 'm', sizeof many - 1);
  snprintf (beside, sizeof beside, "%s", scratch ("a/beside.h5"));
  for (int turn = 0; turn < 3; turn++) {
    attributes.metrics = turn == 2 ? many : "step,split\n3,train\n";
    struct store_saved out = save (w, beside, 5, turn);
    tap_ok (out.status == OK && holds_version (beside, 5) &&
                !strcmp (out.path, beside) && out.step == attributes.step &&
                count_parts (scratch ("a")) == 0,
            "written beside the steps, spread %d", turn);
    for (int i = 0; i < 2; i++) {
      snprintf (path, sizeof path, "%s", scratch ("%d.h5", i));
      enum status s = write_how (w, path, 5, 3 - turn, &hows[i]);
      tap_ok (s == OK && equal_files (path, beside), "the same bytes %s",
              i ? "collectively" : "independently");
      wire_barrier (w);
    }
  }
  attributes.metrics = NULL;
}

/* A tensor that goes past the page cache, where the file system can: whole
 * pages and a rest; from aligned memory on even turns. */
static void
test_large (struct wire *w)
{
  enum { VALUES = 150001 };
  static float room[VALUES + 2048], back[VALUES];
  char beside[512], other[512];
  snprintf (beside, sizeof beside, "%s", scratch ("large.h5"));
  snprintf (other, sizeof other, "%s", scratch ("large-2.h5"));
  struct store_tensor t = {"/model/large", 1, {VALUES}, NULL, TENSOR_F32};
  for (int turn = 0; turn < 2; turn++) {
    char *p = (char *)room + STORE_PAGE - (uintptr_t)room % STORE_PAGE;
    float *data = (float *)(p + (turn ? 4 : 0));
    t.data = data;
    for (int i = 0; i < VALUES; i++)
      data[i] = (float)(i * (turn + 1));
    struct store_saver *v = NULL;
    int n = wire_rank (w) == wire_size (w) - 1;
    bool good = store_saver_open (w, &t, n, NULL, NULL, 0, &v) == OK;
    store_saver_begin (v, beside, attributes.step);
    struct store_saved out = settle (w, v, &attributes);
    store_saver_close (&v);
    good = good && out.status == OK &&
           store_checkpoint_write (w, other, &attributes, &t, n, NULL) == OK;
    struct store_checkpoint *c = NULL;
    struct store_tensor u = t;
    u.data = back;
    good = good && equal_files (beside, other) &&
           store_checkpoint_open (beside, &c) == OK &&
           store_checkpoint_read (c, &u) == OK &&
           !memcmp (back, t.data, sizeof back);
    store_checkpoint_close (&c);
    tap_ok (good, "a large tensor from %s memory", turn ? "odd" : "aligned");
    wire_barrier (w);
  }
}

static void
test_again (struct wire *w)
{
  char path[512];
  struct store_saver *v = saver_of (w, 1, 0, 0);
  bool good = true;
  snprintf (path, sizeof path, "%s", scratch ("again.h5"));
  for (int i = 0; i < 5; i++) {
    for (int k = 0; k < N_TENSORS; k++)
      (void)values_of (k, 10 + (uint64_t)i); /* the memory of all tensors */
    store_saver_begin (v, path, i);
    good = good && store_saver_busy (v);
    struct store_saved out = settle (w, v, &attributes);
    good = good && out.status == OK && !store_saver_busy (v) &&
           out.bytes > 9000 && out.total_s > 0 && out.write_s > 0;
    wire_barrier (w);
    good = good && holds_version (path, 10 + (uint64_t)i);
    wire_barrier (w);
  }
  store_saver_close (&v);
  tap_ok (good, "five saves by one saver, over the same name");
}

/* -- failures leave what was there ----------------------------------------- */

static void
test_fault (struct wire *w, const char *fault, const char *words)
{
  char path[512];
  snprintf (path, sizeof path, "%s", scratch ("fault.h5"));
  struct store_saved first = save (w, path, 1, 0);
  fault_plant (fault);
  struct store_saved out = save (w, path, 2, 0);
  fault_plant (NULL);
  if (!strstr (out.message, words))
    fprintf (stderr, "# %s: %s\n", fault, out.message);
  tap_ok (first.status == OK && out.status == E_IO &&
              strstr (out.message, words) && holds_version (path, 1) &&
              count_parts (scratch_folder) == 0,
          "%s: all say so, the old file stays", fault);
  wire_barrier (w);
  out = save (w, path, 3, 1);
  tap_ok (out.status == OK && holds_version (path, 3),
          "the next one goes well");
  wire_barrier (w);
}

/* A file size limit stands for a full disk: the system refuses for real.  On
 * root it is met when room is reserved, elsewhere when data is written. */
static void
test_full (struct wire *w, int limited, const char *what)
{
  char path[512];
  struct rlimit old, low;
  snprintf (path, sizeof path, "%s", scratch ("full.h5"));
  struct store_saved first = save (w, path, 1, 0);
  getrlimit (RLIMIT_FSIZE, &old);
  low = old;
  low.rlim_cur = 8192;
  if (wire_rank (w) == limited)
    setrlimit (RLIMIT_FSIZE, &low);
  struct store_saved out = save (w, path, 2, 0);
  setrlimit (RLIMIT_FSIZE, &old);
  tap_ok (first.status == OK && out.status == E_IO &&
              strstr (out.message, "File too large") &&
              holds_version (path, 1) && count_parts (scratch_folder) == 0,
          "no room %s: all say so, the old file stays", what);
  wire_barrier (w);
}

static void
test_abandoned (struct wire *w)
{
  char path[512];
  snprintf (path, sizeof path, "%s", scratch ("given-up.h5"));
  struct store_saver *v = saver_of (w, 1, 0, 0);
  store_saver_begin (v, path, 1);
  struct store_saved out = settle (w, v, NULL);
  wire_barrier (w);
  tap_ok (out.status == E_NUMBERS && !out.message[0] &&
              scratch_bytes (path) < 0 && count_parts (scratch_folder) == 0,
          "given up: no file");
  store_saver_begin (v, path, 2);
  out = settle (w, v, &attributes);
  tap_ok (out.status == OK && holds_version (path, 1), "and the next is whole");
  store_saver_close (&v);
  wire_barrier (w);
}

static void
test_keep (struct wire *w)
{
  char path[512];
  struct store_saver *v = saver_of (w, 1, 0, 2);
  int64_t step = attributes.step;
  bool good = true;
  for (int i = 1; i <= 5; i++) {
    attributes.step = i;
    snprintf (path, sizeof path, "%s",
              scratch ("kept/checkpoints/step-%09d.h5", i));
    store_saver_begin (v, path, i);
    struct store_saved out = settle (w, v, &attributes);
    good = good && out.status == OK && !out.warning[0];
    wire_barrier (w);
  }
  good = good &&
         scratch_bytes (scratch ("kept/checkpoints/step-000000003.h5")) < 0 &&
         scratch_bytes (scratch ("kept/checkpoints/step-000000004.h5")) > 0 &&
         scratch_bytes (scratch ("kept/checkpoints/step-000000005.h5")) > 0;
  tap_ok (good, "the two newest are kept");
  attributes.step = step;
  store_saver_close (&v);
  wire_barrier (w);
}

/* The directory goes to another start while we write. */
static void
test_taken_over (struct wire *w)
{
  struct store_tensor mine[N_TENSORS];
  struct store_saver *v = NULL;
  struct store_run *run = NULL;
  static const char other[] =
      "{\"host\": \"elsewhere\", \"pid\": 7, \"job\": \"99\", \"restart\": 0, "
      "\"start\": 1, \"time\": 1.0}\n";
  char path[512];
  int n = give_version (w, 1, 0, mine);
  snprintf (path, sizeof path, "%s", scratch ("run/checkpoints/1.h5"));
  bool good =
      wire_rank (w) != 0 || store_run_open (scratch ("run"), &run) == OK;
  good = store_saver_open (w, mine, n, run, NULL, 0, &v) == OK && good;
  store_saver_begin (v, path, 1);
  struct store_saved out = settle (w, v, &attributes);
  tap_ok (good && out.status == OK, "the run is ours");
  wire_barrier (w);
  if (wire_rank (w) == 0) {
    scratch_write (scratch ("run/lock"), other, sizeof other - 1);
    unlink (path);
  }
  wire_barrier (w);
  store_saver_begin (v, path, 1);
  out = settle (w, v, &attributes);
  wire_barrier (w);
  tap_ok (out.status == E_USAGE && strstr (out.message, "elsewhere") &&
              scratch_bytes (path) < 0 &&
              count_parts (scratch ("run/checkpoints")) == 0,
          "another has taken it over: nothing is published");
  store_saver_close (&v);
  store_run_close (&run);
  wire_barrier (w);
}

int
main (int argc, char **argv)
{
  struct wire *w = NULL;
  char fault[32];
  signal (SIGXFSZ, SIG_IGN);
  fault_plant (NULL);
  log_level_set (LOG_ERROR);
  if (wire_open (&argc, &argv, &w) != OK || wire_grid (w, 1) != OK)
    return 1;
  int last = wire_size (w) - 1;
  share_folder (w);
  test_same_bytes (w);
  test_large (w);
  test_again (w);
  snprintf (fault, sizeof fault, "write@%d", last);
  test_fault (w, fault, "No space left on device (planted)");
  snprintf (fault, sizeof fault, "damage@%d", last);
  test_fault (w, fault, "wrong when read back");
  test_full (w, 0, "at root");
  if (last > 0)
    test_full (w, last, "at the last rank");
  test_abandoned (w);
  test_keep (w);
  test_taken_over (w);
  wire_barrier (w);
  if (wire_rank (w) == 0)
    scratch_close ();
  wire_close (&w);
  tap_ok (mem_leaks () == 0, "nothing left behind");
  return tap_done ();
}
