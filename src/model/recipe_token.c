/* model/recipe_token.c -- the units of a Transformer as lists of steps.
 *
 * Steps and names are GPT-2's: pre-LayerNorm, learned positions, causal
 * attention, GELU in tanh form.  Dims of one sample: {1, width, T, 1}.
 */
#include "model/recipe_impl.h"
#include <math.h>
#include <stdio.h>

const char *
recipe_shared_name (const struct model_spec *spec)
{
  return spec->tied ? "transformer.wte" : "lm_head";
}

void
recipe_norm (struct recipe *r, const char *name)
{
  recipe_add (r, RECIPE_NORM, name);
}

void
recipe_dense (struct recipe *r, const char *name, int64_t out_c)
{
  struct recipe_step *s = recipe_add (r, RECIPE_DENSE, name);
  s->bias = true;
  s->out.c = out_c;
  r->out = s->out;
}

void
recipe_rectify (struct recipe *r)
{
  recipe_add (r, RECIPE_RECTIFY, "");
}

void
recipe_project (struct recipe *r, const char *name, int64_t words, bool shared,
                double share)
{
  struct recipe_step *s = recipe_add (r, RECIPE_PROJECT, name);
  s->shared = shared;
  s->share = share;
  s->out.c = words;
  r->out = s->out;
}

/* The step's name is what its random numbers depend on. */
static void
add_dropout (struct recipe *r, const struct model_spec *spec, const char *name)
{
  if (spec->dropout > 0)
    recipe_add (r, RECIPE_DROPOUT, name)->drop = spec->dropout;
}

void
recipe_embedding (struct recipe *r, const struct model_spec *spec)
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

void
recipe_layer (struct recipe *r, const struct model_spec *spec, int index,
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
  add_dense (r, "attn.c_proj", d);
  end_branch (r, spec, "attn.resid_dropout");
  begin_branch (r, "ln_2");
  add_dense (r, "mlp.c_fc", llround (spec->mlp_ratio * (double)d));
  recipe_add (r, RECIPE_GELU, "");
  add_dense (r, "mlp.c_proj", d);
  end_branch (r, spec, "mlp.dropout");
}

void
recipe_token_output (struct recipe *r, const struct model_spec *spec,
                     struct kern_dims in)
{
  recipe_init (r, "output", in);
  recipe_norm (r, "transformer.ln_f");
  recipe_project (r, recipe_shared_name (spec), spec->classes, spec->tied, 1);
}

const struct recipe_step *
recipe_projects (const struct recipe *r)
{
  const struct recipe_step *s = r->n_path > 0 ? &r->path[r->n_path - 1] : NULL;
  return s && s->kind == RECIPE_PROJECT ? s : NULL;
}
