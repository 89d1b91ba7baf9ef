/* design/feed.c -- what feeds the first stage: the loaders of training and of
 * evaluation, what they take, and whether decoding keeps up with the plan.
 *
 * Who decodes uses the cores that the rank's arithmetic leaves idle.  Where
 * they are too few, both share the cores and the cycle grows.
 */
#include "design/design_impl.h"

#include <math.h>

#define PACE_S 0.15    /* in which decoding is measured */
#define SLOWER 1.1     /* a cycle by so much: data is the bottleneck */
#define EVAL_AHEAD 2   /* batches */
#define AHEAD_BEYOND 2 /* micro-batches made ahead beyond those of a step */

void
design_loader (const struct design *d, int replica, int64_t start, int64_t end,
               struct data_loader_spec *out)
{
  const int64_t n = d->n_samples * d->M;
  *out = (struct data_loader_spec){
      .data = d->data,
      .split = d->train,
      .limit = d->config.limit,
      .batch = d->batch,
      .first = replica * n,
      .n = n,
      .n_micro = d->M,
      .shuffle = d->config.order == CONFIG_SHUFFLE,
      .augment = derive_augment (&d->config),
      .seed = (uint64_t)d->config.seed,
      .start_step = start,
      .end_step = end,
      .ahead = d->M + AHEAD_BEYOND,
      .cores = d->cores,
  };
}

void
design_reader (const struct design *d, int replica, enum data_split split,
               int64_t batches, struct data_loader_spec *out)
{
  *out = (struct data_loader_spec){
      .data = d->data,
      .split = split,
      .batch = d->n_samples * d->R,
      .first = replica * d->n_samples,
      .n = d->n_samples,
      .n_micro = 1,
      .end_step = batches,
      .ahead = EVAL_AHEAD,
      .cores = d->cores,
      .evaluates = true,
  };
}

double
design_feed_bytes (const struct design *d)
{
  struct data_loader_spec loader, reader;
  if (!d->data)
    return 0;
  design_loader (d, 0, 0, 1, &loader);
  design_reader (d, 0, d->train, 1, &reader);
  return data_loader_bytes (&loader) +
         (d->info.decoder[0] ? data_loader_bytes (&reader) : 0);
}

void
design_count_cores (struct design *d)
{
  double least, most;
  if (!d->data || !d->info.decoder[0])
    return;
  wire_cores (d->wire, &least, &most);
  d->cores = (int)(wire_cores_mine (d->wire) + 1e-6);
  if (d->cores < 1)
    d->cores = 1;
}

void
design_measure_feed (struct design *d)
{
  struct data_loader_spec spec;
  double sample_s;
  if (!d->data || !d->info.decoder[0])
    return;
  design_loader (d, 0, 0, 1, &spec);
  if (data_loader_pace (&spec, PACE_S, &sample_s) == OK)
    d->decode_s = sample_s;
  fail_clear (); /* the loader meets it again, and says which sample it is */
}

/* -- beside the plan ---------------------------------------------------------
 */

struct feed {
  int threads;     /* that decode */
  double busy;     /* cores that arithmetic takes */
  double all_s;    /* images per second without arithmetic, ... */
  double beside_s; /* ... beside it, ... */
  double need_s;   /* ... and needed */
  double cycle_s;  /* with decoding */
};

/* False: it is not known, or nothing is decoded. */
static bool
feed_of (const struct design *d, const struct plan *p, struct feed *f)
{
  struct data_loader_spec spec;
  if (!(d->decode_s > 0) || d->spec.unit_costs || !(p->cycle_s > 0))
    return false;
  design_loader (d, 0, 0, 1, &spec);
  int64_t asked = d->threads > 0 ? d->threads : derive_asked (&d->config);
  const double work = asked > 0 ? (double)asked : d->cores;
  const double n = (double)spec.n, cores = d->cores;
  const double busy_s = work * p->busy_s[p->rank_of[0]];
  f->threads = data_loader_threads (&spec);
  f->busy = fmin (busy_s / p->cycle_s, cores);
  f->all_s = f->threads / d->decode_s;
  f->beside_s = fmin (f->all_s, (cores - f->busy) / d->decode_s);
  f->need_s = n / p->cycle_s;
  f->cycle_s = fmax (p->cycle_s,
                     fmax (n / f->all_s, /* shared, then: */
                           (f->busy * p->cycle_s + n * d->decode_s) / cores));
  return true;
}

void
design_show_feed (const struct design *d, const struct plan *p,
                  struct text *out)
{
  struct feed f;
  if (!feed_of (d, p, &f))
    return;
  text_add (out,
            "decoding: %.0f images/s by %d thread%s (a core's %.0f, measured "
            "here), %.0f of them on idle cores; %.0f needed\n",
            f.all_s, f.threads, f.threads == 1 ? "" : "s", 1 / d->decode_s,
            f.beside_s, f.need_s);
  if (f.cycle_s > p->cycle_s)
    text_add (out, "with decoding: %s per batch, %.1f %% more\n",
              text_seconds (f.cycle_s), 100 * (f.cycle_s / p->cycle_s - 1));
}

void
design_warn_feed (const struct design *d)
{
  struct feed f, worst = {.cycle_s = 0};
  double slower = 0, was_s = 0;
  for (int i = 0; i < d->n_phases; i++) {
    const struct plan *p = d->phase[i].plan;
    if (!feed_of (d, p, &f) || f.cycle_s / p->cycle_s <= slower)
      continue;
    worst = f;
    was_s = p->cycle_s;
    slower = worst.cycle_s / was_s;
  }
  if (slower < SLOWER)
    return;
  say (LOG_WARN,
       "data will be the bottleneck: the cores that arithmetic leaves idle "
       "decode %.0f images/s where %.0f are needed, so that a batch takes %s "
       "instead of %s.  What helps: more cores for the rank with stage 0; "
       "more %s, on other nodes, each of which decodes its part; photographs "
       "that are made smaller before the import, or `import folder raw=yes`, "
       "which keeps pixels",
       worst.beside_s, worst.need_s, text_seconds (worst.cycle_s),
       text_seconds (was_s), KEY_NAME (replicas));
}
