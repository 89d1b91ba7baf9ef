/* run/record.c -- what the root writes and says while training goes on: rows of
 * metrics.csv, the live line.
 */
#include "run/train_impl.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

double
training_seconds (const struct training *t)
{
  return t->s->trained_s + (clock_now_s () - t->loop_s);
}

enum status
record_row (struct training *t, const char *split, int64_t steps_done,
            const double *loss, const double *accuracy, double rate)
{
  struct session *s = t->s;
  if (!s->run)
    return OK;
  int K = s->K, n = 2 * K + 5;
  double *v = NULL;
  char (*names)[32] = NULL;
  const char **columns = NULL;
  enum status e = MEM_NEW ((size_t)n, &v, "metrics");
  if (e == OK)
    e = MEM_NEW ((size_t)n, &names, "metrics");
  if (e == OK)
    e = MEM_NEW ((size_t)n, &columns, "metrics");
  if (e == OK) {
    static const char *const tail[] = {"lr", "seconds", "samples_per_s"};
    snprintf (names[0], 32, "step");
    snprintf (names[1], 32, "epoch");
    v[0] = (double)steps_done;
    v[1] = (double)(steps_done * s->batch) / (double)s->n_train;
    for (int k = 0; k < K; k++) {
      snprintf (names[2 + 2 * k], 32, "head%d_loss", k);
      snprintf (names[3 + 2 * k], 32, "head%d_accuracy", k);
      v[2 + 2 * k] = loss[k];
      v[3 + 2 * k] = accuracy[k];
    }
    for (int i = 0; i < 3; i++)
      snprintf (names[2 + 2 * K + i], 32, "%s", tail[i]);
    v[2 + 2 * K] =
        schedule_lr (&s->schedule, steps_done > 0 ? steps_done - 1 : 0);
    v[3 + 2 * K] = training_seconds (t);
    v[4 + 2 * K] = rate;
    for (int i = 0; i < n; i++)
      columns[i] = names[i];
    e = store_run_metrics (s->run, n, columns, split, v);
  }
  mem_free (&v);
  mem_free (&names);
  mem_free (&columns);
  return e;
}

void
record_heads (const double *v, int K, struct text *out)
{
  for (int k = 0; k < K; k++)
    if (isfinite (v[k]))
      text_add (out, "%s%.4f", k ? " " : "", v[k]);
    else
      text_add (out, "%s-", k ? " " : "");
}

enum status
record_training (struct training *t, int64_t steps_done, bool timed)
{
  struct session *s = t->s;
  struct progress *p = &t->p;
  int64_t steps = steps_done - p->rows_from;
  double n = (double)(steps * s->batch), now = training_seconds (t);
  double loss[2 * 64], *accuracy = loss + 64;
  CHECK (s->K <= 64, "more than 64 stages in a record");
  for (int k = 0; k < s->K; k++) {
    bool silent = s->plan->head[k] == PLAN_SILENT;
    loss[k] = silent ? NAN : p->sum[k].loss / n;
    accuracy[k] = silent ? NAN : (double)p->sum[k].correct / n;
    p->sum[k] = (struct stage_loss){0};
  }
  enum status e =
      record_row (t, "train", steps_done, loss, accuracy,
                  timed && now > p->row_s ? n / (now - p->row_s) : NAN);
  p->rows_from = steps_done;
  p->row_s = now;
  return e;
}

void
record_progress (struct training *t, int64_t step)
{
  struct session *s = t->s;
  struct progress *p = &t->p;
  double now = clock_now_s ();
  bool live = log_is_terminal ();
  if (now - (live ? p->live_s : p->line_s) < (live ? 0.2 : 20))
    return;
  double rate = (double)((step + 1 - p->live_step) * s->batch) /
                (now - (live ? p->live_s : p->line_s));
  struct text losses;
  text_init (&losses);
  double loss[64];
  for (int k = 0; k < s->K; k++)
    loss[k] = s->plan->head[k] == PLAN_SILENT
                  ? NAN
                  : s->last_loss[k].loss / (double)s->batch;
  record_heads (loss, s->K, &losses);
  double accuracy = (double)s->last_loss[s->K - 1].correct / (double)s->batch;
  const char *eta =
      text_seconds ((double)(t->end - step - 1) * (double)s->batch / rate);
  struct text line;
  text_init (&line);
  text_add (
      &line, "step=%lld/%lld loss=[%s] accuracy=%.3f samples/s=%.0f eta=\"%s\"",
      (long long)step + 1, (long long)t->end, losses.data, accuracy, rate, eta);
  if (live)
    log_live ("%s", line.data);
  else
    say (LOG_INFO, "%s", line.data);
  text_clear (&line);
  text_clear (&losses);
  p->live_s = p->line_s = now;
  p->live_step = step + 1;
}

void
record_progress_text (const struct training *t, struct text *out)
{
  const struct progress *p = &t->p;
  text_add (out, "interval %lld from %lld heads %d:", (long long)p->interval,
            (long long)p->rows_from, t->s->K);
  for (int k = 0; k < t->s->K; k++)
    text_add (out, " %a %lld", p->sum[k].loss, (long long)p->sum[k].correct);
}

void
record_progress_back (struct training *t, const char *text)
{
  struct progress *p = &t->p;
  long long interval = 0, from = 0;
  int K = 0, at = 0;
  if (sscanf (text, "interval %lld from %lld heads %d:%n", &interval, &from, &K,
              &at) != 3 ||
      interval != p->interval || K != t->s->K || from > t->start ||
      from + interval <= t->start)
    return;
  for (int k = 0; k < K; k++) {
    char *end;
    p->sum[k].loss = strtod (text + at, &end);
    p->sum[k].correct = strtoll (end, &end, 10);
    at = (int)(end - text);
  }
  p->rows_from = from;
  p->row_s = INFINITY; /* when it began is not known */
}
