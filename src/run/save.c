/* run/save.c -- when and where a training leaves checkpoints. */
#include "run/train_impl.h"

#include <stdio.h>

static void
checkpoint_path (const struct session *s, int64_t step, char *path, size_t size)
{
  snprintf (path, size, "%s/checkpoints/step-%09lld.h5", s->config.dir,
            (long long)step);
}

enum status
train_save (struct training *t, int64_t steps_done)
{
  struct session *s = t->s;
  char path[RUN_PATH + 64], number[32];
  checkpoint_path (s, steps_done, path, sizeof path);
  s->trained_s += clock_now_s () - t->loop_s;
  double begin = clock_now_s ();
  enum status e = session_save (s, path, steps_done);
  t->loop_s = t->saved_s = clock_now_s ();
  s->save_wanted = false;
  if (t->loop_s - begin > t->worst_save_s)
    t->worst_save_s = t->loop_s - begin;
  TRY (e);
  if (s->run) {
    say (LOG_INFO, "saved %s (%s)", path, text_seconds (t->loop_s - begin));
    snprintf (number, sizeof number, "%lld", (long long)steps_done);
    const char *fields[][2] = {{"file", path}, {"step", number}};
    e = store_run_event (s->run, "checkpoint", 2,
                         (const char *const(*)[2])fields);
    if (e == OK)
      e = store_checkpoint_prune (s->config.dir, s->config.keep, path);
  }
  return wire_agree (s->wire, e);
}

bool
train_save_asked (const struct training *t)
{
  const struct session *s = t->s;
  double every = s->config.every_seconds;
  return s->run && every > 0 && clock_now_s () - t->saved_s >= every;
}
