/* ranks: 1 2 4 */
/* tests/train/digest.c -- replicas that stop being the same.
 *
 * A bit of one number of one replica is turned over after a step.  The
 * run ends with E_FAULT on all ranks at the first comparison behind it, names
 * hosts, ranks, stage, step and both digests, and leaves no checkpoint of a
 * state that differs, whoever writes it and whenever.  Digests themselves are
 * those of the stage's tensors as a file has them, whatever the folding.
 */
#define TAP_MPI
#include "base/fault.h"
#include "base/place.h"
#include "tests/run/rig.h"
#include <sys/stat.h>

enum { STAGES = 4 };

static void
test_config (const struct rig *r, const char *name, struct config *c)
{
  rig_config (r, STAGES, c);
  snprintf (c->dir, CONFIG_PATH, "%.*s/%s", CONFIG_PATH - 64, r->folder, name);
  c->replicas = wire_size (r->w) > 1 ? 2 : 1;
  c->batch = 8;
  c->steps = 12;
  c->keep = 100;
  c->async = true;
  c->io = CONFIG_INDEPENDENT;
}

/* -- a run -------------------------------------------------------------------
 */

/* Local: whether a file of the run is there, or its text has the words. */
static bool
is_there (const struct config *c, const char *name)
{
  struct text path;
  struct stat st;
  text_init (&path);
  text_add (&path, "%s/%s", c->dir, name);
  bool there = stat (path.data, &st) == 0;
  text_clear (&path);
  return there;
}

static bool
saved (const struct config *c, int step)
{
  char name[64];
  snprintf (name, sizeof name, "checkpoints/step-%09d.h5", step);
  return is_there (c, name);
}

static bool
says (const struct config *c, const char *file, const char *words)
{
  char *text = NULL;
  bool found =
      store_run_get (c->dir, file, &text) == OK && strstr (text, words) != NULL;
  fail_clear ();
  mem_free (&text);
  return found;
}

static void
remove_run (const struct rig *r, const struct config *c)
{
  struct text path;
  wire_barrier (r->w);
  if (wire_rank (r->w) != 0)
    return;
  text_init (&path);
  text_add (&path, "%s/checkpoints", c->dir);
  rig_remove (path.data);
  rig_remove (c->dir);
  text_clear (&path);
}

struct plan_of_fault {
  const char *name;
  int steps, every, check, step; /* step: the fault's, after so many steps */
  int seen, good; /* compared after, 0: depends on how fast files are written;
                     newest checkpoint that is right, 0: likewise, or none */
  bool async, at_end;
};

/* The rank that holds stage k of the second replica, and the number of the call
 * of fault_here there: one per stage and step. */
static void
plant (const struct rig *r, int k, int step)
{
  char spec[64];
  int n_pipe = wire_size (r->w) / 2, held = STAGES / n_pipe;
  snprintf (spec, sizeof spec, "weights:%d@%d",
            (step - 1) * held + k % held + 1, n_pipe + k / held);
  fault_plant (spec);
}

/* On the root: the log tells step, stage and no other, and who holds it in the
 * first replica. */
static bool
names (const struct rig *r, const struct config *c, int seen, int k)
{
  char words[512];
  snprintf (words, sizeof words, "differ after step %.0d", seen);
  bool all = says (c, "log", words);
  for (int stage = 0; stage < STAGES; stage++) {
    snprintf (words, sizeof words, "\nstage %d: ", stage);
    all = all && says (c, "log", words) == (stage == k);
  }
  snprintf (words, sizeof words, " on rank %d (host %s); ",
            k / (2 * STAGES / wire_size (r->w)), wire_host (r->w));
  return all && says (c, "log", words);
}

static void
test_fault (struct rig *r, const struct plan_of_fault *p, int k)
{
  struct config c;
  test_config (r, p->name, &c);
  c.steps = p->steps;
  c.every = p->every;
  c.check_every = p->check;
  c.async = p->async;
  c.at_end = p->at_end;
  plant (r, k, p->step);
  enum status e = train_run (r->w, &c);
  fault_plant (NULL);
  tap_ok (e == E_FAULT, "%s, stage %d: %s, wanted an internal fault", p->name,
          k, status_text (e));
  bool root = wire_rank (r->w) == 0;
  tap_ok (!root || names (r, &c, p->seen, k),
          "%s, stage %d: named with step, rank and host", p->name, k);
  bool good = p->good == 0 || saved (&c, p->good), bad = false;
  for (int step = p->step; step <= p->steps; step++)
    bad = bad || saved (&c, step);
  tap_ok (!root || (good && !bad),
          "%s, stage %d: checkpoints until step %d, no later", p->name, k,
          p->good);
  tap_ok (!root || says (&c, "status", "failed 70 "),
          "%s, stage %d: status says so", p->name, k);
  remove_run (r, &c);
}

/* -- digests -----------------------------------------------------------------
 */

/* The digests of the last step, K words, as metrics.csv has them. */
static void
read_digests (const struct config *c, char out[STAGES][32])
{
  char *text = NULL;
  rig_must (store_run_get (c->dir, "metrics.csv", &text));
  const char *row = strstr (text, "digest,");
  for (const char *at = row; at; at = strstr (at + 1, ",digest,"))
    row = at;
  row = strstr (row, ",x");
  for (int k = 0; k < STAGES; k++, row = strchr (row + 1, ','))
    snprintf (out[k], 32, "%.17s", row + 1);
  mem_free (&text);
}

/* XXH3 of the tensors of a stage, one behind the other, each seeded with what
 * came before; in the order in which the stage tells them. */
static void
digests_alone (const struct config *of, char out[STAGES][32])
{
  struct config c = *of;
  struct wire *alone = NULL;
  struct session s;
  int rank = place_rank (), size = place_size ();
  c.digests = false;
  c.check_every = 0;
  rig_must (wire_open_alone (&alone));
  rig_session (alone, &c, &s);
  rig_must (session_begin (&s, 0, c.steps));
  for (int64_t step = 0; step < c.steps; step++)
    rig_step (&s, step);
  for (int k = 0; k < STAGES; k++) {
    struct stage *stage = s.local[k].stage;
    uint64_t h = 0;
    for (int i = 0; i < stage_tensors (stage); i++) {
      struct tensor_info info;
      bool head, statistic;
      float *v = NULL;
      stage_tensor (stage, i, &info, &head, &statistic);
      size_t n = (size_t)tensor_info_count (&info);
      rig_must (MEM_NEW (n, &v, "tensor"));
      rig_must (stage_tensor_out (stage, i, STAGE_VALUE, v));
      h = hash_bytes (v, n * sizeof *v, h);
      mem_free (&v);
    }
    snprintf (out[k], 32, "x%016llx", (unsigned long long)h);
  }
  rig_must (session_end (&s));
  session_close (&s);
  wire_close (&alone);
  place_rank_set (rank, size);
}

static void
test_record (struct rig *r)
{
  struct config c;
  char got[STAGES][32], want[STAGES][32];
  test_config (r, "record", &c);
  c.replicas = 1;
  c.steps = 5;
  c.check_every = 2;
  c.digests = true;
  enum status e = train_run (r->w, &c);
  tap_ok (e == OK, "a run that records digests: %s", status_text (e));
  bool root = wire_rank (r->w) == 0, same = true;
  if (root) {
    read_digests (&c, got);
    digests_alone (&c, want);
  }
  for (int k = 0; root && k < STAGES; k++)
    same = same && strcmp (got[k], want[k]) == 0;
  tap_ok (same, "the last row has the digests of all stages' tensors");
  tap_ok (!root || (says (&c, "metrics.csv", "\n4,") &&
                    says (&c, "metrics.csv",
                          ",stage0_digest,stage1_digest,"
                          "stage2_digest,stage3_digest\n")),
          "with a column for each stage");
  remove_run (r, &c);
}

static void
test_clean (struct rig *r)
{
  struct config c;
  test_config (r, "clean", &c);
  c.steps = 6;
  c.check_every = 1;
  c.every = 2;
  enum status e = train_run (r->w, &c);
  tap_ok (e == OK, "replicas that are the same, compared in every step: %s",
          status_text (e));
  remove_run (r, &c);
}

int
main (int argc, char **argv)
{
  static const struct plan_of_fault faults[] = {
      {"compared", 12, 0, 3, 5, 6, 0, true, false},
      {"saved beside", 60, 2, 100, 5, 0, 0, true, true},
      {"saved while all wait", 12, 2, 100, 5, 6, 4, false, false},
      {"saved at the end", 11, 4, 100, 9, 11, 8, false, true},
      {"at the last step", 5, 0, 100, 5, 5, 0, true, false}};
  struct rig r;
  rig_open (&argc, &argv, &r);
  rig_data (&r, 32, 8);
  test_record (&r);
  if (wire_size (r.w) > 1) {
    test_clean (&r);
    for (int i = 0; i < 5; i++)
      test_fault (&r, &faults[i], (2 * i + 1) % STAGES);
  }
  int result = tap_done ();
  rig_close (&r);
  return result;
}
