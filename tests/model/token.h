/* tests/model/token.h -- a Transformer in double, slow and obvious.
 *
 * Values come from stages by the names that files use; losses of all heads come
 * out.  Written from GPT-2's definition, without a look at the layers.
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
             const double *a, const double *b, double *y)
{
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < out; j++) {
      y[i * out + j] = b ? b[j] : 0;
      for (int64_t q = 0; q < in; q++)
        y[i * out + j] += x[i * in + q] * a[j * in + q];
    }
}

/* o [B T, D] from qkv [B T, 3 D]. */
static inline void
token_attend (const struct token_twin *w, const char *site, const double *qkv,
              double *o)
{
  const int64_t T = w->m.context, D = w->m.d_model, d = D / w->m.heads;
  const int64_t padded = (T + 7) / 8 * 8;
  double *p = token_doubles ((size_t)T);
  for (int64_t r = 0; r < w->B * w->m.heads * T; r++) {
    int64_t i = r % T, h = r / T % w->m.heads, b = r / T / w->m.heads;
    const double *q = qkv + (b * T + i) * 3 * D + h * d;
    double sum = 0, *to = o + (b * T + i) * D + h * d;
    for (int64_t j = 0; j <= i; j++) {
      const double *k = qkv + (b * T + j) * 3 * D + D + h * d;
      p[j] = 0;
      for (int64_t c = 0; c < d; c++)
        p[j] += q[c] * k[c] / sqrt ((double)d);
      sum += p[j] = exp (p[j]);
    }
    for (int64_t c = 0; c < d; c++)
      to[c] = 0;
    for (int64_t j = 0; j <= i; j++) {
      const double *v = qkv + (b * T + j) * 3 * D + 2 * D + h * d;
      double a = p[j] / sum;
      if (w->m.dropout > 0)
        a *= token_kept (w, site, b, (h * T + i) * padded + j);
      for (int64_t c = 0; c < d; c++)
        to[c] += a * v[c];
    }
  }
  mem_free (&p);
}

/* One layer on x [rows, D], in place; s holds rows x (8 D + 2 F) numbers.  Its
 * tensors begin with `names`, the sites of dropout with `sites`. */
static inline void
token_block (const struct token_twin *w, const char *names, const char *sites,
             double *x, double *s)
{
  const int64_t rows = w->B * w->m.context, D = w->m.d_model;
  const int64_t F = llround (w->m.mlp_ratio * (double)D);
  double *ln = s, *wide = ln + rows * D, *o = wide + rows * (3 * D + F);
  char site[80];
#define TWIN_P(part) token_get (w, "%s.%s", names, part)
  token_layer_norm (rows, D, x, TWIN_P ("ln_1.weight"), TWIN_P ("ln_1.bias"),
                    ln);
  token_dense (rows, D, 3 * D, ln, TWIN_P ("attn.c_attn.weight"),
               TWIN_P ("attn.c_attn.bias"), wide);
  snprintf (site, sizeof site, "%s.attn.attn_dropout", sites);
  token_attend (w, site, wide, o);
  token_dense (rows, D, D, o, TWIN_P ("attn.c_proj.weight"),
               TWIN_P ("attn.c_proj.bias"), ln);
  snprintf (site, sizeof site, "%s.attn.resid_dropout", sites);
  token_drop (w, site, ln);
  for (int64_t i = 0; i < rows * D; i++)
    x[i] += ln[i];
  token_layer_norm (rows, D, x, TWIN_P ("ln_2.weight"), TWIN_P ("ln_2.bias"),
                    ln);
  token_dense (rows, D, F, ln, TWIN_P ("mlp.c_fc.weight"),
               TWIN_P ("mlp.c_fc.bias"), wide);
  for (int64_t i = 0; i < rows * F; i++)
    wide[i] = 0.5 * wide[i] *
              (1 + tanh (sqrt (2 / 3.14159265358979324) *
                         (wide[i] + 0.044715 * pow (wide[i], 3))));
  token_dense (rows, F, D, wide, TWIN_P ("mlp.c_proj.weight"),
               TWIN_P ("mlp.c_proj.bias"), ln);
  snprintf (site, sizeof site, "%s.mlp.dropout", sites);
  token_drop (w, site, ln);
  for (int64_t i = 0; i < rows * D; i++)
    x[i] += ln[i];
#undef TWIN_P
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
  token_dense (w->B * T, width, V, x, matrix, NULL, logits);
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
    token_layer_norm (rows, *width, x,
                      token_get (w, "heads/%d/%d.weight", k, i),
                      token_get (w, "heads/%d/%d.bias", k, i), x);
    return;
  }
  const int64_t to = atoi (word + (rank ? 4 : 2));
  CHECK (to <= TWIN_WIDE, "rows of %d", (int)to);
  token_dense (rows, *width, to, x, token_get (w, "heads/%d/%d.weight", k, i),
               rank ? NULL : token_get (w, "heads/%d/%d.bias", k, i), room);
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
  const char *shared = w->m.tied ? "transformer.wte.weight" : "lm_head.weight";
  double *x = token_doubles ((size_t)(rows * D));
  double *s = token_doubles ((size_t)(rows * (8 * D + 2 * F)));
  double *z = token_doubles ((size_t)(rows * V));
  const double *wte = token_matrix (w, -1, "transformer.wte.weight");
  const double *wpe = token_get (w, "transformer.wpe.weight");
  for (int64_t i = 0; i < rows * D; i++)
    x[i] = wte[w->token[i / D] * D + i % D] + wpe[i / D % T * D + i % D];
  token_drop (w, "transformer.drop", x);
  for (int k = 0; k < w->K; k++) {
    if (k > 0)
      token_border (w->border, rows, D, x);
    for (int u = w->first[k]; u < w->first[k + 1]; u++)
      if (u > 0 && u <= w->m.layers) {
        char name[64];
        snprintf (name, sizeof name, "transformer.h.%d", u - 1);
        token_block (w, name, name, x, s);
      }
    if (k < w->K - 1) {
      losses[k] = token_inner (w, k, x, shared, s, z);
      continue;
    }
    token_layer_norm (rows, D, x, token_get (w, "transformer.ln_f.weight"),
                      token_get (w, "transformer.ln_f.bias"), s);
    losses[k] = token_loss (w, false, D, s, token_matrix (w, k, shared), z);
  }
  if (last)
    memcpy (last, z, (size_t)(rows * V) * sizeof *z);
  mem_free (&x);
  mem_free (&s);
  mem_free (&z);
}

#endif
