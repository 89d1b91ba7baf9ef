/* model/recipe.c -- units written as lists of steps.
 *
 * Steps and names are those of torchvision's ResNet, version 1.5: the stride of
 * a bottleneck sits in its 3x3 convolution.  No memory is touched here.
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
recipe_linear (struct recipe *r, const char *name, int64_t out_c)
{
  struct recipe_step *s = recipe_add (r, RECIPE_LINEAR, name);
  s->bias = true;
  s->flat = true;
  s->out.c = out_c;
  r->out = s->out;
}

/* -- units ----------------------------------------------------------------- */

void
recipe_stem (struct recipe *r, const struct model_spec *spec)
{
  bool imagenet = spec->stem == MODEL_STEM_IMAGENET;
  int width = spec->stem_width ? spec->stem_width : spec->width[0];
  recipe_init (
      r, "stem",
      (struct kern_dims){1, spec->channels, spec->height, spec->width_px});
  recipe_conv (r, "conv1", width, imagenet ? 7 : 3, imagenet ? 2 : 1, false);
  r->path[0].plain = true;
  recipe_bn (r, "bn1", true);
  if (imagenet)
    recipe_maxpool (r, 3, 2, 1);
}

/* A 1x1 convolution and its BN beside the path, made in a recipe of its own so
 * that dims follow by the same rules. */
static void
add_shortcut (struct recipe *r, int64_t out_c, int stride)
{
  struct recipe side;
  char name[RECIPE_NAME + 16];
  recipe_init (&side, r->name, r->in);
  snprintf (name, sizeof name, "%s.downsample.0", r->name);
  recipe_conv (&side, name, out_c, 1, stride, false);
  snprintf (name, sizeof name, "%s.downsample.1", r->name);
  recipe_bn (&side, name, false);
  r->n_skip = side.n_path;
  memcpy (r->skip, side.path, sizeof r->skip);
}

void
recipe_block (struct recipe *r, const struct model_spec *spec, int group,
              int index, struct kern_dims in)
{
  const bool basic = spec->block == MODEL_BASIC;
  const int width = spec->width[group], n = basic ? 2 : 3;
  const int64_t out_c = basic ? width : 4 * (int64_t)width;
  const int stride = group > 0 && index == 0 ? 2 : 1;
  const int kernels[2][3] = {{3, 3, 0}, {1, 3, 1}};
  const int strided = basic ? 0 : 1;
  char name[RECIPE_NAME];
  snprintf (name, sizeof name, "layer%d.%d", group + 1, index);
  recipe_init (r, name, in);
  r->residual = true;
  for (int i = 0; i < n; i++) {
    char part[RECIPE_NAME + 16];
    snprintf (part, sizeof part, "%s.conv%d", r->name, i + 1);
    recipe_conv (r, part, i == n - 1 ? out_c : width, kernels[!basic][i],
                 i == strided ? stride : 1, false);
    snprintf (part, sizeof part, "%s.bn%d", r->name, i + 1);
    recipe_bn (r, part, i < n - 1);
  }
  if (stride != 1 || in.c != out_c)
    add_shortcut (r, out_c, stride);
}

void
recipe_output (struct recipe *r, const struct model_spec *spec,
               struct kern_dims in)
{
  recipe_init (r, "output", in);
  recipe_gap (r);
  recipe_linear (r, "fc", spec->classes);
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
