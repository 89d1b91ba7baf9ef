/* ranks: 2 3 4 */
/* tests/run/replica.c -- replicas against a sum made by hand.
 *
 * R sessions without MPI each take one part of every batch (their files are the
 * same samples, each batch turned so that the part comes first).  Before the
 * first of them updates a stage, its gradients and running statistics are
 * replaced by the sum, or mean, over all parts along the documented tree; the
 * others copy its tensors after the step.  The real run has the same bits.
 */
#define TAP_MPI
#include "base/place.h"
#include "tests/run/h5.h"

enum { STEPS = 3, BATCH = 24, SIZE = 8, PARTS = 4, STAGES = 4 };

struct block { /* gradients and statistics of body and head of a stage */
  float *v[4]; /* owned */
  size_t n[4];
};

struct part {
  struct session s;
  struct stage_loss loss[STAGES]; /* of the newest step */
  struct block block[STAGES];
};

struct by_hand {
  struct part part[PARTS];
  int R;
  bool fault; /* statistics are left as they are */
};

static void
write_files (const struct rig *r, int R)
{
  size_t n = STEPS * BATCH, pixels = 3 * SIZE * SIZE, shift = BATCH / (size_t)R;
  float *images = NULL;
  int *labels = NULL;
  char path[CONFIG_PATH + 32];
  struct random_key key = {.seed = 5, .purpose = RANDOM_TEST};
  rig_must (MEM_NEW (n * pixels, &images, "images"));
  rig_must (MEM_NEW (n, &labels, "labels"));
  for (size_t part = 0; part < (size_t)R; part++) {
    for (size_t i = 0; i < n; i++) {
      size_t from = i / BATCH * BATCH + (i % BATCH + part * shift) % BATCH;
      for (size_t j = 0; j < pixels; j++)
        images[i * pixels + j] = (float)random_normal (&key, from * pixels + j);
      labels[i] = (int)(from * 7 % 5);
    }
    snprintf (path, sizeof path, "%s/parts%d-%zu.h5", r->folder, R, part);
    h5_write_data (path, n, SIZE, 5, images, labels);
  }
  mem_free (&images);
  mem_free (&labels);
}

static void
test_config (const struct rig *r, int R, const char *span, const char *mix,
             int micro, struct config *c)
{
  rig_config (r, STAGES, c);
  snprintf (c->groups, CONFIG_TEXT, "8x2,64x2"); /* several buckets */
  snprintf (c->span, CONFIG_WORD, "%s", span);
  key_set (KEY_OF (mix), mix, c);
  snprintf (c->file, CONFIG_PATH, "%.*s/parts%d-0.h5", CONFIG_PATH - 32,
            r->folder, R);
  c->order = CONFIG_SEQUENTIAL;
  c->batch = BATCH;
  c->micro = micro;
  c->replicas = R;
}

/* -- by hand -----------------------------------------------------------------
 */

static void
blocks_of (struct local_stage *l, float *v[4], size_t n[4])
{
  for (int p = 0; p < 2; p++) {
    stage_gradients (l->stage, (enum stage_part)p, &v[p], &n[p]);
    stage_statistics (l->stage, (enum stage_part)p, &v[2 + p], &n[2 + p]);
  }
}

static void
keep_blocks (struct by_hand *h, int r, struct local_stage *l)
{
  struct block *b = &h->part[r].block[l->k];
  float *v[4];
  blocks_of (l, v, b->n);
  mem_open ();
  for (int i = 0; i < 4; i++) {
    if (!b->v[i])
      rig_must (MEM_NEW (b->n[i], &b->v[i], "block"));
    memcpy (b->v[i], v[i], b->n[i] * sizeof (float));
  }
  mem_close ();
}

/* v[0] = sum of v[0..R-1]: neighbours first, then neighbours of those. */
static float
tree_sum (float *v, int R)
{
  for (int d = 1; d < R; d *= 2)
    for (int r = 0; r + d < R; r += 2 * d)
      v[r] += v[r + d];
  return v[0];
}

static void
on_gradients (struct session *s, struct local_stage *l, int64_t step,
              void *context)
{
  struct by_hand *h = context;
  int r = 0;
  (void)step;
  while (&h->part[r].s != s)
    r++;
  keep_blocks (h, r, l);
  if (r > 0)
    return;
  float *v[4], one[PARTS];
  size_t n[4];
  blocks_of (l, v, n);
  for (int i = 0; i < (h->fault ? 2 : 4); i++)
    for (size_t j = 0; j < n[i]; j++) {
      for (int p = 0; p < h->R; p++)
        one[p] = h->part[p].block[l->k].v[i][j];
      v[i][j] = tree_sum (one, h->R);
      if (i >= 2)
        v[i][j] /= (float)h->R;
    }
}

static void
copy_tensors (struct session *from, struct session *to)
{
  for (int i = 0; i < to->n_local; i++) {
    struct stage *a = from->local[i].stage, *b = to->local[i].stage;
    for (int j = 0; j < stage_tensors (a); j++) {
      struct tensor_info info;
      bool head, statistic;
      float *v = NULL;
      stage_tensor (a, j, &info, &head, &statistic);
      rig_must (MEM_NEW ((size_t)tensor_info_count (&info), &v, "tensor"));
      rig_must (stage_tensor_out (a, j, STAGE_VALUE, v));
      rig_must (stage_tensor_in (b, j, STAGE_VALUE, v));
      mem_free (&v);
    }
    rig_must (stage_refresh (b));
  }
}

/* A session that takes the first part of each whole batch. */
static void
part_open (struct by_hand *h, int r, struct wire *alone,
           const struct config *whole)
{
  struct session *s = &h->part[r].s;
  struct config c = *whole;
  c.replicas = 1;
  c.batch = whole->batch / h->R;
  c.file[strlen (c.file) - 4] = (char)('0' + r); /* partsR-r.h5 */
  rig_session (alone, &c, s);
  ((struct design *)s->design)->batch = whole->batch;
  data_order_destroy (&s->order);
  rig_must (data_order_create (s->design->n_train, s->design->batch, false, 0,
                               &s->order));
  s->on_gradients = on_gradients;
  s->on_gradients_context = h;
  rig_must (session_begin (s, 0, STEPS));
}

/* loss: of all heads, after the last step. */
static void
walk_by_hand (const struct config *c, bool fault, double *loss, char **digests)
{
  struct by_hand *h = NULL;
  struct wire *alone = NULL;
  int rank = place_rank (), size = place_size ();
  rig_must (MEM_NEW (1, &h, "sessions"));
  rig_must (wire_open_alone (&alone));
  h->R = (int)c->replicas;
  h->fault = fault;
  for (int r = 0; r < h->R; r++)
    part_open (h, r, alone, c);
  for (int step = 0; step < STEPS; step++) {
    for (int r = h->R - 1; r >= 0; r--)
      rig_losses (&h->part[r].s, step, h->part[r].loss);
    for (int r = 1; r < h->R; r++)
      copy_tensors (&h->part[0].s, &h->part[r].s);
  }
  for (int k = 0; k < STAGES; k++) {
    loss[k] = 0;
    for (int r = 0; r < h->R; r++)
      loss[k] += h->part[r].loss[k].loss;
  }
  rig_must (check_all_digests (&h->part[0].s, digests));
  for (int r = 0; r < h->R; r++) {
    rig_must (session_end (&h->part[r].s));
    session_close (&h->part[r].s);
    for (int k = 0; k < STAGES; k++)
      for (int i = 0; i < 4; i++)
        mem_free (&h->part[r].block[k].v[i]);
  }
  wire_close (&alone);
  mem_free (&h);
  place_rank_set (rank, size);
}

/* -- for real ----------------------------------------------------------------
 */

/* Every replica of a stage holds the same. */
static bool
twins_agree (struct session *s)
{
  struct text mine;
  char **all = NULL;
  bool same = true;
  text_init (&mine);
  rig_must (check_digests (s, false, &mine));
  rig_must (wire_gather_text (s->wire, mine.data, &all));
  text_clear (&mine);
  int n_pipe = wire_pipe_size (s->wire);
  for (int r = 0; all && r < wire_size (s->wire); r++)
    same = same && strcmp (all[r], all[r % n_pipe]) == 0;
  for (int r = 0; all && r < wire_size (s->wire); r++)
    mem_free (&all[r]);
  mem_free (&all);
  return same;
}

static void
walk (struct rig *r, const struct config *c, double *loss, bool *same,
      char **digests)
{
  struct session s;
  struct stage_loss sum[STAGES];
  rig_session (r->w, c, &s);
  rig_must (session_begin (&s, 0, STEPS));
  for (int step = 0; step < STEPS; step++)
    rig_losses (&s, step, sum);
  rig_must (session_end (&s));
  for (int k = 0; k < STAGES; k++)
    loss[k] = sum[k].loss;
  *same = twins_agree (&s);
  rig_must (check_all_digests (&s, digests));
  session_close (&s);
}

static void
test_case (struct rig *r, int R, const char *span, const char *mix, int micro,
           bool fault)
{
  struct config c;
  char *here = NULL, *hand = NULL;
  double loss[STAGES], want[STAGES];
  bool same;
  const char *differs = "";
  test_config (r, R, span, mix, micro, &c);
  walk (r, &c, loss, &same, &here);
  if (wire_rank (r->w) == 0) {
    walk_by_hand (&c, fault, want, &hand);
    differs = rig_difference (hand, here);
  }
  if (fault) {
    tap_ok (!here || strstr (differs, "running_"),
            "planted: statistics that are not averaged are noticed");
  } else {
    tap_ok (differs[0] == '\0',
            "%d replicas, span %s, mix %s, micro %d: the bits of a sum by "
            "hand%s%s",
            R, span, mix, micro, differs[0] ? ", but for " : "", differs);
    tap_ok (!here || memcmp (loss, want, sizeof want) == 0,
            "%d replicas, span %s, mix %s, micro %d: and its losses", R, span,
            mix, micro);
    tap_ok (same, "%d replicas, span %s, mix %s, micro %d: twins agree", R,
            span, mix, micro);
  }
  mem_free (&here);
  mem_free (&hand);
}

int
main (int argc, char **argv)
{
  struct rig r;
  rig_open (&argc, &argv, &r);
  for (int R = 2; R <= 4; R++) {
    if (wire_size (r.w) % R != 0)
      continue;
    if (wire_rank (r.w) == 0)
      write_files (&r, R);
    wire_barrier (r.w);
    test_case (&r, R, "1", "furthest", 1, false);
    test_case (&r, R, "2", "furthest", 2, false);
    test_case (&r, R, "3", "sum", 1, false);
    test_case (&r, R, "all", "furthest", 2, false);
    test_case (&r, R, "frozen,3,frozen,1", "furthest", 2, false);
    test_case (&r, R, "2", "furthest", 1, true);
  }
  int result = tap_done ();
  rig_close (&r);
  return result;
}
