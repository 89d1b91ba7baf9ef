/* run/pictures.c -- images on ranks whose heads make them again.
 *
 * A rank that has such heads reads the images of each micro-batch once, as the
 * first stage gets them: made from (seed, epoch, sample) alone they are the
 * same wherever they are made, and none is ever sent.  Those of a step lie here
 * until all heads of the rank have seen them.
 */
#include "base/fault.h"
#include "run/session.h"

/* Whether a head here that makes images again is at work in a phase. */
static bool
wants (const struct session *s, const struct plan *p)
{
  for (int i = 0; i < s->n_local; i++)
    if (stage_rebuilds (s->local[i].stage) &&
        p->head[s->local[i].k] != PLAN_SILENT)
      return true;
  return false;
}

enum status
pictures_open (struct session *s)
{
  const struct design *d = s->design;
  const struct model_spec *m = network_spec (d->net);
  bool any = false;
  s->pictures.step = -1;
  for (int i = 0; i < s->n_local; i++)
    any = any || stage_rebuilds (s->local[i].stage);
  if (!any)
    return OK;
  s->pictures.each =
      (size_t)(d->n_samples * m->channels * m->height * m->width_px);
  return MEM_NEW (s->pictures.each * (size_t)d->M, &s->pictures.x, "images");
}

/* A loader gives one step after the other, so images are taken from the first
 * phase that needs them to the last one. */
void
pictures_begin (struct session *s, int64_t start, int64_t end)
{
  const struct design *d = s->design;
  int64_t first = end, after = start;
  for (int i = 0; s->pictures.x && i < d->n_phases; i++) {
    const int64_t next = i + 1 < d->n_phases ? d->phase[i + 1].first : end;
    if (s->local[0].k > 0 && !wants (s, d->phase[i].plan))
      continue;
    first = d->phase[i].first < first ? d->phase[i].first : first;
    after = next > after ? next : after;
  }
  s->pictures.step = -1;
  s->pictures.first = first < start ? start : first;
  s->pictures.end = after < end ? after : end;
}

enum status
pictures_of (struct session *s, int64_t step, int micro, const float **x)
{
  const size_t each = s->pictures.each;
  *x = s->pictures.x + each * (size_t)micro;
  if (s->lane.aside) {
    s->pictures.step = -1;
    return data_look_ahead (s->loader, step, micro,
                            s->pictures.x + each * (size_t)micro);
  }
  if (s->pictures.step != step)
    s->pictures.n = 0;
  s->pictures.step = step;
  for (; s->pictures.n <= micro; s->pictures.n++)
    TRY (data_take (s->loader, step, s->pictures.n,
                    s->pictures.x + each * (size_t)s->pictures.n));
  return OK;
}

enum status
pictures_finish (struct session *s, int64_t step)
{
  const float *x;
  if (!s->pictures.x || step < s->pictures.first || step >= s->pictures.end)
    return OK;
  return pictures_of (s, step, s->design->M - 1, &x);
}

enum status
pictures_show (struct session *s, const struct local_stage *l, int slot,
               int64_t step, int micro)
{
  const float *x;
  const double *mean, *std;
  if (!stage_rebuilds (l->stage))
    return OK;
  TRY (pictures_of (s, step, micro, &x));
  if (fault_here ("picture")) /* of another micro-batch */
    x = s->pictures.x;
  data_normal (s->design->data, &mean, &std);
  stage_picture (l->stage, slot, x, mean, std);
  return OK;
}

void
pictures_show_all (struct session *s)
{
  const double *mean, *std;
  data_normal (s->design->data, &mean, &std);
  s->pictures.step = -1;
  for (int i = 0; i < s->n_local; i++)
    if (stage_rebuilds (s->local[i].stage))
      stage_picture (s->local[i].stage, STAGE_EVAL, s->pictures.x, mean, std);
}
