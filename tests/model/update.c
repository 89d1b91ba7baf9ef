/* ranks: 0 */
/* tests/model/update.c -- a few steps of the optimizers on a whole stage
 * against plain loops in double, fed with the gradients that the stage
 * computed.
 */
#include "tests/model/fixture.h"

static struct fixture f;

struct twin_optimizer {
  struct optimizer o;
  double fault; /* added to the decay: a planted error */
};

/* One element, one step, as PyTorch documents it. */
static void
twin_step (const struct twin_optimizer *t, double lr, bool decays, int64_t step,
           double g, double *w, double *m, double *v)
{
  const struct optimizer *o = &t->o;
  double wd = decays ? o->weight_decay + t->fault : 0.0;
  if (o->kind == OPTIMIZER_SGD) {
    g += wd * *w;
    *m = step == 1 ? g : o->momentum * *m + g;
    *w -= lr * (o->nesterov ? g + o->momentum * *m : *m);
    return;
  }
  *w *= 1.0 - lr * wd;
  *m = o->beta1 * *m + (1.0 - o->beta1) * g;
  *v = o->beta2 * *v + (1.0 - o->beta2) * g * g;
  double m_hat = *m / (1.0 - pow (o->beta1, (double)step));
  double v_hat = *v / (1.0 - pow (o->beta2, (double)step));
  *w -= lr * m_hat / (sqrt (v_hat) + o->eps);
}

#define TENSORS 64
struct state {
  int64_t n;
  double *w, *m, *v;
};

static struct stage *
make (const struct optimizer *o)
{
  struct stage *s;
  struct stage_spec spec = {.net = f.net,
                            .tuning = f.t,
                            .n_stages = 2,
                            .unit_end = 3,
                            .head = "conv12-bn-gap-fc",
                            .n_samples = f.n,
                            .n_slots = 1,
                            .n_pairs = 1,
                            .seed = 3,
                            .optimizer = *o,
                            .training = true};
  must (stage_create (f.k, &spec, &s));
  must (kern_seal (f.k));
  return s;
}

static void
copy_out (struct stage *s, int i, enum stage_what what, struct state *q,
          double *to)
{
  float *t = twin_new ((size_t)q->n, sizeof (float));
  must (stage_tensor_out (s, i, what, t));
  for (int64_t j = 0; j < q->n; j++)
    to[j] = t[j];
  mem_free (&t);
}

/* Three steps of eight roundings in a row, or of sixteen, on sums no larger
 * than twice the largest weight. */
static double
limit (const struct twin_optimizer *t)
{
  return 2 * rounding (3 * (t->o.kind == OPTIMIZER_SGD ? 8 : 16));
}

/* The largest deviation of any weight from the twin after three steps, in
 * units of what the weight moved by. */
static double
worst (const struct twin_optimizer *t, enum kern_layout l)
{
  const float clip[2] = {0.5f, 1.5f};
  struct state q[TENSORS] = {{0}};
  double off = 0.0, far = 0.0;
  fixture_open (&f, spec_basic, 4, l);
  struct stage *s = make (&t->o);
  struct stage_loss loss;
  CHECK (stage_tensors (s) <= TENSORS, "too many tensors");
  for (int64_t step = 1; step <= 3; step++) {
    must (stage_forward (s, 0, f.images));
    must (stage_head (s, 0, f.labels, 0.25f, false, &loss));
    must (stage_back_data (s, 0, stage_head_grad (s, 0), true, 0, NULL));
    must (stage_back_weights (s, 0, 0));
    must (stage_head_weights (s, 0));
    for (int i = 0; i < stage_tensors (s); i++) {
      struct tensor_info info;
      bool head, statistic;
      stage_tensor (s, i, &info, &head, &statistic);
      if (statistic)
        continue;
      if (step == 1) {
        size_t n = (size_t)(q[i].n = tensor_info_count (&info));
        q[i].w = twin_new (n, sizeof (double));
        q[i].m = twin_new (n, sizeof (double));
        q[i].v = twin_new (n, sizeof (double));
        copy_out (s, i, STAGE_VALUE, &q[i], q[i].w);
      }
      double *g = twin_new ((size_t)q[i].n, sizeof (double));
      copy_out (s, i, STAGE_GRAD, &q[i], g);
      for (int64_t j = 0; j < q[i].n; j++)
        twin_step (t, 0.02 * (double)step, t->o.decay_all || info.n_dims > 1,
                   step, g[j] * (double)clip[head], &q[i].w[j], &q[i].m[j],
                   &q[i].v[j]);
      mem_free (&g);
    }
    must (stage_update (s, 0.02 * (double)step, clip, step));
  }
  for (int i = 0; i < stage_tensors (s); i++) {
    double *w = twin_new ((size_t)q[i].n, sizeof (double));
    if (q[i].n)
      copy_out (s, i, STAGE_VALUE, &q[i], w);
    for (int64_t j = 0; j < q[i].n; j++) {
      off = fmax (off, fabs (w[j] - q[i].w[j]));
      far = fmax (far, fabs (w[j]));
    }
    mem_free (&w);
    mem_free (&q[i].w);
    mem_free (&q[i].m);
    mem_free (&q[i].v);
  }
  stage_destroy (&s);
  fixture_close (&f);
  return off / far;
}

int
main (void)
{
  struct twin_optimizer sgd = {.o = {.kind = OPTIMIZER_SGD,
                                     .momentum = 0.9,
                                     .weight_decay = 0.05,
                                     .decay_all = true}};
  struct twin_optimizer adamw = {.o = {.kind = OPTIMIZER_ADAMW,
                                       .beta1 = 0.9,
                                       .beta2 = 0.99,
                                       .eps = 1e-3,
                                       .weight_decay = 0.1}};
  tap_near (worst (&sgd, KERN_BLOCKED), 0.0, limit (&sgd),
            "SGD with momentum, decay");
  sgd.o.nesterov = true;
  sgd.o.decay_all = false;
  tap_near (worst (&sgd, KERN_LAST), 0.0, limit (&sgd),
            "SGD, Nesterov, matrices decay alone");
  sgd.fault = 5e-4;
  tap_ok (worst (&sgd, KERN_LAST) > limit (&sgd),
          "a decay off by 1 %% is noticed");
  tap_near (worst (&adamw, KERN_LAST), 0.0, limit (&adamw),
            "AdamW, matrices decay alone");
  adamw.o.decay_all = true;
  tap_near (worst (&adamw, KERN_BLOCKED), 0.0, limit (&adamw),
            "AdamW, all decay");
  adamw.fault = 1e-2;
  tap_ok (worst (&adamw, KERN_BLOCKED) > limit (&adamw),
          "a wrong decay is noticed");
  return tap_done ();
}
