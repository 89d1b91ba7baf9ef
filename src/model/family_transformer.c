/* model/family_transformer.c -- Transformers: embedding, layers, output.
 *
 * Steps and names are GPT-2's: pre-LayerNorm, learned positions, causal
 * attention, GELU in tanh form.  Dims of one sample: {1, D, T, 1}.
 */
#include "model/family.h"
#include "model/recipe_impl.h"
#include <math.h>
#include <stdio.h>

/* -- specs ----------------------------------------------------------------- */

struct preset {
  const char *name;
  int layers, d_model, heads, context;
};
static const struct preset presets[] = {
    {"gpt-nano", 6, 256, 8, 256},
    {"gpt2", 12, 768, 12, 1024},
};
#define PRESETS (sizeof presets / sizeof presets[0])

static const char *
transformer_preset (size_t i, struct model_spec *out)
{
  if (i >= PRESETS)
    return NULL;
  const struct preset *p = &presets[i];
  if (!out)
    return p->name;
  out->layers = p->layers;
  out->d_model = p->d_model;
  out->heads = p->heads;
  out->context = p->context;
  out->mlp_ratio = 4;
  out->dropout = 0;
  out->tied = true;
  return p->name;
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
         a->tied == b->tied &&
         lround (a->mlp_ratio * a->d_model) ==
             lround (b->mlp_ratio * b->d_model);
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
  recipe_init (r, "embedding", (struct kern_dims){1, 1, spec->context, 1});
  struct recipe_step *s = recipe_add (r, RECIPE_EMBED, "transformer");
  s->words = spec->classes;
  s->shared = spec->tied;
  s->out.c = spec->d_model;
  r->out = s->out;
  add_dropout (r, spec, "transformer.drop");
}

/* "transformer.h.3" and a part of it. */
static void
part_of (const struct recipe *r, const char *part, char name[RECIPE_NAME])
{
  snprintf (name, RECIPE_NAME, "transformer.%.12s.%.20s", r->name, part);
}

static void
add_dense (struct recipe *r, const char *part, int64_t out_c)
{
  char name[RECIPE_NAME];
  part_of (r, part, name);
  recipe_dense (r, name, out_c);
}

/* The one that ends in the residual stream.  2 x layers of them add up there:
 * scaled, the stream's spread does not grow with their number (GPT-2). */
static void
add_exit (struct recipe *r, const struct model_spec *spec, const char *part)
{
  char name[RECIPE_NAME];
  part_of (r, part, name);
  struct recipe_step *s = recipe_dense (r, name, spec->d_model);
  if (spec->residual_scaled)
    s->smaller = sqrt (2.0 * spec->layers);
}

static void
begin_branch (struct recipe *r, const char *norm)
{
  char name[RECIPE_NAME];
  part_of (r, norm, name);
  recipe_add (r, RECIPE_BRANCH, "");
  recipe_norm (r, name);
}

static void
end_branch (struct recipe *r, const struct model_spec *spec, const char *drop)
{
  char name[RECIPE_NAME];
  part_of (r, drop, name);
  add_dropout (r, spec, name);
  recipe_add (r, RECIPE_JOIN, "");
}

static void
layer_unit (struct recipe *r, const struct model_spec *spec, int index,
            struct kern_dims in)
{
  const int64_t d = spec->d_model;
  char name[RECIPE_NAME];
  snprintf (name, sizeof name, "h.%d", index);
  recipe_init (r, name, in);
  begin_branch (r, "ln_1");
  add_dense (r, "attn.c_attn", 3 * d);
  part_of (r, "attn.attn_dropout", name);
  struct recipe_step *s = recipe_add (r, RECIPE_ATTENTION, name);
  s->heads = spec->heads;
  s->drop = spec->dropout;
  s->out.c = d;
  r->out = s->out;
  add_exit (r, spec, "attn.c_proj");
  end_branch (r, spec, "attn.resid_dropout");
  begin_branch (r, "ln_2");
  add_dense (r, "mlp.c_fc", llround (spec->mlp_ratio * (double)d));
  recipe_add (r, RECIPE_GELU, "");
  add_exit (r, spec, "mlp.c_proj");
  end_branch (r, spec, "mlp.dropout");
}

static void
output_unit (struct recipe *r, const struct model_spec *spec,
             struct kern_dims in)
{
  recipe_init (r, "output", in);
  recipe_norm (r, "transformer.ln_f");
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
    .prefix = "transformer.",
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
