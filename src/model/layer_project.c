/* model/layer_project.c -- projection to the vocabulary, [B, T, D] to [B, T,
 * words]: the last step of a head over rows.  No layer: it is done together
 * with the loss, some rows at a time (stage_token.c), so that the logits of all
 * rows are never there.
 */
#include "model/layer_impl.h"

/* Logits that are there at a time: enough that the matrix, which passes through
 * the caches once per chunk, is not what takes the time. */
#define CHUNK_BYTES (16 << 20)
#define CHUNK_LEAST 256

double
project_chunk (double rows, int64_t words)
{
  double chunk =
      (double)(CHUNK_BYTES / (int64_t)tensor_bytes (NETWORK_BORDER, words));
  chunk = chunk < CHUNK_LEAST ? CHUNK_LEAST : chunk;
  return chunk < rows ? chunk : rows;
}

/* Its output is not kept. */
static void
project_cost (const struct recipe_step *s, struct network_unit *u)
{
  u->params += s->shared ? 0 : s->in.c * s->out.c;
  u->flops +=
      s->share * 2 * (double)s->in.h * (double)s->in.c * (double)s->out.c;
  u->act_bytes -= network_border_bytes (s->out, 1);
}

static void
project_product (const struct recipe_step *s, int64_t n,
                 struct kern_linear_shape *out)
{
  const double rows = (double)(n * s->in.h);
  *out =
      (struct kern_linear_shape){.n = (int64_t)project_chunk (rows, s->out.c),
                                 .in = s->in.c,
                                 .out = s->out.c,
                                 .learns = true,
                                 .primitives = true};
}

static enum status
project_prove (struct kern *k, const struct recipe_step *s, int64_t n,
               struct kern_tuning *t)
{
  struct kern_linear_shape shape;
  project_product (s, n, &shape);
  return layer_prove_product (k, &shape, t);
}

const struct layer_kind layer_project = {
    .name = "projection",
    .cost = project_cost,
    .prove = project_prove,
    .product = project_product,
};
