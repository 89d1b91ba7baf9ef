/* sweep/look.c -- how far each run is: its directory, and Slurm's queue.
 *
 * What was submitted is kept below ROOT/submitted: which task of which array
 * does which run.  A run is in the queue while squeue shows that task.
 */
#include "sweep/sweep_impl.h"

#include "base/memory.h"
#include "base/spawn.h"
#include <stdio.h>
#include <string.h>

enum status
sweep_queue (char **out)
{
  static const char *const words[] = {"squeue", "--noheader",  "--me", "-r",
                                      "-o",     "%A %F %K %T", NULL};
  int code;
  TRY (spawn_read (words, true, out, &code));
  if (code != 0)
    (*out)[0] = '\0';
  return OK;
}

bool
sweep_queue_has (const char *queue, int field, const char *a, const char *b)
{
  for (const char *line = queue; *line;) {
    char word[4][32] = {{0}};
    size_t n = strcspn (line, "\n");
    char copy[160];
    snprintf (copy, sizeof copy, "%.*s", (int)n, line);
    if (sscanf (copy, "%31s %31s %31s %31s", word[0], word[1], word[2],
                word[3]) >= 3 &&
        strcmp (word[field], a) == 0 &&
        (!b || strcmp (word[field + 1], b) == 0))
      return true;
    line += n + (line[n] != '\0');
  }
  return false;
}

/* One line "JOB TASK ID" of what was submitted. */
static void
take_line (struct sweep *s, const char *queue, const char *line)
{
  char job[32], task[32], id[256];
  if (sscanf (line, "%31s %31s %255s", job, task, id) != 3)
    return;
  for (int i = 0; i < s->n_runs; i++)
    if (sweep_same_id (s->run[i].id, id) &&
        sweep_queue_has (queue, 1, job, task))
      snprintf (s->run[i].job, sizeof s->run[i].job, "%s_%s", job, task);
}

static enum status
look_at_queue (struct sweep *s)
{
  char *queue = NULL, *lines = NULL;
  struct text dir;
  text_init (&dir);
  text_add (&dir, "%s/" SWEEP_FOLDER, s->root);
  enum status e = store_run_get (dir.data, "jobs", &lines);
  text_clear (&dir);
  if (e == E_MISSING) { /* nothing was ever submitted */
    fail_clear ();
    return OK;
  }
  if (e == OK)
    e = sweep_queue (&queue);
  char *save = NULL;
  if (e == OK && queue[0])
    for (char *line = strtok_r (lines, "\n", &save); line;
         line = strtok_r (NULL, "\n", &save))
      take_line (s, queue, line);
  mem_free (&lines);
  mem_free (&queue);
  return e;
}

void
sweep_look_at (struct sweep_run *r)
{
  struct store_run_look *l = &r->look;
  store_run_look (r->dir, l);
  if (l->state == STORE_RUN_RUNNING)
    return;
  if (r->like == SWEEP_OTHER) {
    *l = (struct store_run_look){.state = STORE_RUN_FAILED, .code = 64};
    return;
  }
  bool less = r->steps > 0 ? l->step < r->steps : r->like == SWEEP_LENGTH;
  if (l->state == STORE_RUN_FINISHED && less)
    l->state = STORE_RUN_STOPPED;
}

enum status
sweep_look (struct sweep *s)
{
  for (int i = 0; i < s->n_runs; i++) {
    sweep_look_at (&s->run[i]);
    s->run[i].job[0] = '\0';
  }
  return look_at_queue (s);
}

bool
sweep_wants (const struct sweep_run *r)
{
  return r->job[0] == '\0' && r->look.state != STORE_RUN_FINISHED &&
         r->look.state != STORE_RUN_RUNNING;
}
