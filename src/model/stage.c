/* model/stage.c -- making a stage and its memory.
 *
 * Order of making: layers (they give out offsets and register parameters), then
 * scratchpad and parameter blocks, then slabs for slots, pairs and the rest.
 * What a stage does with all this is in stage_work.c, its borders in
 * stage_place.c.
 */
#include "model/stage_impl.h"
#include <stdio.h>

static size_t
larger (size_t a, size_t b)
{
  return a > b ? a : b;
}

/* -- layers ---------------------------------------------------------------- */

/* Where an embedding that is shared has its table. */
static struct params *
shared_table (struct stage *s, enum stage_part part)
{
  bool shared = network_spec (s->spec.net)->tied;
  return shared && part == STAGE_BODY ? &s->shared[STAGE_BODY] : NULL;
}

static struct layer_maker
maker_of (struct stage *s, const struct stage_spec *spec, enum stage_part part)
{
  return (struct layer_maker){.k = s->k,
                              .tuning = spec->tuning,
                              .inner = s->inner,
                              .outer = s->inner,
                              .n = spec->n_samples,
                              .length = s->length,
                              .training = spec->training,
                              .params = &s->params[part],
                              .shared = shared_table (s, part)};
}

/* What the input goes through first. */
static enum status
build_border (struct stage *s, struct layer_maker *m, struct layer **out)
{
  struct recipe r;
  recipe_border (&r, s->spec.border, s->in, s->rows);
  return layer_build (m, &r, out);
}

static enum status
build_body (struct stage *s, const struct stage_spec *spec, int end)
{
  const int border = stage_has_border (spec);
  int n = border + end - spec->unit_first;
  struct layer **unit = NULL;
  enum status status = OK;
  struct layer_maker m = maker_of (s, spec, STAGE_BODY);
  TRY (MEM_NEW ((size_t)n, &unit, "units"));
  if (border)
    status = build_border (s, &m, &unit[0]);
  for (int i = border; i < n && status == OK; i++)
    status = layer_build (
        &m, network_recipe (spec->net, spec->unit_first + i - border),
        &unit[i]);
  if (status == OK)
    status = layer_sequence (&m, unit, n, &s->body);
  else
    for (int i = 0; i < n; i++)
      layer_destroy (&unit[i]);
  mem_free (&unit);
  s->body_slot_bytes = s->spec.mode < STAGE_STILL ? m.slot_bytes : 0;
  s->body_pair_bytes = s->spec.mode < STAGE_HANDS_ON ? m.pair_bytes : 0;
  s->cache_bytes = m.cache_bytes;
  return status;
}

/* All recipes of a row; a PROJECT at the end is no layer. */
static enum status
build_row (struct layer_maker *m, const struct recipe_row *r,
           struct layer **out)
{
  struct layer *part[RECIPE_BLOCKS + 1] = {NULL};
  enum status status = OK;
  int n = 0;
  for (int i = 0; i < r->n && status == OK; i++) {
    status = layer_build (m, &r->part[i], &part[n]);
    n += part[n] != NULL;
  }
  if (status == OK && n > 1)
    return layer_sequence (m, part, n, out);
  *out = status == OK ? part[0] : NULL;
  for (int i = 0; i < n && status != OK; i++)
    layer_destroy (&part[i]);
  return status;
}

/* Beside the head, and in its slabs. */
static enum status
build_decoder (struct stage *s, const struct recipe_row *r,
               struct layer_maker *m)
{
  struct rebuild *b = &s->rebuild;
  const enum kern_layout inner = m->inner;
  if (r->n_beside == 0)
    return OK;
  m->inner = KERN_LAST;
  TRY (layer_build (m, &r->part[r->n], &b->decoder));
  m->inner = inner;
  layer_widen (b->decoder); /* as the head */
  b->dims = maker_dims (m, r->part[r->n].out);
  b->bytes = kern_bytes (s->k, b->dims, KERN_LAST);
  b->weight = (float)r->rebuilt;
  b->at = maker_slot (m, b->bytes);
  return OK;
}

/* Of scratch: besides what the decoder's layers take, its gradient where the
 * head's is, or in evaluation its output. */
static size_t
decoder_scratch (const struct stage *s)
{
  const struct rebuild *b = &s->rebuild;
  if (!b->decoder)
    return 0;
  return b->decoder->scratch_bytes +
         arena_round (larger (s->out_bytes, b->bytes));
}

static enum status
build_head (struct stage *s, const struct stage_spec *spec,
            const struct recipe_row *r)
{
  struct layer_maker m = maker_of (s, spec, STAGE_HEAD);
  TRY (build_row (&m, r, &s->head));
  TRY (stage_token_project (s, spec, &r->part[r->n - 1]));
  if (!s->project.on)
    layer_widen (s->head); /* the loss is f32 */
  s->project.keeps = s->project.on && s->head && s->head->keeps;
  if (s->project.keeps)
    s->project.kept_at = maker_pair (&m, s->head->y_bytes);
  TRY (build_decoder (s, r, &m));
  s->head_slot_bytes = m.slot_bytes;
  s->head_pair_bytes = m.pair_bytes;
  return OK;
}

static enum status
build (struct stage *s, const struct stage_spec *spec)
{
  const int units = network_units (spec->net);
  const bool last = spec->unit_end == units;
  const int end = last ? units - 1 : spec->unit_end;
  struct recipe_row head = {.n = 1};
  s->length = network_spec (spec->net)->context;
  s->in = network_recipe (spec->net, spec->unit_first)->in;
  s->out =
      end > spec->unit_first ? network_recipe (spec->net, end - 1)->out : s->in;
  if (end > spec->unit_first || stage_has_border (spec))
    TRY (build_body (s, spec, end));
  if (last)
    head.part[0] = *network_recipe (spec->net, units - 1);
  else if (spec->head)
    TRY (recipe_head (spec->head, spec->net, end - 1, &head));
  return last || spec->head ? build_head (s, spec, &head) : OK;
}

/* -- memory ---------------------------------------------------------------- */

static size_t
logits_bytes (const struct stage *s)
{
  if (s->project.on)
    return 0;
  return (size_t)s->in.n * (size_t)network_spec (s->spec.net)->classes *
         sizeof (float);
}

/* A border tensor: header, then data. */
static float *
take_border (struct arena *a, size_t bytes)
{
  return (float *)((char *)arena_take (a, TENSOR_HEADER + bytes) +
                   TENSOR_HEADER);
}

static size_t
slot_bytes (const struct stage *s)
{
  size_t border = arena_round (TENSOR_HEADER + s->out_bytes);
  size_t sum = s->body ? arena_round (s->body_slot_bytes) + border : 0;
  if (stage_has_head (s))
    sum += stage_token_slot (s) + arena_round (s->head_slot_bytes) +
           arena_round (s->head_pair_bytes) + border +
           2 * arena_round (logits_bytes (s));
  return sum;
}

static void
fill_slot (struct stage *s, struct place *p)
{
  if (s->body) {
    p->body = arena_take (&s->slots, s->body_slot_bytes);
    p->y = take_border (&s->slots, s->out_bytes);
  }
  if (stage_has_head (s)) {
    p->head = arena_take (&s->slots, s->head_slot_bytes);
    p->head_pair = arena_take (&s->slots, s->head_pair_bytes);
    p->head_grad = take_border (&s->slots, s->out_bytes);
    if (stage_token_slot (s) > 0)
      p->chosen = arena_take (&s->slots, stage_token_slot (s));
    p->logits = arena_take (&s->slots, logits_bytes (s));
    p->d_logits = arena_take (&s->slots, logits_bytes (s));
  }
}

static enum status
make_slots (struct stage *s)
{
  TRY (MEM_NEW ((size_t)s->n_slots, &s->place, "slots"));
  TRY (MEM_NEW ((size_t)s->n_pairs, &s->pair, "pairs"));
  TRY (arena_open ((size_t)s->n_slots * slot_bytes (s), "slots", &s->slots));
  TRY (arena_open ((size_t)s->n_pairs * arena_round (s->body_pair_bytes),
                   "pairs", &s->pairs));
  for (int i = 0; i < s->n_slots; i++)
    fill_slot (s, &s->place[i]);
  for (int i = 0; i < s->n_pairs; i++)
    s->pair[i] = arena_take (&s->pairs, s->body_pair_bytes);
  return OK;
}

static enum status
make_rest (struct stage *s)
{
  size_t logits = s->head ? arena_round (logits_bytes (s)) : 0;
  size_t y = s->body ? arena_round (TENSOR_HEADER + s->out_bytes) : 0;
  s->scratch_bytes = larger (s->body ? s->body->scratch_bytes : 0,
                             s->head ? s->head->scratch_bytes : 0);
  s->scratch_bytes = larger (s->scratch_bytes, decoder_scratch (s));
  s->scratch_bytes += stage_token_scratch (s);
  kern_room_want (s->k, s->scratch_bytes);
  TRY (arena_open (y + logits, "place of evaluation", &s->rest));
  if (s->body)
    s->eval.y = take_border (&s->rest, s->out_bytes);
  if (s->head)
    s->eval.logits = arena_take (&s->rest, logits_bytes (s));
  return OK;
}

static enum status
make (struct stage *s, const struct stage_spec *spec)
{
  TRY (build (s, spec));
  s->in.n = s->out.n = spec->n_samples;
  s->in_bytes =
      kern_bytes (s->k, s->in, stage_is_first (s) ? KERN_PLAIN : s->inner);
  s->out_bytes = kern_bytes (s->k, s->out, s->inner);
  /* Sealed now, since primitives are needed to bring the first weights into
   * their layouts. */
  TRY (kern_seal (s->k));
  for (int part = 0; part < 2 && spec->n_twins > 1; part++)
    params_share (&s->params[part], spec->n_twins, spec->twin);
  for (int part = 0; part < 2; part++)
    TRY (params_make (&s->params[part], spec->seed, &spec->optimizer,
                      spec->training ? PARAMS_MOMENTS : PARAMS_VALUES));
  TRY (stage_token_shared (s));
  TRY (make_slots (s));
  TRY (make_rest (s));
  return kern_seal (s->k);
}

enum status
stage_create (struct kern *k, const struct stage_spec *spec, struct stage **out)
{
  struct stage *st = NULL;
  enum status s;
  char prefix[32];
  CHECK (spec->tuning && spec->n_samples >= 1, "a stage needs tuning, samples");
  CHECK (spec->unit_first >= 0 && spec->unit_first < spec->unit_end &&
             spec->unit_end <= network_units (spec->net),
         "stage %d: units %d..%d of %d", spec->k, spec->unit_first,
         spec->unit_end, network_units (spec->net));
  CHECK (!spec->training || (spec->n_slots >= 1 && spec->n_pairs >= 1),
         "stage %d: %d slots, %d pairs", spec->k, spec->n_slots, spec->n_pairs);
  TRY (MEM_NEW (1, &st, "stage"));
  st->k = k;
  st->spec = *spec;
  st->spec.tuning = NULL;
  st->spec.head = NULL;
  st->rows = network_family (spec->net)->rows;
  st->inner = st->rows ? KERN_LAST : kern_tuning_layout (spec->tuning);
  st->mode = spec->mode;
  st->n_slots = spec->training ? spec->n_slots : 0;
  st->n_pairs = spec->training ? spec->n_pairs : 0;
  bool last = spec->unit_end == network_units (spec->net);
  snprintf (prefix, sizeof prefix, last ? "" : "heads/%d/", spec->k);
  params_init (&st->params[STAGE_BODY], k, "");
  params_init (&st->params[STAGE_HEAD], k, prefix);
  params_init (&st->shared[STAGE_BODY], k, "");
  params_init (&st->shared[STAGE_HEAD], k, "");
  TRY_GOTO (make (st, spec), bad);
  *out = st;
  return OK;
bad:
  stage_destroy (&st);
  return s;
}

void
stage_destroy (struct stage **s)
{
  struct stage *st = *s;
  if (!st)
    return;
  layer_destroy (&st->body);
  layer_destroy (&st->head);
  layer_destroy (&st->rebuild.decoder);
  kern_linear_destroy (&st->project.linear);
  params_clear (&st->params[STAGE_BODY]);
  params_clear (&st->params[STAGE_HEAD]);
  params_clear (&st->shared[STAGE_BODY]);
  params_clear (&st->shared[STAGE_HEAD]);
  arena_close (&st->cache);
  arena_close (&st->slots);
  arena_close (&st->pairs);
  arena_close (&st->rest);
  for (int i = 0; st->place && i < st->n_slots; i++)
    mem_free (&st->place[i].input);
  mem_free (&st->eval.input);
  mem_free (&st->place);
  mem_free (&st->pair);
  mem_free (s);
}

void
stage_memory (const struct stage *s, size_t bytes[5])
{
  bytes[0] = s->params[0].memory.size + s->params[1].memory.size +
             s->shared[0].memory.size + s->shared[1].memory.size;
  bytes[1] = s->slots.size;
  bytes[2] = s->pairs.size;
  bytes[3] = s->rest.size + s->input_bytes + s->cache.size;
  bytes[4] = s->scratch_bytes;
}
