/* plan/walk_mail.c -- messages between the walker's ranks.
 *
 * A letter exists from its first half, post or send, until it is received.
 */
#include "base/memory.h"
#include "plan/walk_impl.h"
#include <string.h>

static bool
is_act (enum plan_verb v)
{
  return v == PLAN_POST_ACT || v == PLAN_RECV_ACT || v == PLAN_SEND_ACT;
}

/* The oldest letter between these two ranks, under the tag and window in hand,
 * that is not sent yet (sending), not posted yet (posting), or that is posted
 * (neither: a receive looks for it). */
static struct letter *
find (const struct walk *w, bool sending, bool posting, int from, int to)
{
  for (int i = 0; i < w->n_letters; i++) {
    struct letter *l = &w->letter[i];
    if (l->from == from && l->to == to && l->window == w->op->window &&
        l->tag == w->op->tag && !(sending && l->sent) &&
        !(posting && l->posted) && (sending || posting || l->posted))
      return l;
  }
  return NULL;
}

static enum status
new_letter (struct walk *w, int from, int to, struct letter **out)
{
  if (w->n_letters == w->room) {
    int room = w->room ? 2 * w->room : 64;
    TRY (mem_grow (&w->letter, (size_t)w->room, (size_t)room, sizeof *w->letter,
                   "walk"));
    w->room = room;
  }
  struct letter *l = &w->letter[w->n_letters++];
  *l = (struct letter){.from = from,
                       .to = to,
                       .window = w->op->window,
                       .tag = w->op->tag,
                       .stream = w->op->stream};
  *out = l;
  return OK;
}

/* Sent and posted: the data moves. */
static void
deliver (const struct walk *w, struct letter *l)
{
  if (!l->sent || !l->posted)
    return;
  if (l->src->sum && l->dst->sum)
    memcpy (l->dst->sum, l->src->sum, (size_t)w->p->K * sizeof (double));
  l->dst->state = LANDED;
  l->src->sends--;
}

/* Peer, border and communicator fit the operation. */
static enum status
check_ends (const struct walk *w)
{
  const struct plan *p = w->p;
  const struct plan_op *o = w->op;
  bool act = is_act (o->verb);
  bool down = o->verb == PLAN_SEND_GRAD || (act && o->verb != PLAN_SEND_ACT);
  int other = down ? o->stage - 1 : o->stage + 1;
  int border = down ? o->stage : o->stage + 1;

  NEED (w, other >= 0 && other < p->K, "no stage %d", other);
  NEED (w, p->rank_of[other] == o->peer && o->peer != w->rank,
        "peer %d, but stage %d is on rank %d", o->peer, other,
        p->rank_of[other]);
  if (act) {
    NEED (w, o->window == -1 && o->stream == -1, "activation in window %d",
          o->window);
    return OK;
  }
  NEED (w, o->stream >= 0 && o->stream < p->n_streams[border],
        "no stream %d at border %d", o->stream, border);
  NEED (w,
        o->window >= border && o->window < p->K &&
            p->window_first[o->window] >= 0 &&
            p->window_first[o->window] < border &&
            p->stream[border][o->stream].weight[o->window] != 0,
        "window %d does not carry stream %d over border %d", o->window,
        o->stream, border);
  return OK;
}

static struct cell *
receiving_cell (const struct walk *w)
{
  const struct plan_op *o = w->op;
  return is_act (o->verb)
             ? plan_walk_cell (w, INPUT, o->stage, 0, o->slot)
             : plan_walk_cell (w, COTANGENT, o->stage, o->stream, o->slot);
}

enum status
plan_walk_post (struct walk *w)
{
  struct letter *l;
  struct cell *c = receiving_cell (w);

  TRY (check_ends (w));
  NEED (w, c, "no such buffer");
  NEED (w, c->state != POSTED && c->state != LANDED,
        "the buffer waits for another message");
  c->state = POSTED;
  c->step = w->now + (w->op->ahead ? 1 : 0);
  c->micro = w->op->micro;
  l = find (w, false, true, w->op->peer, w->rank);
  if (!l)
    TRY (new_letter (w, w->op->peer, w->rank, &l));
  l->posted = true;
  l->dst = c;
  deliver (w, l);
  return OK;
}

enum status
plan_walk_send (struct walk *w)
{
  const struct plan_op *o = w->op;
  struct letter *l;
  struct cell *c =
      o->verb == PLAN_SEND_ACT
          ? plan_walk_cell (w, OUTPUT, o->stage, 0, o->slot)
          : plan_walk_cell (w, OUTGOING, o->stage, o->stream, o->slot);

  TRY (check_ends (w));
  NEED (w, plan_walk_holds (w, c, o->micro), "the data is not there");
  l = find (w, true, false, w->rank, o->peer);
  if (!l)
    TRY (new_letter (w, w->rank, o->peer, &l));
  NEED (w, l->stream == o->stream, "tag %d also means another message", o->tag);
  l->sent = true;
  l->src = c;
  l->step = w->now;
  l->micro = o->micro;
  l->stage = o->verb == PLAN_SEND_ACT ? o->stage + 1 : o->stage - 1;
  c->sends++;
  deliver (w, l);
  return OK;
}

enum status
plan_walk_receive (struct walk *w)
{
  const struct plan_op *o = w->op;
  struct letter *l = find (w, false, false, o->peer, w->rank);
  struct cell *c = receiving_cell (w);

  TRY (check_ends (w));
  NEED (w, l, "nothing was posted");
  NEED (w, l->dst == c, "posted into another buffer");
  if (!l->sent) {
    w->blocked = true;
    return OK;
  }
  NEED (w,
        l->step == w->now && l->micro == o->micro && l->stage == o->stage &&
            l->stream == o->stream,
        "got step %d, micro-batch %d, stream %d for stage %d", l->step,
        l->micro, l->stream, l->stage);
  NEED (w, c->state == LANDED && c->step == w->now && c->micro == o->micro,
        "posted for step %d, micro-batch %d", c->step, c->micro);
  if (o->verb == PLAN_RECV_GRAD)
    NEED (w,
          plan_walk_same (w->p, c->sum,
                          w->p->stream[o->stage + 1][o->stream].weight),
          "not the sum of losses of its stream");
  c->state = FULL;
  c->border = o->stage + 1;
  c->stream = o->stream;
  size_t behind = (size_t)(w->letter + w->n_letters - l - 1);
  memmove (l, l + 1, behind * sizeof *l);
  w->n_letters--;
  return OK;
}
