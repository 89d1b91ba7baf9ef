/* run/resume.c -- where a training starts, and the line that says so. */
#include "run/train_impl.h"

#include <stdio.h>

/* One line of events.jsonl: from where, on what. */
static enum status
write_start (struct session *s, int64_t start, const char *from)
{
  char step[32], ranks[32], replicas[32], threads[32], plan[32];
  if (!s->run)
    return OK;
  snprintf (step, sizeof step, "%lld", (long long)start);
  snprintf (ranks, sizeof ranks, "%d", wire_size (s->wire));
  snprintf (replicas, sizeof replicas, "%d", s->R);
  snprintf (threads, sizeof threads, "%d", s->threads);
  snprintf (plan, sizeof plan, "plan %016llx",
            (unsigned long long)plan_hash (s->plan));
  const char *fields[][2] = {{"step", step},
                             {"file", from},
                             {"ranks", ranks},
                             {"replicas", replicas},
                             {"threads", threads},
                             {"plan", plan},
                             {"kernels", kern_describe (s->kern)},
                             {"host", wire_host (s->wire)}};
  return store_run_event (s->run, from[0] ? "resume" : "start",
                          sizeof fields / sizeof *fields,
                          (const char *const(*)[2])fields);
}

enum status
train_resume (struct session *s, int64_t *start)
{
  char *path = NULL;
  enum status e = OK;
  if (wire_rank (s->wire) == 0) {
    struct text newest;
    text_init (&newest);
    e = store_checkpoint_newest (s->config.dir, &newest);
    if (e == OK)
      e = mem_text (newest.data, &path);
    text_clear (&newest);
  }
  TRY (wire_agree (s->wire, e));
  TRY (wire_broadcast_text (s->wire, &path, 0));
  *start = 0;
  if (path[0]) {
    e = session_load (s, path, true, true, start);
    if (e == OK)
      say (LOG_INFO, "continuing from %s at step %lld", path,
           (long long)*start);
  }
  if (e == OK && *start < s->steps)
    e = wire_agree (s->wire, write_start (s, *start, path));
  mem_free (&path);
  return e;
}
