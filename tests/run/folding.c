/* ranks: 1 2 3 4 */
/* tests/run/folding.c -- the result does not depend on which rank holds which
 * stage, nor on the order of micro-batches: K = 4 stages on 1 to 4 ranks give
 * the bits of the same run on one rank without MPI, where every message is the
 * hand-over of a pointer.  One stage end to end is the same as four.
 */
#define TAP_MPI
#include "tests/run/rig.h"

enum { STEPS = 3 };

struct row {
  const char *span, *mix;
  int micro;
  double clip;
  const char *orders; /* all have to agree with the first */
};

/* The expected bits are walked once per row, in eager order. */
static const struct row rows[] = {
    {"1", "furthest", 1, 0, "eager"},
    {"2", "furthest", 1, 0, "eager"},
    {"3", "furthest", 1, 0, "eager"},
    {"4", "furthest", 1, 0, "eager"},
    {"2", "sum", 1, 0, "eager"},
    {"3", "sum", 1, 0, "eager"},
    {"4", "sum", 1, 0, "eager"},
    {"2", "mean", 1, 0, "eager"},
    {"3", "mean", 1, 0, "eager"},
    {"4", "mean", 1, 0, "eager"},
    {"1", "furthest", 2, 0, "eager 1f1b filldrain"},
    {"2", "furthest", 2, 0, "eager 1f1b filldrain"},
    {"3", "furthest", 2, 0, "eager 1f1b filldrain"},
    {"4", "furthest", 2, 0, "eager 1f1b filldrain"},
    {"2", "sum", 2, 0, "eager 1f1b"},
    {"3", "sum", 2, 0, "eager filldrain"},
    {"4", "sum", 2, 0, "eager 1f1b"},
    {"2", "mean", 2, 0, "eager"},
    {"3", "mean", 2, 0, "eager 1f1b"},
    {"4", "mean", 2, 0, "eager filldrain"},
    {"2", "furthest", 4, 0, "eager 1f1b filldrain"},
    {"3", "mean", 4, 0, "eager 1f1b"},
    {"4", "furthest", 4, 0, "eager filldrain"},
    {"1", "furthest", 1, 0.5, "eager"},
    {"2", "furthest", 1, 0.5, "eager"},
    {"3", "furthest", 2, 0.5, "eager 1f1b"},
    {"4", "furthest", 1, 0.5, "eager"},
    {"3", "sum", 1, 0.5, "eager"},
    {"4", "mean", 2, 0.5, "eager filldrain"},
};

static double grow; /* of the rows that follow: strategy.grow */

static void
row_config (const struct rig *r, const struct row *row, struct config *c)
{
  rig_config (r, 4, c);
  snprintf (c->span, CONFIG_WORD, "%s", row->span);
  key_set (KEY_OF (mix), row->mix, c);
  c->augment = CONFIG_AUGMENT_FLIP_CROP4;
  c->micro = row->micro;
  c->clip = row->clip;
}

static void
test_row (struct rig *r, const struct row *row, const char *border,
          const char *order)
{
  struct config c;
  char *alone = NULL, *here = NULL, *save = NULL, orders[64];
  row_config (r, row, &c);
  key_set (KEY_OF (border), border, &c);
  key_set (KEY_OF (model_order), order, &c);
  c.grow = grow;
  if (wire_rank (r->w) == 0)
    rig_walk_alone (&c, STEPS, &alone);
  snprintf (orders, sizeof orders, "%s", row->orders);
  for (char *word = strtok_r (orders, " ", &save); word;
       word = strtok_r (NULL, " ", &save)) {
    key_set (KEY_OF (run_schedule), word, &c);
    rig_walk (r->w, &c, STEPS, &here);
    const char *differs = here ? rig_difference (alone, here) : "";
    tap_ok (
        differs[0] == '\0',
        "%s, span %s, mix %s, micro %d, clip %g, border %s, grow %g, %s%s%s",
        order, row->span, row->mix, row->micro, row->clip, border, grow, word,
        differs[0] ? ": differs: " : "", differs);
    mem_free (&here);
  }
  mem_free (&alone);
}

/* -- the rest ----------------------------------------------------------------
 */

/* Lines of the model's own tensors. */
static void
model_only (char *digests)
{
  char *to = digests;
  for (char *p = digests; *p;) {
    size_t n = strcspn (p, "\n") + 1;
    if (strncmp (p, "/model/", 7) == 0) {
      memmove (to, p, n);
      to += n;
    }
    p += n;
  }
  *to = '\0';
}

static void
test_uncut (struct rig *r, int micro, const char *order)
{
  struct config c;
  char *cut = NULL, *whole = NULL;
  rig_config (r, 4, &c);
  c.micro = micro;
  key_set (KEY_OF (model_order), order, &c);
  rig_walk (r->w, &c, STEPS, &cut);
  const char *differs = "";
  if (wire_rank (r->w) == 0) {
    rig_config (r, 1, &c);
    c.micro = micro;
    key_set (KEY_OF (model_order), order, &c);
    rig_walk_alone (&c, STEPS, &whole);
    model_only (cut);
    model_only (whole);
    differs = rig_difference (whole, cut);
  }
  tap_ok (differs[0] == '\0' && (!whole || whole[0]),
          "%s, span 4 of 4 stages is one uncut stage, micro %d%s%s", order,
          micro, differs[0] ? ": differs: " : "", differs);
  mem_free (&cut);
  mem_free (&whole);
}

/* Strategies in other words, and such as one span cannot say: on these ranks as
 * alone, and as the words they are like. */
struct words {
  const char *span, *mix, *route;
  double own;
  const char *like_span, *like_mix; /* NULL: like nothing else */
};
static const struct words words[] = {
    {"1,1,1,1", "furthest", "", 0, "1", "furthest"},
    {"2,2,2,2", "furthest", "", 0, "2", "furthest"},
    {"2,2,2,1", "mean", "", 0, "2", "mean"},
    {"2", "furthest", "", 1, "2", "sum"},
    {"local", "furthest", "", 0.7, "1", "furthest"},
    {"all", "furthest", "0 1 0 0/0 0 1 0/0 0 0 1/0 0 0 1", 0, "2", "furthest"},
    {"1,1,2,all", "furthest", "", 0, NULL, NULL},
    {"3,1,2,1", "furthest", "", 0.3, NULL, NULL},
    {"all,local,pairwise,1", "sum", "", 0, NULL, NULL},
    {"all", "furthest", "0.5 0 2 0/0,1,0,0.25/0 0 0 1/0 0 0 3", 0, NULL, NULL},
    {"frozen,2,2,all", "furthest", "", 0, NULL, NULL},
    {"2,frozen,2,1", "sum", "", 0, NULL, NULL},
    {"all,frozen,frozen,frozen", "furthest", "", 0, NULL, NULL},
    {"1,frozen,frozen,frozen", "furthest", "", 0.3, NULL, NULL},
    {"all", "furthest", "frozen/0 1 0 0/frozen/0 0 0 1", 0, NULL, NULL},
};

static void
test_words (struct rig *r, const struct words *row, bool heads_all, double clip)
{
  struct config c;
  char *alone = NULL, *here = NULL;
  rig_config (r, 4, &c);
  c.micro = 2;
  c.heads_all = heads_all;
  c.clip = clip;
  struct config other = c;
  key_set (KEY_OF (span), row->span, &c);
  key_set (KEY_OF (mix), row->mix, &c);
  key_set (KEY_OF (route), row->route, &c);
  c.own = row->own;
  if (row->like_span) {
    key_set (KEY_OF (span), row->like_span, &other);
    key_set (KEY_OF (mix), row->like_mix, &other);
  }
  if (wire_rank (r->w) == 0)
    rig_walk_alone (row->like_span ? &other : &c, STEPS, &alone);
  rig_walk (r->w, &c, STEPS, &here);
  const char *differs = here ? rig_difference (alone, here) : "";
  tap_ok (differs[0] == '\0',
          "span %s, mix %s, own %g, route %s, %s heads, clip %g: like %s%s%s",
          row->span, row->mix, row->own, row->route,
          heads_all ? "all" : "needed", clip,
          row->like_span ? row->like_span : "alone",
          differs[0] ? ": differs: " : "", differs);
  mem_free (&here);
  mem_free (&alone);
}

static void
test_again (struct rig *r, const char *span, const char *optimizer)
{
  struct config c;
  char *first = NULL, *second = NULL;
  rig_config (r, 4, &c);
  snprintf (c.span, CONFIG_WORD, "%s", span);
  key_set (KEY_OF (optimizer), optimizer, &c);
  c.lr = 0.01;
  c.micro = 2;
  rig_walk (r->w, &c, STEPS, &first);
  rig_walk (r->w, &c, STEPS, &second);
  const char *differs = first ? rig_difference (first, second) : "";
  tap_ok (differs[0] == '\0', "a second run has the same bits, span %s, %s",
          span, optimizer);
  mem_free (&first);
  mem_free (&second);
}

/* The comparison notices one changed bit of one weight, and another seed, and
 * another span: it does not compare what never moves. */
static void
test_faults (struct rig *r)
{
  struct config c;
  struct session s;
  char *one = NULL, *other = NULL;
  rig_config (r, 4, &c);
  rig_walk (r->w, &c, STEPS, &one);
  rig_session (r->w, &c, &s);
  rig_must (session_begin (&s, 0, STEPS));
  for (int step = 0; step < STEPS; step++)
    rig_step (&s, step);
  rig_must (session_end (&s));
  if (s.local[s.n_local - 1].k == 3) {
    struct local_stage *l = &s.local[s.n_local - 1];
    struct tensor_info info;
    bool head, statistic;
    float *v = NULL;
    uint32_t bits;
    stage_tensor (l->stage, 0, &info, &head, &statistic);
    rig_must (MEM_NEW ((size_t)tensor_info_count (&info), &v, "tensor"));
    rig_must (stage_tensor_out (l->stage, 0, STAGE_VALUE, v));
    memcpy (&bits, v, sizeof bits);
    bits ^= 1;
    memcpy (v, &bits, sizeof bits);
    rig_must (stage_tensor_in (l->stage, 0, STAGE_VALUE, v));
    rig_must (stage_refresh (l->stage));
    mem_free (&v);
  }
  rig_must (check_all_digests (&s, &other));
  session_close (&s);
  tap_ok (!one || rig_difference (one, other)[0], "one changed bit is noticed");
  mem_free (&other);
  c.clip = 1e-3;
  rig_walk (r->w, &c, STEPS, &other);
  tap_ok (!one || rig_difference (one, other)[0], "clipping changes bits");
  mem_free (&other);
  c.clip = 0;
  c.border = CONFIG_BORDER_RMS;
  rig_walk (r->w, &c, STEPS, &other);
  tap_ok (!one || rig_difference (one, other)[0], "a border changes bits");
  mem_free (&other);
  c.border = CONFIG_BORDER_NONE;
  c.model_order = CONFIG_PRE;
  rig_walk (r->w, &c, STEPS, &other);
  tap_ok (!one || rig_difference (one, other)[0], "so does the order");
  mem_free (&other);
  c.model_order = CONFIG_POST;
  c.grow = 1;
  rig_walk (r->w, &c, STEPS, &other);
  tap_ok (!one || rig_difference (one, other)[0], "a penalty changes bits");
  mem_free (&other);
  mem_free (&one);
}

int
main (int argc, char **argv)
{
  struct rig r;
  rig_open (&argc, &argv, &r);
  rig_data (&r, 32, 16);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    test_row (&r, &rows[i], "none", "post");
  test_row (&r, &rows[0], "rms", "post");
  test_row (&r, &rows[11], "rms", "post");
  test_row (&r, &rows[5], "ln", "post");
  test_row (&r, &rows[26], "ln", "post");
  const int pre[] = {0, 1, 5, 12, 13, 18, 21, 25};
  for (size_t i = 0; i < sizeof pre / sizeof *pre; i++)
    test_row (&r, &rows[pre[i]], "none", "pre");
  test_row (&r, &rows[11], "rms", "pre");
  grow = 1;
  const int growing[] = {0, 11, 13, 28};
  for (size_t i = 0; i < sizeof growing / sizeof *growing; i++)
    test_row (&r, &rows[growing[i]], "none", "post");
  test_row (&r, &rows[25], "rms", "pre");
  grow = 0;
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    test_words (&r, &words[i], true, 0);
  for (size_t i = sizeof words / sizeof *words - 5;
       i < sizeof words / sizeof *words; i++)
    test_words (&r, &words[i], false, i % 2 ? 0.5 : 0);
  test_uncut (&r, 1, "post");
  test_uncut (&r, 2, "post");
  test_uncut (&r, 1, "pre");
  test_uncut (&r, 2, "pre");
  test_again (&r, "3", "sgd");
  test_again (&r, "all", "adamw");
  test_faults (&r);
  int result = tap_done ();
  rig_close (&r);
  return result;
}
