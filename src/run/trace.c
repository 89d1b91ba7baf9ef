/* run/trace.c -- start and stop of every operation of a few steps, for
 * Perfetto.
 *
 * Events go into an array made before the first step; when it is full, the rest
 * is not recorded.
 */
#include "run/session.h"

#define TRACE_STEPS 4 /* recorded, after the first one */

struct event {
  double begin_s, end_s;
  int64_t step;
  enum plan_verb verb;
  int stage, micro, stream;
};

struct trace {
  struct event *event; /* room entries; owned */
  size_t n, room;
  double origin_s;
};

enum status
trace_open (struct session *s)
{
  const struct plan_rank *r = &s->design->plan->rank[wire_pipe_rank (s->wire)];
  struct trace *t = NULL;
  TRY (MEM_NEW (1, &t, "trace"));
  t->room = (size_t)r->n_ops * TRACE_STEPS;
  enum status e = MEM_NEW (t->room, &t->event, "trace events");
  if (e != OK) {
    mem_free (&t);
    return e;
  }
  s->trace = t;
  return OK;
}

void
trace_op (struct session *s, int64_t step, const struct plan_op *op,
          double begin_s, double end_s)
{
  struct trace *t = s->trace;
  if (step == s->start_step || t->n == t->room)
    return; /* the first step is slower than the others: cold caches */
  t->event[t->n++] = (struct event){.begin_s = begin_s,
                                    .end_s = end_s,
                                    .step = step,
                                    .verb = op->verb,
                                    .stage = op->stage,
                                    .micro = op->micro,
                                    .stream = op->stream};
}

static void
print_events (const struct session *s, struct text *out)
{
  const struct trace *t = s->trace;
  int rank = wire_rank (s->wire);
  store_trace_rank (rank, wire_host (s->wire), out);
  for (size_t i = 0; i < t->n; i++) {
    const struct event *e = &t->event[i];
    struct store_trace_op op = {.rank = rank,
                                .stage = e->stage,
                                .micro = e->micro,
                                .stream = e->stream,
                                .step = e->step,
                                .begin_s = e->begin_s - t->origin_s,
                                .end_s = e->end_s - t->origin_s};
    snprintf (op.verb, sizeof op.verb, "%s", plan_verb_name (e->verb));
    store_trace_op (&op, out);
  }
}

enum status
trace_write (struct session *s)
{
  struct text mine;
  char **texts = NULL;
  if (!s->trace)
    return OK;
  s->trace->origin_s = s->trace->n > 0 ? s->trace->event[0].begin_s : 0;
  /* One origin for all: the root's clock. */
  TRY (wire_broadcast (s->wire, &s->trace->origin_s, sizeof (double), 0));
  text_init (&mine);
  print_events (s, &mine);
  enum status e = wire_gather_text (s->wire, mine.data, &texts);
  text_clear (&mine);
  if (e == OK && texts) {
    if (s->run)
      e = store_run_trace (s->run, wire_size (s->wire), texts);
    for (int r = 0; r < wire_size (s->wire); r++)
      mem_free (&texts[r]);
    mem_free (&texts);
  }
  return wire_agree (s->wire, e);
}

void
trace_close (struct session *s)
{
  if (s->trace)
    mem_free (&s->trace->event);
  mem_free (&s->trace);
}
