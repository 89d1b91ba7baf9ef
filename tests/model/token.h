/* tests/model/token.h -- a Transformer in double, slow and obvious.
 *
 * Values come from stages by the names that files use; losses of all heads come
 * out.  Written from the definitions of GPT-2 and of Llama, without a look at
 * the layers.
 */
#ifndef TESTS_MODEL_TOKEN_H
#define TESTS_MODEL_TOKEN_H

#include "base/hash.h"
#include "base/random.h"
#include "tests/model/fixture.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TWIN_TENSORS 256

struct token_value {
  char path[TENSOR_NAME + 32];
  int stage, index; /* where it is in the stages */
  size_t n;
  double *v; /* owned */
};

struct token_twin {
  struct model_spec m;
  int K, first[8]; /* units of the stages */
  const char *head;
  enum model_border border;
  double smoothing;
  int64_t B;
  const int32_t *token, *label;
  uint64_t seed;
  int64_t step, first_sample;
  int n;
  struct token_value t[TWIN_TENSORS];
};

static inline double *
token_doubles (size_t n)
{
  return twin_new (n, sizeof (double));
}

static inline const double *
token_get (const struct token_twin *w, const char *fmt, ...)
{
  char path[160];
  va_list a;
  va_start (a, fmt);
  vsnprintf (path, sizeof path, fmt, a);
  va_end (a);
  for (int i = 0; i < w->n; i++)
    if (strcmp (w->t[i].path, path) == 0)
      return w->t[i].v;
  printf ("Bail out! the twin misses %s\n", path);
  exit (1);
}

/* All tensors of all stages. */
static inline void
token_read (struct token_twin *w, struct stage *const *s)
{
  for (int k = 0; k < w->K; k++)
    for (int i = 0; i < stage_tensors (s[k]); i++) {
      struct token_value *t = &w->t[w->n++];
      struct tensor_info info;
      bool head, statistic;
      stage_tensor (s[k], i, &info, &head, &statistic);
      if (head)
        snprintf (t->path, sizeof t->path, "heads/%d/%s", k, info.name);
      else
        snprintf (t->path, sizeof t->path, "%s", info.name);
      t->stage = k;
      t->index = i;
      t->n = (size_t)tensor_info_count (&info);
      float *f = twin_new (t->n, sizeof *f);
      must (stage_tensor_out (s[k], i, STAGE_VALUE, f));
      t->v = token_doubles (t->n);
      for (size_t j = 0; j < t->n; j++)
        t->v[j] = (double)f[j];
      mem_free (&f);
    }
}

static inline void
token_clear (struct token_twin *w)
{
  for (int i = 0; i < w->n; i++)
    mem_free (&w->t[i].v);
}

/* The use of a shared matrix that reads token_move instead: -1 the embedding, h
 * head h; -2: none. */
static int token_use = -2;
static double *token_move;

static inline const double *
token_matrix (const struct token_twin *w, int use, const char *name)
{
  return use == token_use ? token_move : token_get (w, "%s", name);
}

/* -- pieces ---------------------------------------------------------------- */

static inline double
token_kept (const struct token_twin *w, const char *site, int64_t sample,
            int64_t i)
{
  uint32_t word[4];
  const struct random_key key = {w->seed, RANDOM_DROPOUT, hash_text (site, 0),
                                 (uint64_t)w->step << 32 |
                                     (uint64_t)(w->first_sample + sample)};
  random_block (&key, (uint64_t)i / 8, word);
  uint32_t half = word[i % 8 / 2] >> (i % 2 ? 16 : 0) & 0xffff;
  double least = rint (w->m.dropout * 65536);
  return half < least ? 0 : 65536 / (65536 - least);
}

static inline void
token_drop (const struct token_twin *w, const char *site, double *x)
{
  int64_t n = (int64_t)w->m.context * w->m.d_model;
  for (int64_t i = 0; w->m.dropout > 0 && i < w->B * n; i++)
    x[i] *= token_kept (w, site, i / n, i % n);
}

/* -- names: "transformer." by LayerNorm, "model." by RMSNorm ----------------
 */

static inline bool
token_llama (const struct token_twin *w)
{
  return w->m.norm == MODEL_RMSNORM;
}

static inline int64_t
token_kv (const struct token_twin *w)
{
  return w->m.kv_heads > 0 ? w->m.kv_heads : w->m.heads;
}

static inline const char *
token_table (const struct token_twin *w)
{
  return token_llama (w) ? "model.embed_tokens.weight"
                         : "transformer.wte.weight";
}

/* What names of a layer's tensors begin with, and those of its sites. */
struct token_layer {
  const char *names, *sites;
};

/* A tensor of a layer by its name in either. */
static inline const double *
token_of_layer (const struct token_twin *w, const struct token_layer *l,
                const char *gpt2, const char *llama, const char *what)
{
  return token_get (w, "%s.%s.%s", l->names, token_llama (w) ? llama : gpt2,
                    what);
}

static inline void
token_site (const struct token_twin *w, const struct token_layer *l,
            const char *gpt2, const char *llama, char site[80])
{
  snprintf (site, 80, "%s.%s", l->sites, token_llama (w) ? llama : gpt2);
}

static inline void
token_layer_norm (int64_t rows, int64_t d, const double *x, const double *scale,
                  const double *shift, double *y)
{
  for (int64_t i = 0; i < rows; i++) {
    double mean = 0, var = 0;
    for (int64_t j = 0; j < d; j++)
      mean += x[i * d + j] / (double)d;
    for (int64_t j = 0; j < d; j++)
      var += pow (x[i * d + j] - mean, 2) / (double)d;
    for (int64_t j = 0; j < d; j++)
      y[i * d + j] =
          (x[i * d + j] - mean) / sqrt (var + 1e-5) * scale[j] + shift[j];
  }
}

/* Of every piece of d numbers, ld apart. */
static inline void
token_rms (int64_t rows, int64_t d, int64_t ld, const double *x,
           const double *scale, double *y)
{
  for (int64_t i = 0; i < rows; i++) {
    double mean = 0;
    for (int64_t j = 0; j < d; j++)
      mean += pow (x[i * ld + j], 2) / (double)d;
    for (int64_t j = 0; j < d; j++)
      y[i * ld + j] = x[i * ld + j] / sqrt (mean + 1e-5) * scale[j];
  }
}

/* The network's norm of rows of d; shift NULL by RMSNorm. */
static inline void
token_norm (int64_t rows, int64_t d, const double *x, const double *scale,
            const double *shift, double *y)
{
  if (shift)
    token_layer_norm (rows, d, x, scale, shift, y);
  else
    token_rms (rows, d, d, x, scale, y);
}

/* x [rows, d] in place. */
static inline void
token_border (enum model_border border, int64_t rows, int64_t d, double *x)
{
  for (int64_t i = 0; i < rows && border != MODEL_BORDER_NONE; i++) {
    double mean = 0, var = 0;
    for (int64_t j = 0; j < d && border == MODEL_BORDER_LN; j++)
      mean += x[i * d + j] / (double)d;
    for (int64_t j = 0; j < d; j++)
      var += pow (x[i * d + j] - mean, 2) / (double)d;
    for (int64_t j = 0; j < d; j++)
      x[i * d + j] = (x[i * d + j] - mean) / sqrt (var + 1e-5);
  }
}

static inline void
token_dense (int64_t rows, int64_t in, int64_t out, const double *x,
             const double *a, const double *b, int64_t ld, double *y)
{
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < out; j++) {
      y[i * ld + j] = b ? b[j] : 0;
      for (int64_t q = 0; q < in; q++)
        y[i * ld + j] += x[i * in + q] * a[j * in + q];
    }
}

/* A linear layer of layer l, by its names; y has rows of ld. */
static inline void
token_linear (const struct token_twin *w, const struct token_layer *l,
              const char *gpt2, const char *llama, int64_t in, int64_t out,
              const double *x, int64_t ld, double *y)
{
  const int64_t rows = w->B * w->m.context;
  const double *b =
      token_llama (w) ? NULL : token_of_layer (w, l, gpt2, llama, "bias");
  token_dense (rows, in, out, x, token_of_layer (w, l, gpt2, llama, "weight"),
               b, ld, y);
}

/* Queries and keys, at the beginning of rows of ld: RMSNorm of each head, then
 * the turn, as a product of complex numbers. */
static inline void
token_qk (const struct token_twin *w, const struct token_layer *l, int64_t ld,
          double *x)
{
  const int64_t rows = w->B * w->m.context, d = w->m.d_model / w->m.heads;
  for (int64_t h = 0; h < w->m.heads + token_kv (w); h++) {
    const char *gain = h < w->m.heads ? "q_norm" : "k_norm";
    char gpt2[32], llama[32];
    snprintf (gpt2, sizeof gpt2, "attn.%s", gain);
    snprintf (llama, sizeof llama, "self_attn.%s", gain);
    if (w->m.qk_norm)
      token_rms (rows, d, ld, x + h * d,
                 token_of_layer (w, l, gpt2, llama, "weight"), x + h * d);
    for (int64_t i = 0; i < rows && w->m.positions == MODEL_ROPE; i++)
      for (int64_t j = 0; j < d / 2; j++) {
        double *re = x + i * ld + h * d + j, *im = re + d / 2;
        const double t = (double)(i % w->m.context);
        const double angle = t / pow (10000, 2 * (double)j / (double)d);
        const double a = *re, b = *im;
        *re = a * cos (angle) - b * sin (angle);
        *im = a * sin (angle) + b * cos (angle);
      }
  }
}

/* o [B T, D] from qkv [B T, D + 2 E]. */
static inline void
token_attend (const struct token_twin *w, const char *site, const double *qkv,
              double *o)
{
  const int64_t T = w->m.context, D = w->m.d_model, d = D / w->m.heads;
  const int64_t padded = (T + 7) / 8 * 8, E = token_kv (w) * d, ld = D + 2 * E;
  const int64_t sharing = w->m.heads / token_kv (w);
  double *p = token_doubles ((size_t)T);
  for (int64_t r = 0; r < w->B * w->m.heads * T; r++) {
    int64_t i = r % T, h = r / T % w->m.heads, b = r / T / w->m.heads;
    const double *q = qkv + (b * T + i) * ld + h * d;
    double sum = 0, *to = o + (b * T + i) * D + h * d;
    for (int64_t j = 0; j <= i; j++) {
      const double *k = qkv + (b * T + j) * ld + D + h / sharing * d;
      p[j] = 0;
      for (int64_t c = 0; c < d; c++)
        p[j] += q[c] * k[c] / sqrt ((double)d);
      sum += p[j] = exp (p[j]);
    }
    for (int64_t c = 0; c < d; c++)
      to[c] = 0;
    for (int64_t j = 0; j <= i; j++) {
      const double *v = qkv + (b * T + j) * ld + D + E + h / sharing * d;
      double a = p[j] / sum;
      if (w->m.dropout > 0)
        a *= token_kept (w, site, b, (h * T + i) * padded + j);
      for (int64_t c = 0; c < d; c++)
        to[c] += a * v[c];
    }
  }
  mem_free (&p);
}

static inline const double *
token_shift (const struct token_twin *w, const struct token_layer *l,
             const char *gpt2)
{
  return token_llama (w) ? NULL : token_of_layer (w, l, gpt2, "", "bias");
}

static inline void
token_attention (const struct token_twin *w, const struct token_layer *l,
                 double *ln, double *wide, double *o)
{
  const int64_t D = w->m.d_model, E = token_kv (w) * (D / w->m.heads);
  const int64_t ld = D + 2 * E;
  char site[80];
  if (token_llama (w)) {
    token_linear (w, l, "", "self_attn.q_proj", D, D, ln, ld, wide);
    token_linear (w, l, "", "self_attn.k_proj", D, E, ln, ld, wide + D);
    token_linear (w, l, "", "self_attn.v_proj", D, E, ln, ld, wide + D + E);
  } else
    token_linear (w, l, "attn.c_attn", "", D, ld, ln, ld, wide);
  token_qk (w, l, ld, wide);
  token_site (w, l, "attn.attn_dropout", "self_attn.attn_dropout", site);
  token_attend (w, site, wide, o);
  token_linear (w, l, "attn.c_proj", "self_attn.o_proj", D, D, o, D, ln);
  token_site (w, l, "attn.resid_dropout", "self_attn.resid_dropout", site);
  token_drop (w, site, ln);
}

static inline void
token_mlp (const struct token_twin *w, const struct token_layer *l, double *ln,
           double *wide)
{
  const int64_t rows = w->B * w->m.context, D = w->m.d_model;
  const int64_t F = llround (w->m.mlp_ratio * (double)D);
  double *gate = wide + rows * F;
  char site[80];
  token_linear (w, l, "mlp.c_fc", "mlp.up_proj", D, F, ln, F, wide);
  if (w->m.mlp == MODEL_SWIGLU)
    token_linear (w, l, "mlp.c_gate", "mlp.gate_proj", D, F, ln, F, gate);
  for (int64_t i = 0; i < rows * F; i++)
    if (w->m.mlp == MODEL_SWIGLU)
      wide[i] *= gate[i] / (1 + exp (-gate[i]));
    else
      wide[i] = 0.5 * wide[i] *
                (1 + tanh (sqrt (2 / 3.14159265358979324) *
                           (wide[i] + 0.044715 * pow (wide[i], 3))));
  token_linear (w, l, "mlp.c_proj", "mlp.down_proj", F, D, wide, D, ln);
  token_site (w, l, "mlp.dropout", "mlp.dropout", site);
  token_drop (w, site, ln);
}

/* One layer on x [rows, D], in place; s holds rows x (8 D + 2 F) numbers.  Its
 * tensors begin with `names`, the sites of dropout with `sites`. */
static inline void
token_block (const struct token_twin *w, const char *names, const char *sites,
             double *x, double *s)
{
  const int64_t rows = w->B * w->m.context, D = w->m.d_model;
  const struct token_layer at = {names, sites}, *l = &at;
  double *ln = s, *o = ln + rows * D, *wide = o + rows * D;
  token_norm (rows, D, x,
              token_of_layer (w, l, "ln_1", "input_layernorm", "weight"),
              token_shift (w, l, "ln_1"), ln);
  token_attention (w, l, ln, wide, o);
  for (int64_t i = 0; i < rows * D; i++)
    x[i] += ln[i];
  token_norm (
      rows, D, x,
      token_of_layer (w, l, "ln_2", "post_attention_layernorm", "weight"),
      token_shift (w, l, "ln_2"), ln);
  token_mlp (w, l, ln, wide);
  for (int64_t i = 0; i < rows * D; i++)
    x[i] += ln[i];
}

/* Whether the head looks at position t of sample b. */
static inline bool
token_looks (const struct token_twin *w, bool inner, int64_t b, int64_t t)
{
  const int64_t T = w->m.context;
  double share = w->m.head_tokens > 0 && inner ? w->m.head_tokens : 1;
  int64_t left = llround (share * (double)T);
  const struct random_key key = {w->seed, RANDOM_POSITIONS, (uint64_t)w->step,
                                 (uint64_t)(w->first_sample + b)};
  for (int64_t i = 0;; i++) {
    bool yes =
        (int64_t)random_below (&key, (uint64_t)i, (uint64_t)(T - i)) < left;
    if (i == t)
      return share == 1 || yes;
    left -= yes;
  }
}

/* Mean loss of rows of `width` that a matrix takes to the words. */
static inline double
token_loss (const struct token_twin *w, bool inner, int64_t width,
            const double *x, const double *matrix, double *logits)
{
  const int64_t T = w->m.context, V = w->m.classes;
  double loss = 0, n = 0;
  token_dense (w->B * T, width, V, x, matrix, NULL, V, logits);
  for (int64_t i = 0; i < w->B * T; i++) {
    if (w->label[i] < 0 || !token_looks (w, inner, i / T, i % T))
      continue;
    double sum = 0;
    for (int64_t v = 0; v < V; v++)
      sum += exp (logits[i * V + v]);
    for (int64_t v = 0; v < V; v++)
      loss +=
          ((1 - w->smoothing) * (v == w->label[i]) + w->smoothing / (double)V) *
          (log (sum) - logits[i * V + v]);
    n++;
  }
  return loss / n;
}

/* Word i of head k, but the last: rows of *width in place; room for rows of
 * TWIN_WIDE. */
#define TWIN_WIDE 64
static inline void
token_word (const struct token_twin *w, int k, int i, const char *word,
            int64_t *width, double *x, double *room)
{
  const int64_t rows = w->B * w->m.context;
  const bool rank = strncmp (word, "rank", 4) == 0;
  if (strcmp (word, "ln") == 0) {
    token_norm (
        rows, *width, x, token_get (w, "heads/%d/%d.weight", k, i),
        token_llama (w) ? NULL : token_get (w, "heads/%d/%d.bias", k, i), x);
    return;
  }
  const int64_t to = atoi (word + (rank ? 4 : 2));
  CHECK (to <= TWIN_WIDE, "rows of %d", (int)to);
  token_dense (rows, *width, to, x, token_get (w, "heads/%d/%d.weight", k, i),
               rank ? NULL : token_get (w, "heads/%d/%d.bias", k, i), to, room);
  for (int64_t j = 0; j < rows * to; j++)
    x[j] = rank || room[j] > 0 ? room[j] : 0;
  *width = to;
}

static inline double
token_inner (const struct token_twin *w, int k, const double *x,
             const char *shared, double *s, double *logits)
{
  const int64_t rows = w->B * w->m.context, D = w->m.d_model;
  double *z = token_doubles ((size_t)(rows * TWIN_WIDE)), loss;
  double *room = token_doubles ((size_t)(rows * TWIN_WIDE));
  char copy[64], *word, *rest = copy;
  int64_t width = D;
  int i = 0, blocks = 0;
  memcpy (z, x, (size_t)(rows * D) * sizeof *z);
  snprintf (copy, sizeof copy, "%s", w->head);
  if (sscanf (copy, "like-%d", &blocks) == 1) {
    const int left = w->m.layers + 1 - w->first[k + 1];
    for (int j = 0; j < blocks && j < left; j++) {
      char names[64];
      snprintf (names, sizeof names, "heads/%d/0.%d", k, j);
      token_block (w, names, strrchr (names, '/') + 1, z, s);
    }
    rest = strchr (strchr (copy, '-') + 1, '-');
    if (rest)
      rest++;
    else
      rest = strcpy (copy, "ln-fc");
    i = 1;
  }
  for (; (word = strsep (&rest, "-")) && rest; i++)
    token_word (w, k, i, word, &width, z, room);
  loss = token_loss (w, true, width, z,
                     strcmp (word, "shared") == 0
                         ? token_matrix (w, k, shared)
                         : token_get (w, "heads/%d/%d.weight", k, i),
                     logits);
  mem_free (&z);
  mem_free (&room);
  return loss;
}

/* Losses [K] and, when given, the last head's logits [B T, V]. */
static inline void
token_losses (const struct token_twin *w, double *losses, double *last)
{
  const int64_t T = w->m.context, D = w->m.d_model, V = w->m.classes;
  const int64_t rows = w->B * T, F = llround (w->m.mlp_ratio * (double)D);
  const char *shared = w->m.tied ? token_table (w) : "lm_head.weight";
  const bool llama = token_llama (w), learned = w->m.positions == MODEL_LEARNED;
  double *x = token_doubles ((size_t)(rows * D));
  double *s = token_doubles ((size_t)(rows * (8 * D + 2 * F)));
  double *z = token_doubles ((size_t)(rows * V));
  const double *wte = token_matrix (w, -1, token_table (w));
  const double *wpe = learned
                          ? token_get (w, llama ? "model.embed_positions.weight"
                                                : "transformer.wpe.weight")
                          : NULL;
  for (int64_t i = 0; i < rows * D; i++)
    x[i] = wte[w->token[i / D] * D + i % D] +
           (learned ? wpe[i / D % T * D + i % D] : 0);
  token_drop (w, llama ? "model.drop" : "transformer.drop", x);
  for (int k = 0; k < w->K; k++) {
    if (k > 0)
      token_border (w->border, rows, D, x);
    for (int u = w->first[k]; u < w->first[k + 1]; u++)
      if (u > 0 && u <= w->m.layers) {
        char name[64];
        snprintf (name, sizeof name,
                  llama ? "model.layers.%d" : "transformer.h.%d", u - 1);
        token_block (w, name, name, x, s);
      }
    if (k < w->K - 1) {
      losses[k] = token_inner (w, k, x, shared, s, z);
      continue;
    }
    token_norm (
        rows, D, x,
        token_get (w, llama ? "model.norm.weight" : "transformer.ln_f.weight"),
        llama ? NULL : token_get (w, "transformer.ln_f.bias"), s);
    losses[k] = token_loss (w, false, D, s, token_matrix (w, k, shared), z);
  }
  if (last)
    memcpy (last, z, (size_t)(rows * V) * sizeof *z);
  mem_free (&x);
  mem_free (&s);
  mem_free (&z);
}

#endif
