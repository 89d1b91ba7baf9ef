/* run/train_impl.h -- the state of one training, and its record on the root. */
#ifndef RUN_TRAIN_IMPL_H
#define RUN_TRAIN_IMPL_H

#include "run/run_impl.h"

/* What the root keeps between rows of metrics.csv. */
struct progress {
  int64_t interval;       /* steps per row of the training split */
  int64_t rows_from;      /* first step of the row under way */
  struct stage_loss *sum; /* K, since rows_from */
  double row_s;           /* training seconds at rows_from */
  double live_s, line_s;  /* clock of the last live and plain line */
  int64_t live_step;
};

struct training {
  struct session *s;
  struct progress p;
  struct evaluation eval; /* arrays of K */
  int64_t start, end;     /* steps: of this start, of the run */
  double loop_s;          /* clock when the present stretch began */
  double saved_s;         /* clock of the last save, or of the start */
  double worst_step_s, worst_save_s;
  double job_end_s; /* wall-clock time of the job's end; 0: unknown */
  bool stopped;
};

/* Seconds spent in training steps so far, without evaluation and saving. */
double
training_seconds (const struct training *t);
/* One row of metrics.csv: step, epoch, loss and accuracy of K heads (NAN: left
 * empty), learning rate, seconds, samples/s.  Local, on the root. */
enum status
record_row (struct training *t, const char *split, int64_t steps_done,
            const double *loss, const double *accuracy, double rate);
/* The row of the training split over the steps since the last one.  timed: the
 * time between them means something. */
enum status
record_training (struct training *t, int64_t steps_done, bool timed);
/* "0.8120 0.4550 -": K numbers, '-' where a head is silent. */
void
record_heads (const double *v, int K, struct text *out);
/* A live line on a terminal; a plain line now and then elsewhere. */
void
record_progress (struct training *t, int64_t step);

/* -- saving (save.c) --------------------------------------------------------
 */

/* A checkpoint of the weights after steps_done steps, its event, and the older
 * ones pruned.  Collective; all ranks return the same. */
enum status
train_save (struct training *t, int64_t steps_done);
/* The root asks for a checkpoint by time. */
bool
train_save_asked (const struct training *t);

/* -- stopping (stop.c) ------------------------------------------------------
 */

void
stop_catch_signals (void);
/* When Slurm ends the job, in seconds since 1970; 0: not known. */
double
stop_job_end (void);
/* Whether this rank votes for stopping. */
bool
stop_asked (struct training *t);
/* The stop file has done its work: the next start is to go on. */
void
stop_obeyed (const struct session *s);

/* -- resuming (resume.c) ----------------------------------------------------
 */

/* Continue from the newest checkpoint of the run directory, if there is one.
 * Collective. */
enum status
train_resume (struct session *s, int64_t *start);

#endif
