/* model/estimate.c -- how much memory a stage will take, from its recipes
 * alone: for plans, before anything is made.
 *
 * Over rows it follows stage.c, stage_token.c and layer_group.c; a test holds
 * it to what stages take.  Rounding to whole cache lines is left out.
 */
#include "model/stage_impl.h"
#include <math.h>

struct sizes { /* numbers */
  double params, slot, pair, wide;
  double factors; /* parameters that products read, about */
};

static void
add_recipe (const struct recipe *r, double rows, struct sizes *z)
{
  struct network_unit u = {0};
  recipe_cost (r, &u);
  z->params += (double)u.params;
  z->factors += (double)u.params;
  z->slot += rows / (double)r->in.h * u.act_bytes /
             (double)tensor_bytes (NETWORK_BORDER, 1);
  for (int i = 0; i < r->n_path; i++) {
    const struct recipe_step *s = &r->path[i];
    const double y = rows * (double)s->out.c;
    if (layer_kind (s)->keeps)
      z->pair += y;
    if (s->kind == RECIPE_EMBED)
      z->factors -= (double)s->words * (double)s->out.c;
    if (layer_kind (s)->make)
      z->wide = y > z->wide ? y : z->wide;
  }
}

/* The body: *table is what of its parameters is a shared table. */
static void
add_body (const struct stage_spec *spec, double rows, struct sizes *z,
          double *table)
{
  const int units = network_units (spec->net);
  const int end = spec->unit_end < units ? spec->unit_end : units - 1;
  const struct model_spec *m = network_spec (spec->net);
  struct recipe border;
  if (stage_has_border (spec)) {
    recipe_border (&border, spec->border,
                   network_recipe (spec->net, spec->unit_first)->in, true);
    add_recipe (&border, rows, z);
  }
  for (int i = spec->unit_first; i < end; i++)
    add_recipe (network_recipe (spec->net, i), rows, z);
  *table = spec->unit_first == 0 && m->tied
               ? (double)m->classes * (double)m->d_model
               : 0;
  z->params -= *table;
}

/* Floats of what training keeps of each parameter; twins may share moments. */
static double
copies (const struct stage_spec *spec)
{
  const double moments = spec->optimizer.kind == OPTIMIZER_ADAMW ? 2 : 1;
  const double twins = spec->n_twins > 1 ? spec->n_twins : 1;
  return spec->training ? 2 + moments / twins : 1;
}

/* The head: its own parameters, places, and the logits of a chunk. */
static enum status
head_floats (const struct stage_spec *spec, double rows, double table,
             double *sum, double *work)
{
  const int units = network_units (spec->net);
  const bool last = spec->unit_end == units;
  const struct model_spec *m = network_spec (spec->net);
  const double d = m->d_model, matrix = (double)m->classes * d;
  struct recipe_row r = {.n = 1};
  if (last)
    r.part[0] = *network_recipe (spec->net, units - 1);
  else
    TRY (recipe_head (spec->head, spec->net, spec->unit_end - 1, &r));
  const struct recipe *end = &r.part[r.n - 1];
  const struct recipe_step *step = recipe_projects (end);
  /* What goes into the projection is scratch, not kept. */
  const double inner =
      r.n > 1 || end->n_path > 1 ? rows * (double)step->in.c : 0;
  const double taken = step->share < 1 ? step->share * rows : 0;
  const double grad = spec->training ? 1 : 0;
  struct sizes z = {0};
  for (int i = 0; i < r.n; i++)
    add_recipe (&r.part[i], rows, &z);
  if (last) /* the owner, whatever its name */
    z.params += step->shared ? matrix : 0;
  else if (step->shared)
    *sum +=
        (spec->head_observes ? 0 : grad) * matrix + (table > 0 ? 0 : matrix);
  *sum += copies (spec) * z.params;
  *sum += spec->narrow * (z.factors + step->shared * matrix);
  *sum += spec->training
              ? spec->n_slots * (z.slot - inner + z.pair + rows * d + taken * d)
              : 0;
  *work += project_chunk (rows, m->classes) * (double)m->classes + 2 * inner +
           taken * d + rows;
  return OK;
}

static enum status
rows_bytes (const struct stage_spec *spec, bool own_input,
            struct stage_bytes *out)
{
  const struct model_spec *m = network_spec (spec->net);
  const double rows = (double)(spec->n_samples * m->context), d = m->d_model;
  const bool last = spec->unit_end == network_units (spec->net);
  const double grad = spec->training ? 1 : 0;
  struct sizes z = {0};
  double table, sum = 0, work;
  add_body (spec, rows, &z, &table);
  sum += copies (spec) * z.params + spec->narrow * z.factors;
  sum += table * (grad + (last ? 0 : 1)); /* the last stage has the values */
  const int units = spec->unit_end - spec->unit_first - last;
  const int parts = units + stage_has_border (spec);
  if (spec->training)
    sum += spec->n_slots *
           (spec->mode < STAGE_STILL ? z.slot : (parts > 0) * rows * d);
  /* The last cotangent is the caller's. */
  if (spec->training && units > 0 && spec->mode < STAGE_HANDS_ON)
    sum += (spec->n_pairs > 0 ? spec->n_pairs : 1) * (z.pair - rows * d);
  if (parts > 0)
    sum += rows * d; /* evaluation */
  /* Scratch between units, branches and layers. */
  work = 2 * ((parts > 1) * rows * d + rows * d + z.wide);
  work += rows * (double)m->heads; /* log-sums in evaluation */
  if (last || spec->head)
    TRY (head_floats (spec, rows, table, &sum, &work));
  const double input = spec->unit_first == 0 ? rows : rows * d;
  if (own_input)
    sum += (grad * spec->n_slots + 1) * input;
  out->held = sum * (double)tensor_bytes (NETWORK_BORDER, 1);
  out->work = work * (double)tensor_bytes (NETWORK_BORDER, 1);
  return OK;
}

enum status
stage_estimate (const struct stage_spec *spec, bool own_input,
                struct stage_bytes *out)
{
  return network_family (spec->net)->rows
             ? rows_bytes (spec, own_input, out)
             : stage_estimate_images (spec, own_input,
                                      copies (spec) + spec->narrow, out);
}

/* -- kernels --------------------------------------------------------------- */

static double
steps_room (const struct recipe_step *s, int n, const struct stage_spec *spec,
            int threads)
{
  double most = 0;
  for (int i = 0; i < n; i++)
    if (s[i].kind == RECIPE_CONV) {
      const struct kern_conv_shape shape =
          recipe_shape (&s[i], spec->n_samples, KERN_BLOCKED);
      most = fmax (most,
                   (double)kern_conv_room (&shape, kern_isa_have (), threads));
    }
  return most;
}

static double
recipe_room (const struct recipe *r, const struct stage_spec *spec, int threads)
{
  return fmax (steps_room (r->path, r->n_path, spec, threads),
               steps_room (r->skip, r->n_skip, spec, threads));
}

enum status
stage_estimate_kernels (const struct stage_spec *spec, int threads,
                        double *bytes)
{
  const bool last = spec->unit_end == network_units (spec->net);
  struct recipe_row r = {0};
  double most = 0;
  for (int i = spec->unit_first; i < spec->unit_end; i++)
    most =
        fmax (most, recipe_room (network_recipe (spec->net, i), spec, threads));
  if (!last && spec->head)
    TRY (recipe_head (spec->head, spec->net, spec->unit_end - 1, &r));
  for (int i = 0; i < recipe_row_parts (&r); i++)
    most = fmax (most, recipe_room (&r.part[i], spec, threads));
  *bytes = most;
  return OK;
}
