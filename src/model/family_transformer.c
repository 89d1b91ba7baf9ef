/* model/family_transformer.c -- Transformers: embedding, layers, output.
 *
 * Causal attention, and a norm in front of each branch.  As GPT-2: LayerNorm,
 * learned positions, GELU in tanh form; as Llama: RMSNorm, rotary positions,
 * SwiGLU, fewer heads of keys and values; or anything between.  The norm
 * decides whose names tensors have, and that linear layers have a bias
 * (LayerNorm) or not.  Dims of one sample: {1, D, T, 1}.
 */
#include "model/family.h"
#include "model/recipe_impl.h"
#include <math.h>
#include <stdio.h>

/* -- specs ----------------------------------------------------------------- */

#define GPT .mlp_ratio = 4
#define LLAMA \
  .norm = MODEL_RMSNORM, .mlp = MODEL_SWIGLU, .positions = MODEL_ROPE
/* The last three are the sizes of the models that go with karpathy/llama2.c;
 * their hidden widths are 768, 1376 and 2048. */
static const struct {
  const char *name;
  struct model_spec spec;
} presets[] = {
    {"gpt-nano",
     {GPT, .layers = 6, .d_model = 256, .heads = 8, .context = 256}},
    {"gpt2", {GPT, .layers = 12, .d_model = 768, .heads = 12, .context = 1024}},
    {"llama-nano",
     {LLAMA, .layers = 4, .d_model = 128, .heads = 4, .kv_heads = 2,
      .context = 256, .mlp_ratio = 2.75}},
    {"llama-15m",
     {LLAMA, .layers = 6, .d_model = 288, .heads = 6, .context = 256,
      .mlp_ratio = 8.0 / 3}},
    {"llama-42m",
     {LLAMA, .layers = 8, .d_model = 512, .heads = 8, .context = 1024,
      .mlp_ratio = 2.6875}},
    {"llama-110m",
     {LLAMA, .layers = 12, .d_model = 768, .heads = 12, .context = 1024,
      .mlp_ratio = 8.0 / 3}},
};
#define PRESETS (sizeof presets / sizeof presets[0])

static const char *
transformer_preset (size_t i, struct model_spec *out)
{
  if (i >= PRESETS)
    return NULL;
  const struct model_spec *p = &presets[i].spec;
  if (!out)
    return presets[i].name;
  out->layers = p->layers;
  out->d_model = p->d_model;
  out->heads = p->heads;
  out->context = p->context;
  out->norm = p->norm;
  out->mlp = p->mlp;
  out->positions = p->positions;
  out->kv_heads = p->kv_heads;
  out->qk_norm = false;
  out->mlp_ratio = p->mlp_ratio;
  out->dropout = 0;
  out->tied = true;
  return presets[i].name;
}

/* Heads of keys and values. */
static int
kv_heads (const struct model_spec *s)
{
  return s->kv_heads > 0 ? s->kv_heads : s->heads;
}

static int64_t
hidden (const struct model_spec *s)
{
  return llround (s->mlp_ratio * (double)s->d_model);
}

static enum status
transformer_check (const struct model_spec *s)
{
  if (s->layers < 1 || s->d_model < 1 || s->heads < 1 || s->context < 1 ||
      s->classes < 1)
    return fail (E_CONFIG,
                 "a Transformer of %d layers, d_model %d, %d heads, context "
                 "%d and %d words: all must be at least 1",
                 s->layers, s->d_model, s->heads, s->context, s->classes);
  if (s->d_model % s->heads != 0)
    return fail (E_CONFIG,
                 "model.heads = %d does not divide model.d_model = %d",
                 s->heads, s->d_model);
  if (s->heads % kv_heads (s) != 0)
    return fail (
        E_CONFIG,
        "model.kv_heads = %d does not divide model.heads = %d: as many "
        "heads of queries go with each",
        s->kv_heads, s->heads);
  if (s->positions == MODEL_ROPE && s->d_model / s->heads % 2 != 0)
    return fail (
        E_CONFIG,
        "model.positions = rope turns numbers in pairs: model.d_model = "
        "%d / model.heads = %d is %d, which is odd",
        s->d_model, s->heads, s->d_model / s->heads);
  if (!(s->mlp_ratio * s->d_model >= 1) || !(s->mlp_ratio <= 1024))
    return fail (E_CONFIG, "model.mlp_ratio = %g is out of range",
                 s->mlp_ratio);
  if (!(s->dropout >= 0 && s->dropout < 1))
    return fail (E_CONFIG, "model.dropout = %g is not from 0 to below 1",
                 s->dropout);
  if (!(s->head_tokens >= 0 && s->head_tokens <= 1))
    return fail (E_CONFIG, "stages.head_tokens = %g is not in 0 .. 1",
                 s->head_tokens);
  return OK;
}

static bool
transformer_same (const struct model_spec *a, const struct model_spec *b)
{
  return a->layers == b->layers && a->d_model == b->d_model &&
         a->tied == b->tied && a->norm == b->norm && a->mlp == b->mlp &&
         a->positions == b->positions && a->qk_norm == b->qk_norm &&
         kv_heads (a) * b->heads == kv_heads (b) * a->heads &&
         hidden (a) == hidden (b);
}

/* -- names ----------------------------------------------------------------- */

/* Of tensors, "ROOT.LAYER.OF.PART.weight": those of two libraries' models. */
static const struct naming {
  const char *root, *layer;
  const char *table, *place;                  /* of the embedding */
  const char *norm[2], *last_norm;            /* of the branches; the last */
  const char *attention, *qkv[3], *q_norm[2]; /* qkv[1] NULL: one matrix */
  const char *attention_exit;
  const char *gate, *up, *down;
} gpt2 = {.root = "transformer",
          .layer = "h.%d",
          .table = "wte",
          .place = "wpe",
          .norm = {"ln_1", "ln_2"},
          .last_norm = "ln_f",
          .attention = "attn",
          .qkv = {"c_attn"},
          .q_norm = {"q_norm", "k_norm"},
          .attention_exit = "c_proj",
          .gate = "c_gate",
          .up = "c_fc",
          .down = "c_proj"},
  llama = {.root = "model",
           .layer = "layers.%d",
           .table = "embed_tokens",
           .place = "embed_positions",
           .norm = {"input_layernorm", "post_attention_layernorm"},
           .last_norm = "norm",
           .attention = "self_attn",
           .qkv = {"q_proj", "k_proj", "v_proj"},
           .q_norm = {"q_norm", "k_norm"},
           .attention_exit = "o_proj",
           .gate = "gate_proj",
           .up = "up_proj",
           .down = "down_proj"};

static const struct naming *
naming_of (const struct model_spec *spec)
{
  return spec->norm == MODEL_RMSNORM ? &llama : &gpt2;
}

/* "transformer.h.3" and a part of it; part NULL: "transformer.h.3.OF". */
static void
name_of (const struct recipe *r, const struct model_spec *spec, const char *of,
         const char *part, char name[RECIPE_NAME])
{
  snprintf (name, RECIPE_NAME, "%s.%.12s.%.24s%s%.14s", naming_of (spec)->root,
            r->name, of, part ? "." : "", part ? part : "");
}

/* -- units ----------------------------------------------------------------- */

/* The step's name is what its random numbers depend on. */
static void
add_dropout (struct recipe *r, const struct model_spec *spec, const char *name)
{
  if (spec->dropout > 0)
    recipe_add (r, RECIPE_DROPOUT, name)->drop = spec->dropout;
}

static void
embedding_unit (struct recipe *r, const struct model_spec *spec)
{
  const struct naming *n = naming_of (spec);
  char name[RECIPE_NAME];
  recipe_init (r, "embedding", (struct kern_dims){1, 1, spec->context, 1});
  struct recipe_step *s = recipe_add (r, RECIPE_EMBED, n->root);
  s->words = spec->classes;
  s->shared = spec->tied;
  s->n_parts = spec->positions == MODEL_LEARNED ? 2 : 1;
  s->part[0].name = n->table;
  s->part[1].name = n->place;
  s->out.c = spec->d_model;
  r->out = s->out;
  snprintf (name, sizeof name, "%s.drop", n->root);
  add_dropout (r, spec, name);
}

/* A matrix, or several below each other, up to one without a name. */
static struct recipe_step *
add_dense (struct recipe *r, const struct model_spec *spec, const char *of,
           const struct recipe_part *part)
{
  char name[RECIPE_NAME];
  name_of (r, spec, of, NULL, name);
  struct recipe_step *s = recipe_dense (r, name, 0);
  s->bias = spec->norm == MODEL_LAYERNORM;
  for (; s->n_parts < RECIPE_PARTS && part->name; part++) {
    s->part[s->n_parts++] = *part;
    s->out.c += part->out_c;
  }
  r->out = s->out;
  return s;
}

/* One that ends in the residual stream.  2 x layers of them add up there:
 * scaled, the stream's spread does not grow with their number (GPT-2). */
static void
add_exit (struct recipe *r, const struct model_spec *spec, const char *of,
          const char *part)
{
  const struct recipe_part one[] = {{part, spec->d_model}, {NULL, 0}};
  struct recipe_step *s = add_dense (r, spec, of, one);
  if (spec->residual_scaled)
    s->smaller = sqrt (2.0 * spec->layers);
}

static void
begin_branch (struct recipe *r, const struct model_spec *spec, int branch)
{
  char name[RECIPE_NAME];
  name_of (r, spec, naming_of (spec)->norm[branch], NULL, name);
  recipe_add (r, RECIPE_BRANCH, "");
  recipe_norm (r, spec, name);
}

static void
end_branch (struct recipe *r, const struct model_spec *spec, const char *of,
            const char *drop)
{
  char name[RECIPE_NAME];
  name_of (r, spec, of, drop, name);
  add_dropout (r, spec, name);
  recipe_add (r, RECIPE_JOIN, "");
}

/* What is done to queries and keys before they meet. */
static void
add_qk (struct recipe *r, const struct model_spec *spec)
{
  const struct naming *n = naming_of (spec);
  char name[RECIPE_NAME];
  if (spec->positions != MODEL_ROPE && !spec->qk_norm)
    return;
  name_of (r, spec, n->attention, NULL, name);
  struct recipe_step *s = recipe_add (r, RECIPE_QK, name);
  s->heads = spec->heads;
  s->kv_heads = kv_heads (spec);
  s->turned = spec->positions == MODEL_ROPE;
  s->normed = spec->qk_norm;
  s->n_parts = s->normed ? 2 : 0;
  s->part[0].name = n->q_norm[0];
  s->part[1].name = n->q_norm[1];
}

static void
attention_branch (struct recipe *r, const struct model_spec *spec)
{
  const struct naming *n = naming_of (spec);
  const int64_t d = spec->d_model, d_kv = d / spec->heads * kv_heads (spec);
  const struct recipe_part one[] = {{n->qkv[0], d + 2 * d_kv}, {NULL, 0}};
  const struct recipe_part each[] = {
      {n->qkv[0], d}, {n->qkv[1], d_kv}, {n->qkv[2], d_kv}};
  char name[RECIPE_NAME];
  begin_branch (r, spec, 0);
  add_dense (r, spec, n->attention, n->qkv[1] ? each : one);
  add_qk (r, spec);
  name_of (r, spec, n->attention, "attn_dropout", name);
  struct recipe_step *s = recipe_add (r, RECIPE_ATTENTION, name);
  s->heads = spec->heads;
  s->kv_heads = kv_heads (spec);
  s->drop = spec->dropout;
  s->out.c = d;
  r->out = s->out;
  add_exit (r, spec, n->attention, n->attention_exit);
  end_branch (r, spec, n->attention, "resid_dropout");
}

static void
mlp_branch (struct recipe *r, const struct model_spec *spec)
{
  const struct naming *n = naming_of (spec);
  const int64_t wide = hidden (spec);
  const struct recipe_part up[] = {{n->up, wide}, {NULL, 0}};
  const struct recipe_part gated[] = {
      {n->gate, wide}, {n->up, wide}, {NULL, 0}};
  begin_branch (r, spec, 1);
  if (spec->mlp == MODEL_SWIGLU) {
    add_dense (r, spec, "mlp", gated);
    struct recipe_step *s = recipe_add (r, RECIPE_SWIGLU, "");
    s->out.c = wide;
    r->out = s->out;
  } else {
    add_dense (r, spec, "mlp", up);
    recipe_add (r, RECIPE_GELU, "");
  }
  add_exit (r, spec, "mlp", n->down);
  end_branch (r, spec, "mlp", "dropout");
}

static void
layer_unit (struct recipe *r, const struct model_spec *spec, int index,
            struct kern_dims in)
{
  char name[RECIPE_NAME];
  snprintf (name, sizeof name, naming_of (spec)->layer, index);
  recipe_init (r, name, in);
  attention_branch (r, spec);
  mlp_branch (r, spec);
}

static void
output_unit (struct recipe *r, const struct model_spec *spec,
             struct kern_dims in)
{
  const struct naming *n = naming_of (spec);
  char name[RECIPE_NAME];
  recipe_init (r, "output", in);
  snprintf (name, sizeof name, "%s.%s", n->root, n->last_norm);
  recipe_norm (r, spec, name);
  recipe_project (r, recipe_shared_name (spec), spec->classes, spec->tied, 1);
}

static int
transformer_units (const struct model_spec *s)
{
  return s->layers + 2; /* embedding and output */
}

static void
transformer_make (const struct model_spec *s, struct recipe *unit)
{
  embedding_unit (unit, s);
  for (int i = 0; i < s->layers; i++, unit++)
    layer_unit (&unit[1], s, i, unit->out);
  output_unit (&unit[1], s, unit->out);
}

/* The output's own, then by way of half the width, a quarter ... to 16 numbers:
 * an output matrix of that rank. */
static bool
transformer_head (int i, struct kern_dims out, char grammar[NETWORK_HEAD])
{
  enum { LEAST = 16 };
  const int64_t rank = i < 31 ? out.c >> i : 0;
  if (i == 0)
    snprintf (grammar, NETWORK_HEAD, "ln-fc");
  else
    snprintf (grammar, NETWORK_HEAD, "ln-rank%lld-fc", (long long)rank);
  return i == 0 || rank >= LEAST;
}

static const char *
transformer_ending (const struct model_spec *s)
{
  (void)s;
  return "ln-fc";
}

static const struct head_word *const words[] = {
    &head_like, &head_ln, &head_dense, &head_rank, &head_shared, NULL};

const struct family family_transformer = {
    .name = "transformer",
    .called = "a Transformer",
    .parts = "embedding, layers",
    .data = "tokens",
    .prefix = {"transformer.", "model."},
    .rows = true,
    .language = true,
    .preset = transformer_preset,
    .check = transformer_check,
    .units = transformer_units,
    .make = transformer_make,
    .same = transformer_same,
    .head = transformer_head,
    .ending = transformer_ending,
    .words = words,
};
