/* train/record.c -- what the root writes and says while training goes on: rows
 * of metrics.csv, the live line.
 */
#include "train/train_impl.h"

#include "store/metrics.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

double
training_seconds (const struct training *t)
{
  return t->trained_s + (clock_now_s () - t->loop_s);
}

struct row {
  int n;
  double *value;
  const char **text; /* in place of value; NULL: none */
  char (*name)[METRIC_NAME], (*digest)[24];
  const char **column;
};

static void
row_add (struct row *r, double value, const char *column)
{
  r->column[r->n] = column;
  r->value[r->n++] = value;
}

static void
row_add_head (struct row *r, double value, int k, const char *metric)
{
  row_add (r, value, store_metric_head (k, metric, r->name[r->n]));
}

static void
row_add_stage (struct row *r, double value, int k, const char *metric)
{
  row_add (r, value, store_metric_stage (k, metric, r->name[r->n]));
}

/* Begins with a letter, so that no reader takes it for a number. */
static void
row_add_digest (struct row *r, const uint64_t *digest, int k)
{
  if (digest) {
    snprintf (r->digest[k], sizeof r->digest[k], "x%016llx",
              (unsigned long long)digest[k]);
    r->text[r->n] = r->digest[k];
  }
  row_add_stage (r, NAN, k, METRIC_DIGEST);
}

/* What a row may say about heads; else NAN. */
struct heads {
  enum data_split split;
  const double *loss, *accuracy; /* K; NULL: the row is not about heads */
  const double *rebuilt;         /* likewise */
  const double *flow;            /* 2 K; NULL: the row is not about stages */
  double rate;
};

/* What rows that are not about heads are about. */
enum about { ABOUT_HEADS, ABOUT_AGREEMENT, ABOUT_DIGESTS };

static void
row_heads (struct training *t, const struct heads *h, int k, struct row *r)
{
  double loss = h->loss ? h->loss[k] : NAN;
  row_add_head (r, loss, k, METRIC_LOSS);
  row_add_head (r, h->loss ? h->accuracy[k] : NAN, k, METRIC_ACCURACY);
  if (design_rebuilds (t->s->design, k) > 0)
    row_add_head (r, h->loss ? h->rebuilt[k] : NAN, k, METRIC_RECONSTRUCTION);
  if (!network_family (t->s->design->net)->language)
    return;
  row_add_head (r, exp (loss), k, METRIC_PERPLEXITY);
  row_add_head (r, session_bits (t->s, h->split, loss), k, METRIC_BITS);
}

static void
row_fill (struct training *t, int64_t steps_done, const struct heads *h,
          enum about about, struct row *r)
{
  struct session *s = t->s;
  const struct design *d = s->design;
  const double *agreement = agreement_result (t->b.agreement);
  const uint64_t *digest = digest_result (t->b.digests);
  int64_t last = steps_done > 0 ? steps_done - 1 : 0;
  row_add (r, (double)steps_done, METRIC_STEP);
  row_add (r, (double)(steps_done * d->batch) / (double)d->n_train,
           METRIC_EPOCH);
  for (int k = 0; k < d->K; k++)
    row_heads (t, h, k, r);
  row_add (r, h->loss ? schedule_lr (&d->schedule, last) : NAN, METRIC_LR);
  row_add (r, training_seconds (t), METRIC_SECONDS);
  row_add (r, h->rate, METRIC_RATE);
  if (d->n_phases > 1)
    row_add (r, (double)(design_phase_at (d, last) - d->phase), METRIC_PHASE);
  for (int i = 0; flow_result (t->b.flow) && i < 2 * d->K; i++)
    row_add_stage (r, h->flow ? h->flow[i] : NAN, i % d->K,
                   i < d->K ? METRIC_RMS : METRIC_GRADIENT);
  for (int i = 0; agreement && i < 2 * d->K; i++)
    row_add_stage (r, about == ABOUT_AGREEMENT ? agreement[i] : NAN, i % d->K,
                   i < d->K ? METRIC_COSINE : METRIC_NORM_RATIO);
  for (int k = 0; digest && k < d->K; k++)
    row_add_digest (r, about == ABOUT_DIGESTS ? digest : NULL, k);
}

static enum status
put_row (struct training *t, const char *name, int64_t steps_done,
         const struct heads *h, enum about about)
{
  struct session *s = t->s;
  struct row r = {0};
  if (!s->run)
    return OK;
  size_t K = (size_t)s->design->K;
  size_t room = 8 * K + 6 + (size_t)agreement_votes (t->b.agreement);
  enum status e = MEM_NEW (room, &r.value, "metrics");
  if (e == OK)
    e = MEM_NEW (room, &r.name, "metrics");
  if (e == OK)
    e = MEM_NEW (room, &r.column, "metrics");
  if (e == OK)
    e = MEM_NEW (room, &r.text, "metrics");
  if (e == OK)
    e = MEM_NEW (K, &r.digest, "metrics");
  if (e == OK) {
    row_fill (t, steps_done, h, about, &r);
    e = store_run_row (s->run, r.n, r.column, name, r.value, r.text);
  }
  mem_free (&r.text);
  mem_free (&r.digest);
  mem_free (&r.value);
  mem_free (&r.name);
  mem_free (&r.column);
  return e;
}

enum status
record_row (struct training *t, enum data_split split, const char *name,
            int64_t steps_done, const struct evaluation *v)
{
  const struct heads h = {.split = split,
                          .loss = v->loss,
                          .accuracy = v->accuracy,
                          .rebuilt = v->rebuilt,
                          .rate = NAN};
  return put_row (t, name, steps_done, &h, ABOUT_HEADS);
}

enum status
record_agreement (struct training *t, int64_t steps_done)
{
  const struct heads none = {.split = t->s->design->train, .rate = NAN};
  return put_row (t, ROW_AGREEMENT, steps_done, &none, ABOUT_AGREEMENT);
}

enum status
record_digests (struct training *t, int64_t steps_done)
{
  const struct heads none = {.split = t->s->design->train, .rate = NAN};
  return put_row (t, ROW_DIGEST, steps_done, &none, ABOUT_DIGESTS);
}

enum status
record_phase (struct training *t, int64_t step)
{
  const struct design *d = t->s->design;
  const struct design_phase *p = design_phase_at (d, step);
  const int i = (int)(p - d->phase);
  char first[32], number[16], of[16];
  struct text name;
  if (!p->words || p->first != step)
    return OK;
  text_init (&name);
  design_phase_name (d, i, &name);
  log_live_done ();
  say (LOG_INFO, "%s", name.data);
  text_clear (&name);
  snprintf (first, sizeof first, "%lld", (long long)step);
  snprintf (number, sizeof number, "%d", i);
  snprintf (of, sizeof of, "%d", d->n_phases);
  const char *fields[][2] = {
      {"step", first}, {"phase", number}, {"phases", of}, {"dial", p->words}};
  return t->s->run ? store_run_event (t->s->run, "phase",
                                      sizeof fields / sizeof *fields,
                                      (const char *const(*)[2])fields)
                   : OK;
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
  const struct design *d = s->design;
  struct progress *p = &t->p;
  int64_t steps = steps_done - p->rows_from;
  double n = (double)(steps * d->batch), now = training_seconds (t);
  double loss[3 * 64], *accuracy = loss + 64, *rebuilt = loss + 2 * 64;
  CHECK (d->K <= 64, "more than 64 stages in a record");
  for (int k = 0; k < d->K; k++) {
    double counted = (double)p->sum[k].counted;
    bool silent = p->sum[k].counted == 0;
    loss[k] = silent ? NAN : p->sum[k].loss / counted;
    accuracy[k] = silent ? NAN : (double)p->sum[k].correct / counted;
    rebuilt[k] = silent ? NAN : p->sum[k].rebuilt / counted;
    p->sum[k] = (struct stage_loss){0};
  }
  const struct heads h = {.split = d->train,
                          .loss = loss,
                          .accuracy = accuracy,
                          .rebuilt = rebuilt,
                          .flow = flow_result (t->b.flow),
                          .rate = timed && now > p->row_s ? n / (now - p->row_s)
                                                          : NAN};
  enum status e = put_row (t, "train", steps_done, &h, ABOUT_HEADS);
  p->rows_from = steps_done;
  p->row_s = now;
  return e;
}

double
record_waited (const struct session *s)
{
  return s->account.spent_s[CLOCK_WAIT] + s->account.spent_s[CLOCK_EXPOSED];
}

/* How fast, and what it takes of this rank: useful operations of all ranks, the
 * share of the last seconds that it waited for others, its highest memory. */
static void
add_pace (const struct training *t, double rate, double seconds,
          struct text *out)
{
  const double wait = (record_waited (t->s) - t->p.waited_s) / seconds;
  text_add (out, "samples/s=%.*f GFLOP/s=%.3g wait=%.0f%% memory=\"%s\"",
            rate < 10 ? 1 : 0, rate, t->p.flops * rate * 1e-9,
            100 * fmin (1, fmax (0, wait)), text_bytes (facts_peak_bytes ()));
}

void
record_progress (struct training *t, int64_t step)
{
  struct session *s = t->s;
  const struct design *d = s->design;
  struct progress *p = &t->p;
  double now = clock_now_s ();
  bool live = log_is_terminal ();
  if (now - (live ? p->live_s : p->line_s) < (live ? 0.2 : 20))
    return;
  const double seconds = now - (live ? p->live_s : p->line_s);
  double rate = (double)((step + 1 - p->live_step) * d->batch) / seconds;
  struct text losses;
  text_init (&losses);
  double loss[64];
  for (int k = 0; k < d->K; k++)
    loss[k] = t->b.loss[k].counted == 0
                  ? NAN
                  : t->b.loss[k].loss / (double)t->b.loss[k].counted;
  record_heads (loss, d->K, &losses);
  const struct stage_loss *own = &t->b.loss[d->K - 1];
  double goal = (double)own->correct / (double)own->counted;
  const bool language = network_family (d->net)->language;
  if (language)
    goal = exp (loss[d->K - 1]);
  const char *eta =
      text_seconds ((double)(t->end - step - 1) * (double)d->batch / rate);
  struct text line;
  text_init (&line);
  text_add (&line, "step=%lld/%lld loss=[%s] %s=%.3f lr=%.3g ",
            (long long)step + 1, (long long)t->end, losses.data,
            language ? "perplexity" : "accuracy", goal,
            schedule_lr (&d->schedule, step));
  add_pace (t, rate, seconds, &line);
  text_add (&line, " eta=\"%s\"", eta);
  if (live)
    log_live ("%s", line.data);
  else
    say (LOG_INFO, "%s", line.data);
  text_clear (&line);
  text_clear (&losses);
  p->waited_s = record_waited (s);
  p->live_s = p->line_s = now;
  p->live_step = step + 1;
}

void
record_progress_text (const struct training *t, struct text *out)
{
  const struct progress *p = &t->p;
  text_add (out, "interval %lld from %lld heads %d:", (long long)p->interval,
            (long long)p->rows_from, t->s->design->K);
  for (int k = 0; k < t->s->design->K; k++)
    text_add (out, " %a %lld %lld", p->sum[k].loss,
              (long long)p->sum[k].correct, (long long)p->sum[k].counted);
  for (int k = 0; k < t->s->design->K; k++)
    if (design_rebuilds (t->s->design, k) > 0)
      text_add (out, " %a", p->sum[k].rebuilt);
}

void
record_progress_back (struct training *t, const char *text)
{
  struct progress *p = &t->p;
  long long interval = 0, from = 0;
  int K = 0, at = 0;
  if (sscanf (text, "interval %lld from %lld heads %d:%n", &interval, &from, &K,
              &at) != 3 ||
      interval != p->interval || K != t->s->design->K || from > t->start ||
      from + interval <= t->start)
    return;
  for (int k = 0; k < K; k++) {
    char *end;
    p->sum[k].loss = strtod (text + at, &end);
    p->sum[k].correct = strtoll (end, &end, 10);
    p->sum[k].counted = strtoll (end, &end, 10);
    at = (int)(end - text);
  }
  for (int k = 0; k < K; k++)
    if (design_rebuilds (t->s->design, k) > 0) {
      char *end;
      p->sum[k].rebuilt = strtod (text + at, &end);
      at = (int)(end - text);
    }
  p->rows_from = from;
  p->row_s = INFINITY; /* when it began is not known */
}
