/* weights/export.c -- the model of a checkpoint, under other people's names.
 *
 * Tensors alone do not make a model: what these programs' models cannot do is
 * refused by what says so, a tensor they have no place for, one they need, or a
 * key of the run.
 */
#include "weights/weights_impl.h"

#include "base/log.h"
#include "base/memory.h"
#include <stdio.h>
#include <string.h>

static const struct weights_tensor *
find (const struct weights_file *f, const char *name)
{
  for (int i = 0; i < f->n; i++)
    if (strcmp (f->tensor[i].name, name) == 0)
      return &f->tensor[i];
  return NULL;
}

/* -- whose model it can be ------------------------------------------------- */

/* GPT-2 has as many heads of keys and values as of queries. */
static enum status
check_square (const struct weights_names *t, const struct weights_file *f)
{
  const struct weights_tensor *qkv =
      find (f, "transformer.h.0.attn.c_attn.weight");
  if (!qkv || (qkv->n_dims == 2 && qkv->dims[0] == 3 * qkv->dims[1]))
    return OK;
  return fail (E_CONFIG,
               "%s: transformer.h.0.attn.c_attn.weight: fewer heads of keys "
               "and values (model.kv_heads) than of queries: %s has not",
               f->path, weights_names_model (t));
}

static enum status
check_table (const struct weights_names *t, const struct weights_file *f)
{
  char name[TENSOR_NAME];
  unsigned how;
  for (int i = 0; i < f->n; i++)
    if (!weights_name_is_head (f->tensor[i].name) &&
        !weights_name_is_extra (f->tensor[i].name) &&
        !weights_name_out (t, f->tensor[i].name, name, &how))
      return fail (E_CONFIG, "%s: %s: %s has no such tensor", f->path,
                   f->tensor[i].name, weights_names_model (t));
  const char *missing = weights_names_missing (t, f);
  if (missing)
    return fail (E_CONFIG, "%s: there is no %s, which %s has", f->path, missing,
                 weights_names_model (t));
  return check_square (t, f);
}

/* The first of these names whose model it is; of several refusals the first is
 * kept. */
static enum status
choose (const struct weights_file *f, const char *names,
        const struct weights_names **out)
{
  const struct weights_names *t;
  struct text why;
  text_init (&why);
  for (int i = 0; (t = weights_names_at (i)); i++) {
    if (names && strcmp (weights_names_word (t), names) != 0)
      continue;
    if (check_table (t, f) == OK) {
      *out = t;
      text_clear (&why);
      return OK;
    }
    text_add (&why, "%s%s", why.size ? "; " : "", fail_message ());
    fail_clear ();
  }
  enum status s = fail (E_CONFIG, "%s", why.data);
  text_clear (&why);
  return s;
}

/* -- what is written ------------------------------------------------------- */

struct list {
  struct weights_entry *entry; /* owned */
  int n;
};

/* One for each running mean, as torch counts; they come first, so that all
 * places are multiples of their size. */
static void
add_counters (const struct weights_export *x, const struct weights_names *t,
              const struct weights_file *f, struct list *l)
{
  static const char end[] = "running_mean";
  unsigned how;
  for (int i = 0; i < f->n; i++) {
    struct weights_entry *e = &l->entry[l->n];
    const char *name = f->tensor[i].name;
    size_t n = strlen (name), m = strlen (end);
    if (n < m || strcmp (name + n - m, end) != 0 ||
        !weights_name_out (t, name, e->name, &how))
      continue;
    n = strlen (e->name) - m;
    snprintf (e->name + n, sizeof e->name - n, "num_batches_tracked");
    e->from = -1;
    e->value = x->step;
    l->n++;
  }
}

static enum status
add_tensor (const struct weights_names *t, const struct weights_file *f, int i,
            struct list *l)
{
  const struct weights_tensor *from = &f->tensor[i];
  struct weights_entry *e = &l->entry[l->n];
  unsigned how = 0;
  if (weights_name_is_extra (from->name))
    return OK;
  if (weights_name_is_head (from->name))
    snprintf (e->name, sizeof e->name, "%s", from->name);
  else if (!weights_name_out (t, from->name, e->name, &how))
    return fail (E_CONFIG, "%s: %s: a name too long", f->path, from->name);
  e->from = i;
  e->n_dims = from->n_dims;
  memcpy (e->dims, from->dims, sizeof e->dims);
  if (how & WEIGHTS_TURNED) {
    e->dims[0] = from->dims[1];
    e->dims[1] = from->dims[0];
    e->turned = true;
  }
  if (how & WEIGHTS_POINT) {
    e->n_dims = 4;
    e->dims[2] = e->dims[3] = 1;
  }
  l->n++;
  return OK;
}

/* -- what is told ---------------------------------------------------------- */

static void
add_number (struct text *out, const char *name, int64_t value)
{
  if (value > 0)
    text_add (out, ", \"%s\": %lld", name, (long long)value);
}

/* How many layers there are. */
static int64_t
layers (const struct weights_file *f, const char *before, const char *behind)
{
  char name[TENSOR_NAME];
  int64_t n = 0;
  do
    snprintf (name, sizeof name, "%s.%lld.%s", before, (long long)n++, behind);
  while (find (f, name));
  return n - 1;
}

/* The configuration that Hugging Face's classes want beside a Transformer's
 * tensors. */
static void
add_gpt2 (const struct weights_export *x, const struct weights_file *f,
          struct text *out)
{
  const struct weights_tensor *table = find (f, "transformer.wte.weight");
  const struct weights_tensor *up = find (f, "transformer.h.0.mlp.c_fc.weight");
  const struct weights_tensor *places = find (f, "transformer.wpe.weight");
  text_add (out, "{\"model_type\": \"gpt2\", \"activation_function\": "
                 "\"gelu_new\"");
  add_number (out, "vocab_size", table->dims[0]);
  add_number (out, "n_embd", table->dims[1]);
  add_number (out, "n_positions", places->dims[0]);
  add_number (out, "n_inner", up->dims[0]);
  add_number (out, "n_layer", layers (f, "transformer.h", "ln_1.weight"));
  add_number (out, "n_head", x->heads_of_attention);
}

static void
add_llama (const struct weights_export *x, const struct weights_file *f,
           struct text *out)
{
  const struct weights_tensor *table = find (f, "model.embed_tokens.weight");
  const struct weights_tensor *up =
      find (f, "model.layers.0.mlp.up_proj.weight");
  const struct weights_tensor *keys =
      find (f, "model.layers.0.self_attn.k_proj.weight");
  const int64_t heads = x->heads_of_attention;
  text_add (out, "{\"model_type\": \"llama\", \"hidden_act\": \"silu\", "
                 "\"rms_norm_eps\": 1e-05, \"rope_theta\": 10000.0");
  add_number (out, "vocab_size", table->dims[0]);
  add_number (out, "hidden_size", table->dims[1]);
  add_number (out, "intermediate_size", up->dims[0]);
  add_number (out, "num_hidden_layers",
              layers (f, "model.layers", "input_layernorm.weight"));
  add_number (out, "num_attention_heads", heads);
  add_number (out, "num_key_value_heads",
              keys->dims[0] * heads / table->dims[1]);
  add_number (out, "max_position_embeddings", x->context);
}

static void
describe (const struct weights_export *x, const struct weights_names *t,
          const struct weights_file *f, int n)
{
  struct text config;
  const struct weights_tensor *stem = find (f, "conv1.weight");
  text_init (&config);
  if (find (f, "transformer.wte.weight"))
    add_gpt2 (x, f, &config);
  else if (find (f, "model.embed_tokens.weight"))
    add_llama (x, f, &config);
  if (config.size > 0)
    say (LOG_INFO, "its config.json: %s, \"tie_word_embeddings\": %s}",
         config.data, find (f, "lm_head.weight") ? "false" : "true");
  if (stem && stem->n_dims == 4 && stem->dims[2] == 3)
    say (LOG_INFO,
         "conv1 is 3x3 with stride 1 and no pooling behind it (model.stem = "
         "cifar): %s as it comes has 7x7",
         weights_names_model (t));
  say (LOG_INFO, "written: %s, %d tensors under the names of %s", x->output, n,
       weights_names_model (t));
  text_clear (&config);
}

enum status
weights_export (const struct weights_export *x)
{
  const struct weights_names *t = NULL;
  struct weights_file f;
  struct list l = {NULL, 0};
  if (x->border && x->border[0] && strcmp (x->border, "none") != 0)
    return fail (E_CONFIG,
                 "%s: stages.border = %s normalises what enters a stage, and "
                 "no model of other programs does: it would compute something "
                 "else",
                 x->checkpoint, x->border);
  TRY (weights_open (x->checkpoint, x->heads, &f));
  enum status s = choose (&f, x->names, &t);
  if (s == OK)
    s = MEM_NEW (2 * (size_t)f.n, &l.entry, "list of tensors");
  if (s == OK && x->form == WEIGHTS_SAFETENSORS)
    add_counters (x, t, &f, &l);
  for (int i = 0; s == OK && i < f.n; i++)
    s = add_tensor (t, &f, i, &l);
  if (s == OK)
    s = weights_write (&f, l.entry, l.n, x->form, x->output);
  if (s == OK)
    describe (x, t, &f, l.n);
  mem_free (&l.entry);
  weights_close (&f);
  return s;
}
