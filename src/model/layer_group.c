/* model/layer_group.c -- containers: layers in a row, and residual sums.
 *
 * Containers decide where tensors between layers live: outputs in the slot,
 * cotangents in the pair where a layer keeps them, everything else in scratch.
 */
#include "model/layer_impl.h"

static size_t
larger (size_t a, size_t b)
{
  return a > b ? a : b;
}

/* -- sequence -------------------------------------------------------------- */

struct sequence_layer {
  struct layer layer;
  int n;
  struct layer **child; /* n, owned */
  size_t *y_at;         /* n: output of child i in the slot; not of the last */
  size_t *d_at;         /* n: its cotangent in the pair, where child i keeps */
  size_t largest;       /* bytes of the largest tensor between children */
};

/* x -> child 0 -> ... -> child n - 1 -> y.  Every output between stays in the
 * slot: it is the next child's input, which its backward reads again. */
static enum status
sequence_forward_join (struct layer *l, struct work *w, const float *x,
                       const float *side, float *y)
{
  struct sequence_layer *q = (struct sequence_layer *)l;
  for (int i = 0; i < q->n; i++) {
    struct layer *c = q->child[i];
    float *to = i == q->n - 1 ? y : (float *)(w->slot + q->y_at[i]);
    if (side && i == q->n - 1)
      TRY (c->kind->forward_join (c, w, x, side, to));
    else
      TRY (layer_forward (c, w, x, to));
    pulse ();
    x = to;
  }
  return OK;
}

static enum status
sequence_forward (struct layer *l, struct work *w, const float *x, float *y)
{
  return sequence_forward_join (l, w, x, NULL, y);
}

/* Nothing is kept in evaluation: two tensors take turns as input and output. */
static enum status
sequence_eval_join (struct layer *l, struct work *w, const float *x,
                    const float *side, float *y)
{
  struct sequence_layer *q = (struct sequence_layer *)l;
  char *mark = w->scratch;
  float *turn[2];
  turn[0] = work_take (w, q->largest);
  turn[1] = work_take (w, q->largest);
  for (int i = 0; i < q->n; i++) {
    struct layer *c = q->child[i];
    float *to = i == q->n - 1 ? y : turn[i % 2];
    if (side && i == q->n - 1)
      TRY (c->kind->eval_join (c, w, x, side, to));
    else
      TRY (layer_eval (c, w, x, to));
    pulse ();
    x = to;
  }
  w->scratch = mark;
  return OK;
}

static enum status
sequence_eval (struct layer *l, struct work *w, const float *x, float *y)
{
  return sequence_eval_join (l, w, x, NULL, y);
}

/* From the last child to the first.  Gradients between children take turns in
 * two places of scratch, but one that a child wants to keep for its weights
 * goes to the pair, where it stays.  The first child is left out where it has
 * nothing to learn and nobody wants what it would hand on. */
static enum status
sequence_back_join (struct layer *l, struct work *w, const float *d_y, float *g,
                    float *d_x)
{
  struct sequence_layer *q = (struct sequence_layer *)l;
  const int first = !d_x && q->child[0]->kind->bare;
  char *mark = w->scratch;
  float *turn[2];
  turn[0] = work_take (w, q->largest);
  turn[1] = work_take (w, q->largest);
  for (int i = q->n - 1; i >= first; i--) {
    float *to = d_x;
    if (i > first)
      to = w->pair && !w->now && q->child[i - 1]->keeps
               ? (float *)(w->pair + q->d_at[i - 1])
               : turn[i % 2];
    if (g && i == q->n - 1)
      TRY (q->child[i]->kind->back_join (q->child[i], w, d_y, g, to));
    else
      TRY (layer_back (q->child[i], w, d_y, to));
    TRY (work_pulse (w));
    d_y = to;
  }
  w->scratch = mark;
  return OK;
}

static enum status
sequence_back (struct layer *l, struct work *w, const float *d_y, float *d_x)
{
  return sequence_back_join (l, w, d_y, NULL, d_x);
}

static enum status
sequence_weights (struct layer *l, struct work *w)
{
  struct sequence_layer *q = (struct sequence_layer *)l;
  for (int i = q->n - 1; i >= 0; i--)
    if (q->child[i]->kind->weights) {
      TRY (q->child[i]->kind->weights (q->child[i], w));
      TRY (work_pulse (w));
    }
  return OK;
}

static void
sequence_destroy (struct layer *l)
{
  struct sequence_layer *q = (struct sequence_layer *)l;
  for (int i = 0; q->child && i < q->n; i++)
    layer_destroy (&q->child[i]);
  mem_free (&q->child);
  mem_free (&q->y_at);
  mem_free (&q->d_at);
}

static const struct layer_kind sequence_kind = {
    .name = "sequence",
    .row = true,
    .forward = sequence_forward,
    .eval = sequence_eval,
    .back = sequence_back,
    .forward_join = sequence_forward_join,
    .eval_join = sequence_eval_join,
    .back_join = sequence_back_join,
    .weights = sequence_weights,
    .destroy = sequence_destroy,
};

void
layer_widen (struct layer *l)
{
  while (l->kind == &sequence_kind) {
    const struct sequence_layer *q = (struct sequence_layer *)l;
    l = q->child[q->n - 1];
  }
  l->wide = true;
}

static void
residual_link (struct layer *l, struct layer *next);

static void
place_tensors (struct layer_maker *m, struct sequence_layer *q)
{
  size_t inside = 0;
  for (int i = 0; i < q->n; i++) {
    const struct layer *c = q->child[i];
    inside = larger (inside, c->scratch_bytes);
    if (i == q->n - 1)
      break;
    q->largest = larger (q->largest, c->y_bytes);
    q->y_at[i] = maker_slot (m, c->y_bytes);
    if (c->keeps)
      q->d_at[i] = maker_pair (m, c->y_bytes);
    residual_link (q->child[i], q->child[i + 1]);
  }
  q->layer.x_bytes = q->child[0]->x_bytes;
  q->layer.y_bytes = q->child[q->n - 1]->y_bytes;
  q->layer.keeps = q->child[q->n - 1]->keeps;
  q->layer.joins = q->child[q->n - 1]->joins;
  q->layer.scratch_bytes = 2 * arena_round (q->largest) + inside;
}

enum status
layer_sequence (struct layer_maker *m, struct layer **child, int n,
                struct layer **out)
{
  struct sequence_layer *q = NULL;
  enum status s;
  CHECK (n >= 1, "an empty sequence");
  TRY_GOTO (MEM_NEW (1, &q, "sequence"), bad);
  q->layer.kind = &sequence_kind;
  TRY_GOTO (MEM_NEW ((size_t)n, &q->y_at, "offsets"), bad);
  TRY_GOTO (MEM_NEW ((size_t)n, &q->d_at, "offsets"), bad);
  TRY_GOTO (MEM_NEW ((size_t)n, &q->child, "layers"), bad);
  q->n = n;
  for (int i = 0; i < n; i++) {
    q->child[i] = child[i];
    child[i] = NULL;
  }
  place_tensors (m, q);
  *out = &q->layer;
  return OK;
bad:
  for (int i = 0; i < n; i++)
    layer_destroy (&child[i]);
  *out = q ? &q->layer : NULL;
  layer_destroy (out);
  return s;
}

/* -- residual -------------------------------------------------------------- */

struct residual_layer {
  struct layer layer;
  struct layer *path, *skip; /* owned; skip NULL: the identity */
  /* Where the path `joins`, sum and ReLU are part of its last layer's passes,
   * and of two such blocks in a row the later one leaves its side of the
   * gradient between them to be added in the earlier one's. */
  bool leaves; /* its input is the output of a block that joins */
  /* Else of two blocks in a row the later one makes the gradient at the tensor
   * between them, and takes it through the ReLU of the earlier one in the same
   * loop. */
  bool gates; /* its input is another block's output: d_x comes out rectified */
  bool gated; /* ... and this is that block: d_y comes in rectified */
};
struct residual_saved {
  const float *x, *y;
};

/* The path and the sum with what came of the other side, rectified. */
static enum status
path_forward (struct residual_layer *r, struct work *w, const float *x,
              const float *side, float *y)
{
  struct layer *p = r->path;
  if (p->joins)
    return p->kind->forward_join (p, w, x, side, y);
  TRY (layer_forward (p, w, x, y));
  kern_add_relu (w->k, layer_numbers (r->layer.y_bytes), y, side, y);
  return OK;
}

static enum status
residual_forward (struct layer *l, struct work *w, const float *x, float *y)
{
  struct residual_layer *r = (struct residual_layer *)l;
  char *mark = w->scratch;
  const float *side = x;
  *(struct residual_saved *)(w->slot + l->saved_at) =
      (struct residual_saved){x, y};
  if (r->skip) {
    float *to = work_take (w, l->y_bytes);
    TRY (layer_forward (r->skip, w, x, to));
    side = to;
  }
  TRY (path_forward (r, w, x, side, y));
  w->scratch = mark;
  return OK;
}

static enum status
path_eval (struct residual_layer *r, struct work *w, const float *x,
           const float *side, float *y)
{
  struct layer *p = r->path;
  if (p->joins)
    return p->kind->eval_join (p, w, x, side, y);
  TRY (layer_eval (p, w, x, y));
  kern_add_relu (w->k, layer_numbers (r->layer.y_bytes), y, side, y);
  return OK;
}

static enum status
residual_eval (struct layer *l, struct work *w, const float *x, float *y)
{
  struct residual_layer *r = (struct residual_layer *)l;
  char *mark = w->scratch;
  const float *side = x;
  if (r->skip) {
    float *to = work_take (w, l->y_bytes);
    TRY (layer_eval (r->skip, w, x, to));
    side = to;
  }
  TRY (path_eval (r, w, x, side, y));
  w->scratch = mark;
  return OK;
}

/* d_x from the path; returns the gradient at the sum, which is the side's, too.
 * It is the first piece of scratch, here and in the block before, which may
 * find there what this one left. */
static enum status
path_back (struct residual_layer *r, struct work *w, const float *d_y,
           float *d_x, const float **side)
{
  const struct layer *l = &r->layer;
  const struct residual_saved *saved =
      (struct residual_saved *)(w->slot + l->saved_at);
  float *g = r->gated ? NULL : work_take (w, l->y_bytes);
  *side = g ? g : d_y;
  if (r->path->joins)
    return r->path->kind->back_join (r->path, w, d_y, g, d_x);
  if (g)
    kern_relu_back (w->k, layer_numbers (l->y_bytes), d_y, saved->y, g);
  return layer_back (r->path, w, *side, d_x);
}

/* d_x = path back + skip back (or the identity).  The path writes d_x and the
 * other side is added, so that no third tensor is needed. */
static enum status
residual_back (struct layer *l, struct work *w, const float *d_y, float *d_x)
{
  struct residual_layer *r = (struct residual_layer *)l;
  const struct residual_saved *saved =
      (struct residual_saved *)(w->slot + l->saved_at);
  char *mark = w->scratch;
  const float *side;
  TRY (path_back (r, w, d_y, d_x, &side));
  if (r->skip) {
    float *to = d_x ? work_take (w, l->x_bytes) : NULL;
    TRY (layer_back (r->skip, w, side, to));
    side = to;
  }
  if (d_x && r->leaves && !r->skip)
    w->more = side;
  else if (d_x && r->gates)
    kern_add_gate (w->k, layer_numbers (l->x_bytes), side, saved->x, d_x);
  else if (d_x)
    kern_axpy (w->k, layer_numbers (l->x_bytes), 1.0f, side, d_x);
  w->scratch = mark;
  return OK;
}

static enum status
residual_weights (struct layer *l, struct work *w)
{
  struct residual_layer *r = (struct residual_layer *)l;
  TRY (r->path->kind->weights (r->path, w));
  return r->skip ? r->skip->kind->weights (r->skip, w) : OK;
}

static void
residual_destroy (struct layer *l)
{
  struct residual_layer *r = (struct residual_layer *)l;
  layer_destroy (&r->path);
  layer_destroy (&r->skip);
}

static const struct layer_kind residual_kind = {
    .name = "residual",
    .forward = residual_forward,
    .eval = residual_eval,
    .back = residual_back,
    .weights = residual_weights,
    .destroy = residual_destroy,
};

/* l's output is next's input. */
static void
residual_link (struct layer *l, struct layer *next)
{
  if (l->kind != &residual_kind || next->kind != &residual_kind)
    return;
  struct residual_layer *a = (struct residual_layer *)l;
  struct residual_layer *b = (struct residual_layer *)next;
  const bool joins = a->path->joins;
  a->gated = b->gates = !joins;
  b->leaves = joins;
}

enum status
layer_residual (struct layer_maker *m, struct layer *path, struct layer *skip,
                struct layer **out)
{
  struct residual_layer *r = NULL;
  enum status s;
  TRY_GOTO (MEM_NEW (1, &r, "residual block"), bad);
  CHECK (!path->keeps && (!skip || !skip->keeps),
         "the cotangent behind a residual sum is not kept");
  CHECK (!skip || skip->y_bytes == path->y_bytes, "the paths differ in shape");
  CHECK (skip || path->x_bytes == path->y_bytes, "an identity that reshapes");
  r->layer.kind = &residual_kind;
  r->path = path;
  r->skip = skip;
  r->layer.x_bytes = path->x_bytes;
  r->layer.y_bytes = path->y_bytes;
  r->layer.saved_at = maker_slot (m, sizeof (struct residual_saved));
  r->layer.scratch_bytes =
      arena_round (path->x_bytes) + arena_round (path->y_bytes) +
      larger (path->scratch_bytes, skip ? skip->scratch_bytes : 0);
  *out = &r->layer;
  return OK;
bad:
  layer_destroy (&path);
  layer_destroy (&skip);
  return s;
}

/* -- a branch of a Transformer, or of a block that normalises first ---------
 */

/* The slope of the sum is the same on both ways, so a cotangent that the path
 * or the skip keeps is the one of the branch. */
struct branch_layer {
  struct layer layer;
  struct layer *path, *skip; /* owned; skip NULL: the identity */
  size_t width;              /* floats of a row or an image */
};

/* y holds the path's output. */
static void
add_side (struct branch_layer *b, struct work *w, const float *side, float *y)
{
  kern_axpy (w->k, (size_t)w->rows * b->width, 1.0f, side, y);
}

static enum status
branch_forward (struct layer *l, struct work *w, const float *x, float *y)
{
  struct branch_layer *b = (struct branch_layer *)l;
  char *mark = w->scratch;
  float *side = b->skip ? work_take (w, l->y_bytes) : NULL;
  TRY (layer_forward (b->path, w, x, y));
  if (b->skip)
    TRY (layer_forward (b->skip, w, x, side));
  add_side (b, w, b->skip ? side : x, y);
  w->scratch = mark;
  return OK;
}

static enum status
branch_eval (struct layer *l, struct work *w, const float *x, float *y)
{
  struct branch_layer *b = (struct branch_layer *)l;
  char *mark = w->scratch;
  float *side = b->skip ? work_take (w, l->y_bytes) : NULL;
  TRY (layer_eval (b->path, w, x, y));
  if (b->skip)
    TRY (layer_eval (b->skip, w, x, side));
  add_side (b, w, b->skip ? side : x, y);
  w->scratch = mark;
  return OK;
}

static enum status
branch_back (struct layer *l, struct work *w, const float *d_y, float *d_x)
{
  struct branch_layer *b = (struct branch_layer *)l;
  const size_t in = layer_numbers (l->x_bytes);
  char *mark = w->scratch;
  TRY (layer_back (b->path, w, d_y, d_x));
  if (b->skip) {
    float *side = d_x ? work_take (w, l->x_bytes) : NULL;
    TRY (layer_back (b->skip, w, d_y, side));
    if (d_x)
      kern_axpy (w->k, in, 1.0f, side, d_x);
  } else if (d_x)
    add_side (b, w, d_y, d_x);
  w->scratch = mark;
  return OK;
}

static enum status
branch_weights (struct layer *l, struct work *w)
{
  struct branch_layer *b = (struct branch_layer *)l;
  TRY (b->path->kind->weights (b->path, w));
  return b->skip ? b->skip->kind->weights (b->skip, w) : OK;
}

static void
branch_destroy (struct layer *l)
{
  struct branch_layer *b = (struct branch_layer *)l;
  layer_destroy (&b->path);
  layer_destroy (&b->skip);
}

static const struct layer_kind branch_kind = {
    .name = "branch",
    .forward = branch_forward,
    .eval = branch_eval,
    .back = branch_back,
    .weights = branch_weights,
    .destroy = branch_destroy,
};

enum status
layer_branch (struct layer_maker *m, struct layer *path, struct layer *skip,
              struct layer **out)
{
  struct branch_layer *b = NULL;
  enum status s;
  CHECK (!skip || skip->y_bytes == path->y_bytes, "the paths differ in shape");
  CHECK (skip || path->x_bytes == path->y_bytes, "a branch that reshapes");
  TRY_GOTO (MEM_NEW (1, &b, "branch"), bad);
  b->layer.kind = &branch_kind;
  b->path = path;
  b->skip = skip;
  b->width = layer_numbers (path->y_bytes) / (size_t)maker_rows (m);
  b->layer.x_bytes = path->x_bytes;
  b->layer.y_bytes = path->y_bytes;
  b->layer.keeps = path->keeps || (skip && skip->keeps);
  b->layer.scratch_bytes = path->scratch_bytes;
  if (skip)
    b->layer.scratch_bytes =
        arena_round (larger (path->x_bytes, path->y_bytes)) +
        larger (path->scratch_bytes, skip->scratch_bytes);
  *out = &b->layer;
  return OK;
bad:
  layer_destroy (&path);
  layer_destroy (&skip);
  return s;
}

/* Where a branch begins and ends in a recipe: nothing comes out of these
 * steps that is kept. */
static void
bracket_cost (const struct recipe_step *s, struct network_unit *u)
{
  u->act_bytes -= network_border_bytes (s->out, 1);
}

const struct layer_kind layer_bracket = {.name = "branch",
                                         .cost = bracket_cost};
const struct layer_kind layer_bracket_end = {.name = "end of a branch",
                                             .cost = bracket_cost};
