/* weights/names.c -- whose tensors are called what.
 *
 * A table is a list of patterns, theirs and ours.  In a pattern # is a number,
 * @ one that they count from 0 and we from 1, * what BatchNorm and LayerNorm
 * have.  Ours are torchvision's and Hugging Face's names already, so most rows
 * change nothing; that a name is in the table says that such a model has it.
 */
#include "weights/weights_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct row {
  const char *theirs, *ours; /* ours NULL: the same */
  unsigned how;
};

struct weights_names {
  const char *word, *model;
  const char *root; /* which files of a model without its head leave out */
  const struct row *row;
};

static const struct row torchvision[] = {
    {"conv1.weight", NULL, WEIGHTS_NEEDED},
    {"bn1.*", NULL, WEIGHTS_NEEDED},
    {"layer#.#.conv#.weight", NULL, WEIGHTS_NEEDED},
    {"layer#.#.bn#.*", NULL, WEIGHTS_NEEDED},
    {"layer#.#.downsample.0.weight", NULL, 0},
    {"layer#.#.downsample.1.*", NULL, 0},
    {"fc.weight", NULL, 0},
    {"fc.bias", NULL, 0},
    {NULL, NULL, 0}};

/* Its ResNetV2, where normalisation stands before convolutions.  The last layer
 * is a convolution of one pixel. */
static const struct row timm_v2[] = {
    {"stem.conv.weight", "conv1.weight", WEIGHTS_NEEDED},
    {"stages.@.blocks.#.conv#.weight", "layer#.#.conv#.weight", WEIGHTS_NEEDED},
    {"stages.@.blocks.#.norm#.*", "layer#.#.bn#.*", WEIGHTS_NEEDED},
    {"stages.@.blocks.#.downsample.conv.weight", "layer#.#.downsample.0.weight",
     0},
    {"norm.*", "bn.*", WEIGHTS_NEEDED},
    {"head.fc.weight", "fc.weight", WEIGHTS_POINT},
    {"head.fc.bias", "fc.bias", 0},
    {NULL, NULL, 0}};

/* Its Conv1D keeps matrices [in, out]. */
static const struct row gpt2[] = {
    {"transformer.wte.weight", NULL, WEIGHTS_NEEDED},
    {"transformer.wpe.weight", NULL, WEIGHTS_NEEDED},
    {"transformer.h.#.ln_#.*", NULL, WEIGHTS_NEEDED},
    {"transformer.h.#.attn.c_attn.weight", NULL,
     WEIGHTS_NEEDED | WEIGHTS_TURNED},
    {"transformer.h.#.attn.c_attn.bias", NULL, WEIGHTS_NEEDED},
    {"transformer.h.#.attn.c_proj.weight", NULL,
     WEIGHTS_NEEDED | WEIGHTS_TURNED},
    {"transformer.h.#.attn.c_proj.bias", NULL, WEIGHTS_NEEDED},
    {"transformer.h.#.mlp.c_fc.weight", NULL, WEIGHTS_NEEDED | WEIGHTS_TURNED},
    {"transformer.h.#.mlp.c_fc.bias", NULL, WEIGHTS_NEEDED},
    {"transformer.h.#.mlp.c_proj.weight", NULL,
     WEIGHTS_NEEDED | WEIGHTS_TURNED},
    {"transformer.h.#.mlp.c_proj.bias", NULL, WEIGHTS_NEEDED},
    {"transformer.ln_f.*", NULL, WEIGHTS_NEEDED},
    {"lm_head.weight", NULL, 0},
    {NULL, NULL, 0}};

/* Rotary positions turn the halves of a head there as here, so that no row of
 * q_proj or k_proj changes its place. */
static const struct row llama[] = {
    {"model.embed_tokens.weight", NULL, WEIGHTS_NEEDED},
    {"model.layers.#.input_layernorm.weight", NULL, WEIGHTS_NEEDED},
    {"model.layers.#.post_attention_layernorm.weight", NULL, WEIGHTS_NEEDED},
    {"model.layers.#.self_attn.q_proj.weight", NULL, WEIGHTS_NEEDED},
    {"model.layers.#.self_attn.k_proj.weight", NULL, WEIGHTS_NEEDED},
    {"model.layers.#.self_attn.v_proj.weight", NULL, WEIGHTS_NEEDED},
    {"model.layers.#.self_attn.o_proj.weight", NULL, WEIGHTS_NEEDED},
    {"model.layers.#.mlp.gate_proj.weight", NULL, WEIGHTS_NEEDED},
    {"model.layers.#.mlp.up_proj.weight", NULL, WEIGHTS_NEEDED},
    {"model.layers.#.mlp.down_proj.weight", NULL, WEIGHTS_NEEDED},
    {"model.norm.weight", NULL, WEIGHTS_NEEDED},
    {"lm_head.weight", NULL, 0},
    {NULL, NULL, 0}};

static const struct weights_names tables[] = {
    {"torchvision", "torchvision's ResNet", "", torchvision},
    {"timm", "timm's ResNet", "", torchvision},
    {"timm", "timm's ResNetV2", "", timm_v2},
    {"hf-gpt2", "Hugging Face's GPT-2", "transformer.", gpt2},
    {"hf-llama", "Hugging Face's Llama", "model.", llama},
};

const struct weights_names *
weights_names_at (int i)
{
  return i < (int)(sizeof tables / sizeof *tables) ? &tables[i] : NULL;
}

const char *
weights_names_word (const struct weights_names *t)
{
  return t->word;
}

const char *
weights_names_model (const struct weights_names *t)
{
  return t->model;
}

/* -- patterns -------------------------------------------------------------- */

enum { NUMBERS = 4 };
struct captured { /* what stands in the places of a pattern, counted our way */
  long number[NUMBERS];
  int n;
  const char *part;
};

static const char *
part_of (const char *text)
{
  static const char *const parts[] = {"weight", "bias", "running_mean",
                                      "running_var"};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    if (strcmp (text, parts[i]) == 0)
      return parts[i];
  return NULL;
}

/* A number without signs, blanks or zeros in front. */
static bool
take_number (const char **at, bool from_0, struct captured *c)
{
  const size_t digits = strspn (*at, "0123456789");
  if (digits == 0 || digits > 6 || (digits > 1 && **at == '0') ||
      c->n == NUMBERS)
    return false;
  c->number[c->n++] = strtol (*at, NULL, 10) + from_0;
  *at += digits;
  return true;
}

static bool
matches (const char *pattern, const char *name, struct captured *c)
{
  *c = (struct captured){.n = 0};
  for (; *pattern; pattern++) {
    if (*pattern == '*')
      return (c->part = part_of (name)) != NULL;
    if (*pattern == '#' || *pattern == '@') {
      if (!take_number (&name, *pattern == '@', c))
        return false;
    } else if (*name++ != *pattern)
      return false;
  }
  return *name == '\0';
}

static bool
fill (const char *pattern, const struct captured *c, char out[TENSOR_NAME])
{
  struct text t;
  int n = 0;
  text_init (&t);
  for (; *pattern; pattern++)
    if (*pattern == '*')
      text_add (&t, "%s", c->part);
    else if (*pattern == '#' || *pattern == '@')
      text_add (&t, "%ld", c->number[n++] - (*pattern == '@'));
    else
      text_add (&t, "%c", *pattern);
  bool fits = t.size < TENSOR_NAME;
  snprintf (out, TENSOR_NAME, "%s", t.data);
  text_clear (&t);
  return fits;
}

static const char *
ours (const struct row *r)
{
  return r->ours ? r->ours : r->theirs;
}

bool
weights_name_out (const struct weights_names *t, const char *name,
                  char out[TENSOR_NAME], unsigned *how)
{
  struct captured c;
  for (const struct row *r = t->row; r->theirs; r++)
    if (matches (ours (r), name, &c)) {
      *how = r->how;
      return fill (r->theirs, &c, out);
    }
  return false;
}

static bool
find_in (const struct weights_names *t, const char *name, char out[TENSOR_NAME],
         unsigned *how)
{
  struct captured c;
  for (const struct row *r = t->row; r->theirs; r++)
    if (matches (r->theirs, name, &c)) {
      *how = r->how;
      return fill (ours (r), &c, out);
    }
  return false;
}

bool
weights_name_in (const struct weights_names *t, const char *name,
                 char out[TENSOR_NAME], unsigned *how)
{
  static const char *const wrappers[] = {"module.", "_orig_mod."};
  char whole[TENSOR_NAME + 16];
  for (int i = 0; i < 2; i++) {
    size_t n = strlen (wrappers[i]);
    if (strncmp (name, wrappers[i], n) == 0)
      name += n;
  }
  if (find_in (t, name, out, how))
    return true;
  snprintf (whole, sizeof whole, "%s%s", t->root, name);
  return t->root[0] && find_in (t, whole, out, how);
}

const char *
weights_names_missing (const struct weights_names *t,
                       const struct weights_file *f)
{
  struct captured c;
  for (const struct row *r = t->row; r->theirs; r++) {
    bool found = !(r->how & WEIGHTS_NEEDED);
    for (int i = 0; !found && i < f->n; i++)
      found = matches (ours (r), f->tensor[i].name, &c);
    if (!found)
      return ours (r);
  }
  return NULL;
}

bool
weights_name_is_extra (const char *name)
{
  static const char *const known[] = {".num_batches_tracked", ".attn.bias",
                                      ".attn.masked_bias", "position_ids",
                                      "rotary_emb.inv_freq"};
  size_t n = strlen (name);
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    size_t m = strlen (known[i]);
    if (n >= m && strcmp (name + n - m, known[i]) == 0)
      return true;
  }
  return false;
}

bool
weights_name_is_head (const char *name)
{
  const char *at = name + strlen ("heads.");
  struct captured c = {.n = 0};
  return strncmp (name, "heads.", strlen ("heads.")) == 0 &&
         take_number (&at, false, &c) && *at == '.' &&
         at[strspn (at, ".abcdefghijklmnopqrstuvwxyz_0123456789")] == '\0';
}
