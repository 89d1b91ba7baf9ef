/* model/family_resnet.c -- ResNets: stem, residual blocks in groups, output.
 *
 * Units, steps and names are those of torchvision's ResNet, version 1.5: the
 * stride of a bottleneck sits in its 3x3 convolution.  Blocks that normalise
 * first (order pre) have the same names; the output's normalisation is `bn`.
 */
#include "model/family.h"
#include "model/recipe_impl.h"
#include "base/text.h"
#include <stdio.h>
#include <string.h>

/* -- specs ----------------------------------------------------------------- */

struct preset {
  const char *name;
  enum model_block block;
  enum model_order order;
  enum model_stem stem;
  int stem_width, n_groups;
  int width[4], blocks[4];
};

/* clang-format off */
#define CIFAR(block, order, wide)    block, order, MODEL_STEM_CIFAR, wide, 3
#define IMAGENET(block)              block, MODEL_POST, MODEL_STEM_IMAGENET, 64, 4
#define NARROW { 16, 32, 64 }
#define WIDE   { 64, 128, 256, 512 }
static const struct preset presets[] = {
  { "resnet20",   CIFAR (MODEL_BASIC, MODEL_POST, 16), NARROW, { 3, 3, 3 } },
  { "resnet32",   CIFAR (MODEL_BASIC, MODEL_POST, 16), NARROW, { 5, 5, 5 } },
  { "resnet44",   CIFAR (MODEL_BASIC, MODEL_POST, 16), NARROW, { 7, 7, 7 } },
  { "resnet56",   CIFAR (MODEL_BASIC, MODEL_POST, 16), NARROW, { 9, 9, 9 } },
  { "resnet110",  CIFAR (MODEL_BASIC, MODEL_POST, 16), NARROW, { 18, 18, 18 } },
  { "resnet18",   IMAGENET (MODEL_BASIC), WIDE, { 2, 2, 2, 2 } },
  { "resnet34",   IMAGENET (MODEL_BASIC), WIDE, { 3, 4, 6, 3 } },
  { "resnet50",   IMAGENET (MODEL_BOTTLENECK), WIDE, { 3, 4, 6, 3 } },
  { "resnet101",  IMAGENET (MODEL_BOTTLENECK), WIDE, { 3, 4, 23, 3 } },
  { "resnet152",  IMAGENET (MODEL_BOTTLENECK), WIDE, { 3, 8, 36, 3 } },
  { "resnet164",  CIFAR (MODEL_BOTTLENECK, MODEL_PRE, 16), NARROW,
    { 18, 18, 18 } },
  { "resnet1001", CIFAR (MODEL_BOTTLENECK, MODEL_PRE, 16), NARROW,
    { 111, 111, 111 } },
  { "wrn-28-10",  CIFAR (MODEL_BASIC, MODEL_PRE, 16), { 160, 320, 640 },
    { 4, 4, 4 } },
};
/* clang-format on */
#define PRESETS (sizeof presets / sizeof presets[0])

static const char *
resnet_preset (size_t i, struct model_spec *out)
{
  if (i >= PRESETS)
    return NULL;
  const struct preset *p = &presets[i];
  if (!out)
    return p->name;
  out->block = p->block;
  out->stem = p->stem;
  out->stem_width = p->stem_width;
  out->order = p->order;
  out->n_groups = p->n_groups;
  for (int g = 0; g < MODEL_GROUPS; g++) {
    out->width[g] = g < p->n_groups ? p->width[g] : 0;
    out->blocks[g] = g < p->n_groups ? p->blocks[g] : 0;
  }
  return p->name;
}

/* "16x5" */
static bool
group_word (char *word, int *width, int *blocks)
{
  const int64_t most = 1 << 16;
  int64_t w, b;
  char *x = strchr (word, 'x');
  if (!x)
    return false;
  *x = '\0';
  bool good = text_to_long (word, &w) && text_to_long (x + 1, &b) && w >= 1 &&
              b >= 1 && w <= most && b <= 1024;
  *x = 'x';
  if (good) {
    *width = (int)w;
    *blocks = (int)b;
  }
  return good;
}

enum status
model_spec_groups (const char *groups, struct model_spec *spec)
{
  int width[MODEL_GROUPS] = {0}, blocks[MODEL_GROUPS] = {0}, n = 0;
  const char *at = groups;
  for (;; at++) {
    char word[32];
    if (n == MODEL_GROUPS)
      return fail (E_CONFIG, "groups \"%s\": more than %d groups", groups,
                   MODEL_GROUPS);
    if (!text_piece (&at, word, sizeof word) ||
        !group_word (word, &width[n], &blocks[n]))
      return fail (E_CONFIG,
                   "groups \"%s\": group %d is not WIDTHxBLOCKS, as in 16x5",
                   groups, n + 1);
    n++;
    if (*at == '\0')
      break;
  }
  spec->n_groups = n;
  memcpy (spec->width, width, sizeof width);
  memcpy (spec->blocks, blocks, sizeof blocks);
  return OK;
}

static enum status
resnet_check (const struct model_spec *s)
{
  if (s->n_groups < 1 || s->n_groups > MODEL_GROUPS)
    return fail (E_CONFIG, "a network needs 1 to %d groups, not %d",
                 MODEL_GROUPS, s->n_groups);
  for (int g = 0; g < s->n_groups; g++)
    if (s->width[g] < 1 || s->blocks[g] < 1)
      return fail (E_CONFIG,
                   "group %d: width %d and %d blocks: both must be "
                   "at least 1",
                   g + 1, s->width[g], s->blocks[g]);
  if (s->stem_width < 0)
    return fail (E_CONFIG, "stem_width %d is negative", s->stem_width);
  if (s->classes < 1 || s->channels < 1)
    return fail (E_CONFIG,
                 "%d classes and %d image channels: both must be at "
                 "least 1",
                 s->classes, s->channels);
  /* Every stride must have something to halve, or whole groups would convolve
   * one pixel with zeros; the ImageNet stem is meant for larger images. */
  const bool imagenet = s->stem == MODEL_STEM_IMAGENET;
  const int least = (1 << (s->n_groups - 1)) * (imagenet ? 4 : 1) + imagenet;
  const int side = s->height < s->width_px ? s->height : s->width_px;
  if (side < least)
    return fail (
        E_CONFIG,
        "images of %dx%d are too small for the %s stem with %d groups: "
        "at least %d pixels are needed%s",
        s->height, s->width_px, imagenet ? "imagenet" : "cifar", s->n_groups,
        least, imagenet ? " (stem=cifar is made for small images)" : "");
  return OK;
}

static int
stem_width (const struct model_spec *s)
{
  return s->stem_width > 0 ? s->stem_width : s->width[0];
}

static bool
resnet_same (const struct model_spec *a, const struct model_spec *b)
{
  bool same = a->block == b->block && a->stem == b->stem &&
              a->order == b->order && stem_width (a) == stem_width (b) &&
              a->n_groups == b->n_groups;
  for (int i = 0; same && i < a->n_groups; i++)
    same = a->width[i] == b->width[i] && a->blocks[i] == b->blocks[i];
  return same;
}

/* -- units ----------------------------------------------------------------- */

static void
stem_unit (struct recipe *r, const struct model_spec *spec)
{
  bool imagenet = spec->stem == MODEL_STEM_IMAGENET;
  const int width = stem_width (spec);
  recipe_init (
      r, "stem",
      (struct kern_dims){1, spec->channels, spec->height, spec->width_px});
  recipe_conv (r, "conv1", width, imagenet ? 7 : 3, imagenet ? 2 : 1, false);
  r->path[0].plain = true;
  if (spec->order == MODEL_POST)
    recipe_bn (r, "bn1", true);
  if (imagenet)
    recipe_maxpool (r, 3, 2, 1);
}

/* A 1x1 convolution and (post) its BN beside the path, made in a recipe of its
 * own so that dims follow by the same rules. */
static void
add_shortcut (struct recipe *r, enum model_order order, int64_t out_c,
              int stride)
{
  struct recipe side;
  char name[RECIPE_NAME + 16];
  recipe_init (&side, r->name, r->in);
  snprintf (name, sizeof name, "%s.downsample.0", r->name);
  recipe_conv (&side, name, out_c, 1, stride, false);
  snprintf (name, sizeof name, "%s.downsample.1", r->name);
  if (order == MODEL_POST)
    recipe_bn (&side, name, false);
  r->n_skip = side.n_path;
  memcpy (r->skip, side.path, sizeof r->skip);
}

/* NAME.convN or NAME.bnN; number counts from 1. */
static void
block_conv (struct recipe *r, int number, int64_t out_c, int kernel, int stride)
{
  char part[RECIPE_NAME + 16];
  snprintf (part, sizeof part, "%s.conv%d", r->name, number);
  recipe_conv (r, part, out_c, kernel, stride, false);
}

static void
block_bn (struct recipe *r, int number, bool relu)
{
  char part[RECIPE_NAME + 16];
  snprintf (part, sizeof part, "%s.bn%d", r->name, number);
  recipe_bn (r, part, relu);
}

/* Channels at the end of a block over its width. */
static int
expansion (const struct model_spec *spec)
{
  return spec->block == MODEL_BASIC ? 1 : 4;
}

/* post: y = relu (path (x) + x), of which BN ends path and shortcut.  pre: y =
 * path (x) + x, where BN and ReLU stand before each convolution; a projection
 * takes the place of x from behind the first of them, which both share. */
static void
block_unit (struct recipe *r, const struct model_spec *spec, const char *name,
            int64_t width, int stride, struct kern_dims in)
{
  const bool basic = spec->block == MODEL_BASIC, pre = spec->order == MODEL_PRE;
  const int n = basic ? 2 : 3;
  const int64_t out_c = expansion (spec) * width;
  const bool projects = stride != 1 || in.c != out_c;
  const int kernels[2][3] = {{3, 3, 0}, {1, 3, 1}};
  const int strided = basic ? 0 : 1;
  recipe_init (r, name, in);
  r->residual = !pre;
  if (projects)
    add_shortcut (r, spec->order, out_c, stride);
  if (pre && !projects)
    recipe_add (r, RECIPE_BRANCH, "");
  for (int i = 0; i < n; i++) {
    if (pre)
      block_bn (r, i + 1, true);
    if (pre && projects && i == 0)
      recipe_add (r, RECIPE_BRANCH, "");
    block_conv (r, i + 1, i == n - 1 ? out_c : width, kernels[!basic][i],
                i == strided ? stride : 1);
    if (!pre)
      block_bn (r, i + 1, i < n - 1);
  }
  if (pre)
    recipe_add (r, RECIPE_JOIN, "");
}

static void
output_unit (struct recipe *r, const struct model_spec *spec,
             struct kern_dims in)
{
  recipe_init (r, "output", in);
  if (spec->order == MODEL_PRE)
    recipe_bn (r, "bn", true);
  recipe_gap (r);
  recipe_linear (r, "fc", spec->classes);
}

static int
resnet_units (const struct model_spec *s)
{
  int n = 2; /* stem and output */
  for (int g = 0; g < s->n_groups; g++)
    n += s->blocks[g];
  return n;
}

static void
resnet_make (const struct model_spec *s, struct recipe *unit)
{
  stem_unit (unit, s);
  for (int g = 0; g < s->n_groups; g++)
    for (int b = 0; b < s->blocks[g]; b++, unit++) {
      char name[RECIPE_NAME];
      snprintf (name, sizeof name, "layer%d.%d", g + 1, b);
      block_unit (&unit[1], s, name, s->width[g], g > 0 && b == 0 ? 2 : 1,
                  unit->out);
    }
  output_unit (&unit[1], s, unit->out);
}

enum { HEAD_BLOCK = 16, HEAD_WIDEST = 128, HEAD_LAYER = 256 };

/* Channels of a head, width i: 128, or those of the stage where it is wider, by
 * halves, in whole blocks of 16; 0 behind the last. */
static long long
head_width (int64_t c, int i)
{
  long long w = c > HEAD_WIDEST ? c / HEAD_BLOCK * HEAD_BLOCK : HEAD_WIDEST;
  for (; i > 0; i--)
    w = w / 2 / HEAD_BLOCK * HEAD_BLOCK;
  return w;
}

/* Of all widths two convolutions, in full as those of interlocking
 * backpropagation, or strided; then one; then a layer behind 2 x 2 places, as
 * in decoupled greedy learning; then none.  A stage learns more from places
 * than from a mean over the image. */
static bool
resnet_head (int i, struct kern_dims out, char grammar[NETWORK_HEAD])
{
  int widths = 0;
  while (head_width (out.c, widths) > 0)
    widths++;
  const int shape = i / 2 / widths * 2 + i % 2;
  const long long w = head_width (out.c, i / 2 % widths);
  const long long layer = 4 * out.c < HEAD_LAYER ? 4 * out.c : HEAD_LAYER;
  grammar[0] = '\0';
  if (i < 2 * widths && w < 2 * HEAD_BLOCK)
    return true; /* the second would be narrower than a block */
  if (shape == 0)
    snprintf (grammar, NETWORK_HEAD, "conv%lld-bn-conv%lld-bn-gap-fc", w,
              w / 2);
  else if (shape == 1)
    snprintf (grammar, NETWORK_HEAD, "conv%llds2-bn-conv%llds2-bn-pool2-fc", w,
              w);
  else if (shape <= 3)
    snprintf (grammar, NETWORK_HEAD, "conv%lld%s-bn-pool2-fc", w,
              shape == 2 ? "" : "s2");
  else if (i == 4 * widths)
    snprintf (grammar, NETWORK_HEAD, "pool2-fc%lld-fc", layer);
  else
    snprintf (grammar, NETWORK_HEAD, "gap-fc");
  return i <= 4 * widths + 1;
}

/* Stride 2 where the image is larger than behind the unit: at most one halving
 * a block, as in the network. */
static void
resnet_like (const struct model_spec *s, const struct recipe *unit,
             struct kern_dims in, struct recipe *out)
{
  const int stride = in.h > unit->out.h || in.w > unit->out.w ? 2 : 1;
  block_unit (out, s, unit->name, unit->out.c / expansion (s), stride, in);
}

/* As the network ends. */
static const char *
resnet_ending (const struct model_spec *s)
{
  return s->order == MODEL_PRE ? "bn-gap-fc" : "gap-fc";
}

static const struct head_word *const words[] = {
    &head_like, &head_conv,  &head_point, &head_bn, &head_pool,
    &head_gap,  &head_entry, &head_fc,    NULL};

const struct family family_resnet = {
    .name = "resnet",
    .called = "a ResNet",
    .parts = "stem, residual blocks",
    .data = "images",
    .preset = resnet_preset,
    .check = resnet_check,
    .units = resnet_units,
    .make = resnet_make,
    .same = resnet_same,
    .head = resnet_head,
    .like = resnet_like,
    .ending = resnet_ending,
    .words = words,
};
