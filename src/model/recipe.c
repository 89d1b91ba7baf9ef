/* model/recipe.c -- units written as lists of steps.
 *
 * Steps can be added to any recipe; which ones a unit has is the family's
 * affair.  No memory is touched here.
 */
#include "model/recipe_impl.h"
#include <stdio.h>
#include <string.h>

void
recipe_init (struct recipe *r, const char *name, struct kern_dims in)
{
  *r = (struct recipe){.in = in, .out = in};
  snprintf (r->name, sizeof r->name, "%s", name);
}

struct recipe_step *
recipe_add (struct recipe *r, enum recipe_kind kind, const char *name)
{
  CHECK (r->n_path < RECIPE_STEPS, "recipe %s has too many steps", r->name);
  struct recipe_step *s = &r->path[r->n_path++];
  *s = (struct recipe_step){.kind = kind, .in = r->out, .out = r->out};
  s->flat = r->n_path > 1 && s[-1].flat;
  s->last = r->n_path > 1 && s[-1].last;
  snprintf (s->name, sizeof s->name, "%s", name);
  return s;
}

void
recipe_conv (struct recipe *r, const char *name, int64_t out_c, int kernel,
             int stride, bool bias)
{
  struct recipe_step *s = recipe_add (r, RECIPE_CONV, name);
  s->kernel = kernel;
  s->stride = stride;
  s->pad = kernel / 2;
  s->bias = bias;
  s->out.c = out_c;
  s->out.h = kern_conv_out (s->in.h, kernel, stride, s->pad);
  s->out.w = kern_conv_out (s->in.w, kernel, stride, s->pad);
  r->out = s->out;
}

void
recipe_bn (struct recipe *r, const char *name, bool relu)
{
  struct recipe_step *s = recipe_add (r, RECIPE_BN, name);
  s->relu = relu;
  if (r->n_path > 1) /* a convolution */
    s[-1].normalised = true;
}

void
recipe_relu (struct recipe *r)
{
  recipe_add (r, RECIPE_RELU, "");
}

void
recipe_maxpool (struct recipe *r, int kernel, int stride, int pad)
{
  struct recipe_step *s = recipe_add (r, RECIPE_MAXPOOL, "");
  s->kernel = kernel;
  s->stride = stride;
  s->pad = pad;
  s->out.h = kern_conv_out (s->in.h, kernel, stride, pad);
  s->out.w = kern_conv_out (s->in.w, kernel, stride, pad);
  r->out = s->out;
}

void
recipe_gap (struct recipe *r)
{
  struct recipe_step *s = recipe_add (r, RECIPE_GAP, "");
  s->out.h = s->out.w = 1;
  s->flat = true;
  r->out = s->out;
}

void
recipe_mean (struct recipe *r, int64_t side)
{
  struct recipe_step *s = recipe_add (r, RECIPE_MEAN, "");
  s->out.h = s->out.w = side;
  r->out = s->out;
}

void
recipe_bilinear (struct recipe *r, int64_t h, int64_t w)
{
  struct recipe_step *s = recipe_add (r, RECIPE_BILINEAR, "");
  s->out.h = h;
  s->out.w = w;
  s->last = true;
  r->out = s->out;
}

/* [C, H, W] to [C H W]. */
static void
flatten (struct recipe *r)
{
  struct recipe_step *s = recipe_add (r, RECIPE_FLATTEN, "");
  s->out = (struct kern_dims){1, s->in.c * s->in.h * s->in.w, 1, 1};
  s->flat = true;
  r->out = s->out;
}

void
recipe_linear (struct recipe *r, const char *name, int64_t out_c)
{
  if (r->n_path == 0 || !r->path[r->n_path - 1].flat)
    flatten (r);
  struct recipe_step *s = recipe_add (r, RECIPE_LINEAR, name);
  s->bias = true;
  s->flat = true;
  s->out.c = out_c;
  r->out = s->out;
}

/* Names are PyTorch's of a Sequential of convolution, norm, ReLU, convolution.
 */
void
recipe_decoder (struct recipe *r, const struct model_spec *spec,
                struct kern_dims in)
{
  enum { WIDTH = 12 };
  recipe_init (r, "decoder", in);
  recipe_bilinear (r, spec->height, spec->width_px);
  recipe_conv (r, "rec.0", WIDTH, 3, 1, true);
  recipe_bn (r, "rec.1", true);
  recipe_conv (r, "rec.3", spec->channels, 3, 1, true);
}

/* -- steps over rows --------------------------------------------------------
 */

const char *
recipe_shared_name (const struct model_spec *spec)
{
  return !spec->tied                   ? "lm_head"
         : spec->norm == MODEL_RMSNORM ? "model.embed_tokens"
                                       : "transformer.wte";
}

void
recipe_norm (struct recipe *r, const struct model_spec *spec, const char *name)
{
  recipe_add (r, spec->norm == MODEL_RMSNORM ? RECIPE_RMS : RECIPE_NORM, name);
}

struct recipe_step *
recipe_dense (struct recipe *r, const char *name, int64_t out_c)
{
  struct recipe_step *s = recipe_add (r, RECIPE_DENSE, name);
  s->bias = true;
  s->out.c = out_c;
  r->out = s->out;
  return s;
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

void
recipe_normal (struct recipe *r, enum model_border how, bool rows)
{
  struct recipe_step *s = recipe_add (r, RECIPE_BORDER, "");
  s->centred = how == MODEL_BORDER_LN;
  s->each = rows ? s->in.c : s->in.c * s->in.h * s->in.w;
}

void
recipe_border (struct recipe *r, enum model_border border, struct kern_dims in,
               bool rows)
{
  recipe_init (r, "border", in);
  recipe_normal (r, border, rows);
}

/* -- walking and counting -------------------------------------------------- */

int
recipe_steps (const struct recipe *r)
{
  return r->n_path + r->n_skip;
}

const struct recipe_step *
recipe_step_at (const struct recipe *r, int i)
{
  return i < r->n_path ? &r->path[i] : &r->skip[i - r->n_path];
}

struct kern_conv_shape
recipe_shape (const struct recipe_step *s, int64_t n, enum kern_layout l)
{
  l = s->last ? KERN_LAST : l;
  return (struct kern_conv_shape){.n = n,
                                  .c = s->in.c,
                                  .h = s->in.h,
                                  .w = s->in.w,
                                  .out_c = s->out.c,
                                  .kernel = s->kernel,
                                  .stride = s->stride,
                                  .pad = s->pad,
                                  .bias = s->bias,
                                  .src = s->plain ? KERN_PLAIN : l,
                                  .dst = l};
}

const struct recipe_step *
recipe_projects (const struct recipe *r)
{
  const struct recipe_step *s = r->n_path > 0 ? &r->path[r->n_path - 1] : NULL;
  return s && s->kind == RECIPE_PROJECT ? s : NULL;
}
