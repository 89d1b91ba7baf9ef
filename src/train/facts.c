/* train/facts.c -- facts.ini: numbers about a run that a report compares and
 * that follow from nothing else in the run directory.
 *
 * Operations are counted per block, forward as network_unit tells them; data
 * and weight gradients cost as much as a forward each.  Useful is what plain
 * backpropagation of the network needs; executed is what the timetable does.
 */
#include "train/train_impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FACTS_FILE "facts.ini"

/* Forward operations of one sample in the blocks of stage k, and of its head.
 */
static double
stage_flops (const struct design *d, const struct plan *p, int k, double *head)
{
  struct network_unit u;
  network_border (d->net, d->first[k], derive_border (&d->config), &u);
  double flops = u.flops;
  for (int i = d->first[k]; i < d->first[k + 1]; i++) {
    network_unit (d->net, i, &u);
    flops += u.flops;
  }
  *head = 0;
  if (k < d->K - 1 && p->head[k] != PLAN_SILENT &&
      network_head (d->net, d->first[k + 1] - 1, design_head (d, k), &u) == OK)
    *head = u.flops;
  return flops;
}

/* Of one step: the images themselves need no gradient, so that the first block
 * has no data gradient. */
static void
count_flops (const struct design *d, const struct plan *p, double *useful,
             double *executed)
{
  struct network_unit stem;
  double batch = (double)d->batch;
  network_unit (d->net, 0, &stem);
  *useful = -stem.flops * batch;
  *executed = 0;
  for (int k = 0; k < d->K; k++) {
    double head, body = stage_flops (d, p, k, &head);
    double data = body - (k == 0 ? stem.flops : 0);
    bool learns = false;
    *useful += 3 * body * batch;
    *executed += (body + 3 * head) * batch;
    for (int i = 0; i < p->n_passes[k]; i++) {
      *executed += data * batch;
      learns = learns || p->pass[k][i].learn;
    }
    *executed += learns ? body * batch : 0;
  }
}

/* The mean over all steps of the run. */
static void
mean_flops (const struct design *d, double *useful, double *executed)
{
  double sum = 0, of_phase;
  *useful = 0;
  for (int i = 0; i < d->n_phases; i++) {
    count_flops (d, d->phase[i].plan, useful, &of_phase);
    sum += d->phase[i].share * of_phase;
  }
  *executed = sum;
}

/* The same. */
static void
put_plan (const struct design *d, struct text *out)
{
  double cycle = 0;
  for (int i = 0; i < d->n_phases; i++)
    cycle += d->phase[i].share * d->phase[i].plan->cycle_s;
  text_add (out, "cycle_s = %.9g\nbusy_s =", cycle);
  for (int r = 0; r < d->plan->n_pipe; r++) {
    double busy = 0;
    for (int i = 0; i < d->n_phases; i++)
      busy += d->phase[i].share * d->phase[i].plan->busy_s[r];
    text_add (out, " %.9g", busy);
  }
  text_add (out, "\n");
}

static void
put_facts (const struct session *s, struct text *out)
{
  const struct design *d = s->design;
  double useful, executed;
  mean_flops (d, &useful, &executed);
  text_add (out, "[facts]\ndata = %016llx\n",
            (unsigned long long)d->info.digest);
  text_add (out, "train_samples = %lld\nbatch = %lld\nsteps = %lld\n",
            (long long)d->n_train, (long long)d->batch, (long long)d->steps);
  text_add (out, "stages = %d\nblocks = %d\nparameters = %lld\n", d->K,
            network_units (d->net), (long long)network_params (d->net));
  text_add (out, "ranks = %d\npipe = %d\nreplicas = %d\nthreads = %d\n",
            wire_size (s->wire), d->plan->n_pipe, d->R, d->threads);
  text_add (out, "cores = %d\nisa = %s\n", wire_size (s->wire) * d->threads,
            kernels_level_use ());
  text_add (out, "useful_flops = %.17g\nexecuted_flops = %.17g\n", useful,
            executed);
  put_plan (d, out);
}

double
facts_useful_flops (const struct design *d)
{
  double useful, executed;
  mean_flops (d, &useful, &executed);
  return useful;
}

double
facts_peak_bytes (void)
{
  char line[256];
  double kib = 0;
  FILE *f = fopen ("/proc/self/status", "re");
  while (f && fgets (line, sizeof line, f))
    if (strncmp (line, "VmHWM:", 6) == 0)
      kib = strtod (line + 6, NULL);
  if (f)
    fclose (f);
  return kib * 1024;
}

/* A number that an earlier start has left; 0: none. */
static double
earlier (const struct session *s, const char *name)
{
  char word[64] = "";
  char *text = NULL;
  if (store_run_get (s->design->config.dir, FACTS_FILE, &text) == OK)
    config_word (text, name, word, sizeof word);
  else
    fail_clear ();
  mem_free (&text);
  return strtod (word, NULL);
}

static double
larger (double a, double b)
{
  return a > b ? a : b;
}

struct measured {   /* 0, NAN: not known */
  double most, sum; /* highest memory of a rank, of all */
  struct busy_share share;
};

static enum status
put_file (struct session *s, const struct measured *m)
{
  struct text out;
  text_init (&out);
  put_facts (s, &out);
  const double most = larger (m->most, earlier (s, "measured.peak_bytes"));
  const double sum = larger (m->sum, earlier (s, "measured.peak_bytes_all"));
  if (most > 0)
    text_add (&out, "[measured]\npeak_bytes = %.0f\npeak_bytes_all = %.0f\n",
              most, sum);
  if (most > 0 && isfinite (m->share.others))
    text_add (&out, "others = %.4f\nstolen = %.4f\n", m->share.others,
              m->share.stolen);
  enum status e = store_run_put (s->run, FACTS_FILE, out.data);
  text_clear (&out);
  return e;
}

enum status
facts_begin (struct session *s)
{
  const struct measured none = {.share = {NAN, NAN}};
  return wire_agree (s->wire, s->run ? put_file (s, &none) : OK);
}

enum { PEAK, BEGIN, END, ROW }; /* what ranks tell each other */
#define ROW_DOUBLES (ROW * 6)

static void
put_busy (const struct busy *b, double v[6])
{
  memcpy (v,
          (double[6]){b->known, b->all_s, b->used_s, b->stolen_s, b->own_s,
                      b->where},
          6 * sizeof *v);
}

static struct busy
get_busy (const double v[6])
{
  return (struct busy){v[0] > 0, v[1], v[2], v[3], v[4], v[5]};
}

/* From the rows of all ranks. */
static enum status
measure (int size, const double *all, struct measured *m)
{
  struct busy *of = NULL;
  *m = (struct measured){.most = 0};
  TRY (MEM_NEW (2 * (size_t)size, &of, "use of cores"));
  for (int r = 0; r < size; r++) {
    const double *row = all + r * ROW_DOUBLES;
    m->most = larger (m->most, row[6 * PEAK]);
    m->sum += row[6 * PEAK];
    of[r] = get_busy (row + 6 * BEGIN);
    of[size + r] = get_busy (row + 6 * END);
  }
  m->share = busy_others (size, of, of + size);
  mem_free (&of);
  return OK;
}

enum status
facts_end (struct session *s, const struct busy *begun)
{
  const size_t size = (size_t)wire_size (s->wire);
  double mine[ROW_DOUBLES] = {facts_peak_bytes ()}, *all = NULL;
  struct measured m;
  struct busy now;
  busy_now (&now);
  put_busy (begun, mine + 6 * BEGIN);
  put_busy (&now, mine + 6 * END);
  TRY (wire_agree (s->wire,
                   MEM_NEW (size * ROW_DOUBLES, &all, "what ranks have used")));
  enum status e = wire_all_gather (s->wire, mine, ROW_DOUBLES, all);
  if (e == OK && s->run)
    e = measure ((int)size, all, &m);
  if (e == OK && s->run)
    e = put_file (s, &m);
  mem_free (&all);
  return wire_agree (s->wire, e);
}
