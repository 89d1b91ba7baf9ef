/* ranks: 0 */
/* Gradients that share memory: no two that live at once lie in one buffer, all
 * in one are of a size, and there are no more buffers than live at the busiest
 * moment.  The moments are found here by reading the list from the words of
 * plan.h.  And the walker sees each gradient that is put where another lives.
 */
#include "base/memory.h"
#include "tests/plan/ask.h"

/* Operations at which it is there; from > to: it is none of the rank's. */
struct life {
  int border, stream, micro, from, to;
};

static bool
takes (const struct plan *p, const struct plan_op *o, const struct life *l)
{
  if (o->micro != l->micro || o->stage != l->border - 1)
    return false;
  for (int i = 0; i < p->n_passes[o->stage]; i++) {
    const struct plan_pass *pass = &p->pass[o->stage][i];
    bool mine = (o->verb == PLAN_PASS && o->pass == i) ||
                (o->verb == PLAN_WEIGHTS && !o->joined && pass->learn);
    for (int j = 0; mine && j < pass->n_in; j++)
      if (pass->in[j] == l->stream)
        return true;
  }
  return false;
}

/* All of rank r; owned by the caller. */
static struct life *
lives_of (const struct plan *p, int r, int *n)
{
  const struct plan_rank *rank = &p->rank[r];
  struct life *l = NULL;
  *n = 0;
  for (int b = rank->first_stage + 1; b < rank->end_stage; b++)
    *n += p->n_streams[b] * p->n_micro;
  if (MEM_NEW ((size_t)*n, &l, "lives") != OK)
    return NULL;
  *n = 0;
  for (int b = rank->first_stage + 1; b < rank->end_stage; b++)
    for (int s = 0; s < p->n_streams[b]; s++)
      for (int m = 0; m < p->n_micro; m++) {
        struct life *x = &l[(*n)++];
        *x = (struct life){b, s, m, rank->n_ops, -1};
        for (int i = 0; i < rank->n_ops; i++) {
          const struct plan_op *o = &rank->op[i];
          if (o->verb == PLAN_PASS && o->stage == b && o->stream == s &&
              o->micro == m)
            x->from = i;
          if (takes (p, o, x))
            x->to = i;
        }
      }
  return l;
}

static int
place (const struct plan *p, const struct plan_buffers *b, const struct life *x)
{
  return plan_buffer (p, b, x->border, x->stream, x->micro);
}

static double
size_of (const struct plan *p, int border)
{
  return p->cost[border - 1].output_bytes;
}

static bool
meet (const struct life *a, const struct life *b)
{
  return a->from <= b->to && b->from <= a->to;
}

/* Buffers that gradients of one size need. */
static int
busiest (const struct plan *p, const struct plan_rank *rank,
         const struct life *l, int n, double size)
{
  int most = 0;
  for (int i = 0; i < rank->n_ops; i++) {
    int now = 0;
    for (int j = 0; j < n; j++)
      now += l[j].from <= i && i <= l[j].to && size_of (p, l[j].border) == size;
    most = now > most ? now : most;
  }
  return most;
}

static bool
good_rank (const struct plan *p, int r, int *shared)
{
  const struct plan_rank *rank = &p->rank[r];
  struct plan_buffers b;
  int n, want = 0;
  struct life *l = lives_of (p, r, &n);
  bool good = l && plan_buffers_make (p, r, &b) == OK;
  for (int i = 0; good && i < n; i++) {
    const int at = place (p, &b, &l[i]);
    good = l[i].from < l[i].to && at >= 0 && at < b.n &&
           size_of (p, b.border[at]) == size_of (p, l[i].border);
    for (int j = 0; j < i && good; j++) {
      bool same = place (p, &b, &l[j]) == at;
      good = !same || !meet (&l[i], &l[j]);
      *shared += same;
    }
  }
  for (int i = rank->first_stage + 1; good && i < rank->end_stage; i++) {
    bool first = true;
    for (int j = rank->first_stage + 1; j < i; j++)
      first = first && size_of (p, i) != size_of (p, j);
    if (first)
      want += busiest (p, rank, l, n, size_of (p, i));
  }
  if (good && b.n != want)
    tap_note ("%d buffers, %d would do", b.n, want);
  good = good && b.n == want &&
         plan_buffer (p, &b, rank->first_stage, 0, 0) == -1 &&
         plan_buffer (p, &b, rank->end_stage, 0, 0) == -1;
  mem_free (&l);
  plan_buffers_clear (&b);
  return good;
}

/* Borders of two sizes; costs under which weights are put off. */
static struct plan_cost cost[ASK_MOST];

static void
shapes (int K)
{
  int tried = 0, bad = 0, shared = 0;
  for (int i = 0; i < K * 3 * 3 * 3 * 3; i++) {
    const int span = 1 + i % K, mix = i / K % 3, n_pipe = 1 + i / K / 3 % 3;
    struct plan *p =
        ask_span ((struct ask){.K = K,
                               .n_pipe = n_pipe < K ? n_pipe : K,
                               .n_micro = 1 + 2 * (i / K / 9 % 3),
                               .n_replicas = 1 + i % 2,
                               .order = (enum plan_order) (i / K / 27),
                               .heads_all = i % 5 == 0,
                               .grows = i % 7 == 0,
                               .cost = cost},
                  span, (enum plan_mix)mix);
    tried++;
    bool good = p && plan_walk (p, 3) == OK;
    for (int r = 0; good && r < p->n_pipe; r++)
      good = good_rank (p, r, &shared);
    bad += !good;
    plan_destroy (&p);
  }
  tap_ok (bad == 0 && (shared > 0 || K < 3),
          "K = %d: %d timetables, %d bad; %d pairs share a buffer", K, tried,
          bad, shared);
}

/* -- planted faults ----------------------------------------------------------
 */

static bool
seen (const struct plan *p, const struct plan_buffers *b)
{
  bool complains = plan_walk_buffers (p, b, 2) == E_FAULT;
  fail_clear ();
  return complains;
}

/* Each gradient of the rank in each wrong buffer: the walker complains where
 * something else lives there meanwhile, and only there. */
static void
moved (int span, enum plan_mix mix)
{
  struct plan *p = ask_span (
      (struct ask){.K = 6, .n_pipe = 1, .n_micro = 2, .cost = cost}, span, mix);
  struct plan_buffers b, was;
  int n, wrong = 0, missed = 0, harmless = 0, cried = 0;
  struct life *l = lives_of (p, 0, &n);
  const bool made = plan_buffers_make (p, 0, &b) == OK &&
                    plan_buffers_make (p, 0, &was) == OK;
  tap_ok (made && b.n > 1, "%d gradients in %d buffers", n, b.n);
  for (int i = 0; i < n; i++)
    for (int at = 0; at < b.n; at++) {
      bool clash = false;
      for (int j = 0; j < n; j++)
        clash = clash ||
                (j != i && place (p, &was, &l[j]) == at && meet (&l[i], &l[j]));
      b.of[i] = at;
      wrong += clash;
      harmless += !clash;
      missed += clash && !seen (p, &b);
      cried += !clash && seen (p, &b);
      b.of[i] = was.of[i];
    }
  tap_ok (wrong > 0 && missed == 0 && harmless > 0 && cried == 0,
          "span %d: %d in a buffer of another, %d not noticed; %d in a free "
          "one, %d complaints",
          span, wrong, missed, harmless, cried);
  b.of[0] = -1;
  tap_ok (seen (p, &b), "one has no buffer at all");
  b.of[0] = b.n;
  tap_ok (seen (p, &b), "one has a buffer that is not there");
  mem_free (&l);
  plan_buffers_clear (&b);
  plan_buffers_clear (&was);
  plan_destroy (&p);
}

int
main (void)
{
  for (int k = 0; k < ASK_MOST; k++)
    cost[k] = (struct plan_cost){.forward = 1,
                                 .data = 1 + k % 2,
                                 .weights = 1,
                                 .input = 0,
                                 .output_bytes = k % 4 < 2 ? 2 : 1};
  for (int K = 1; K <= 7; K++)
    shapes (K);
  moved (3, PLAN_FURTHEST);
  moved (6, PLAN_FURTHEST);
  moved (3, PLAN_MEAN);
  return tap_done ();
}
