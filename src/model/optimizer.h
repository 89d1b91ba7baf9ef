/* model/optimizer.h -- optimizers and learning-rate schedules (PyTorch's). */
#ifndef MODEL_OPTIMIZER_H
#define MODEL_OPTIMIZER_H

#include "base/status.h"
#include <stdbool.h>
#include <stdint.h>

enum optimizer_kind { OPTIMIZER_SGD, OPTIMIZER_ADAMW };
struct optimizer {
  enum optimizer_kind kind;
  double momentum;
  bool nesterov;
  double weight_decay;
  double beta1, beta2, eps;
  bool decay_all; /* false: only tensors of two and more dims */
};

enum schedule_kind {
  SCHEDULE_CONSTANT,
  SCHEDULE_STEP,    /* x 0.1 at each milestone (MultiStepLR) */
  SCHEDULE_COSINE,  /* to 0 at the last step (CosineAnnealingLR) */
  SCHEDULE_ONECYCLE /* OneCycleLR: cosine, max lr, pct_start 0.3, div_factor 25,
                       final_div_factor 1e4; with warmup: that many steps up */
};
#define SCHEDULE_MILESTONES 16
struct schedule {
  enum schedule_kind kind;
  double lr;      /* the peak */
  int64_t steps;  /* of the whole run */
  int64_t warmup; /* linear from 0: lr x (s + 1) / warmup for s < warmup */
  int n_milestones;
  int64_t milestones[SCHEDULE_MILESTONES]; /* in steps */
};
/* Learning rate of step s = 0 .. steps-1. */
double
schedule_lr (const struct schedule *s, int64_t step);

#endif
