/* tests/run/golden.h -- the files of golden values, as inputs of our own.
 *
 * Reads what another framework computed and writes the same network as a data
 * set file and a parameter file of ours.  Names are translated here and nowhere
 * else: main.C.B... is unit B of component C, aux.C.I... the head behind it.
 */
#ifndef TESTS_RUN_GOLDEN_H
#define TESTS_RUN_GOLDEN_H

#include "tests/run/h5.h"

#define GOLDEN_NAME 64
#define GOLDEN_STAGES 16

struct golden_tensor {
  char name[GOLDEN_NAME], path[GOLDEN_NAME + 16]; /* there, and ours */
  int component;
  bool aux, buffer;
  int n_dims;
  hsize_t dims[4];
  size_t n;
  float *init; /* owned */
};

struct golden {
  hid_t file;
  int K, steps, batch, classes;
  int n_snap, snap[8]; /* steps after which values are stored */
  double lr, momentum, weight_decay;
  char block[16], architecture[128], split[64], aux[64], strategies[256];
  int n_groups, blocks[MODEL_GROUPS], width[MODEL_GROUPS];
  bool tokens, adamw;                      /* a language model; its optimizer */
  int layers, d_model, heads, hidden, seq; /* seq 1 of images */
  double beta1, beta2, eps;
  int first[GOLDEN_STAGES + 1]; /* unit of each component */
  int n;
  struct golden_tensor *tensor; /* n, owned */
  size_t largest;               /* floats */
};

/* -- reading ---------------------------------------------------------------
 */

RIG_FN bool
golden_text (hid_t at, const char *name, char *out, size_t size)
{
  memset (out, 0, size);
  hid_t a = H5Aopen (at, name, H5P_DEFAULT);
  if (a < 0)
    return false;
  hid_t type = H5Tcopy (H5T_C_S1);
  H5Tset_size (type, size);
  bool good = H5Aread (a, type, out) >= 0;
  H5Tclose (type);
  H5Aclose (a);
  return good;
}

/* Up to `room` numbers; the count, or 0. */
RIG_FN int
golden_numbers (hid_t at, const char *name, int room, double *out)
{
  hid_t a = H5Aopen (at, name, H5P_DEFAULT);
  if (a < 0)
    return 0;
  hid_t space = H5Aget_space (a);
  int n = (int)H5Sget_simple_extent_npoints (space);
  bool good = n <= room && H5Aread (a, H5T_NATIVE_DOUBLE, out) >= 0;
  H5Sclose (space);
  H5Aclose (a);
  return good ? n : 0;
}

RIG_FN double
golden_number (hid_t at, const char *name)
{
  double v = 0;
  rig_must (golden_numbers (at, name, 1, &v) == 1
                ? OK
                : fail (E_DATA, "golden file: attribute %s", name));
  return v;
}

/* Values at path, at most room of them; how many there are (0: no such
 * dataset, or too many). */
RIG_FN size_t
golden_values (const struct golden *g, const char *path, hid_t type,
               size_t room, void *out)
{
  if (H5Lexists (g->file, path, H5P_DEFAULT) <= 0)
    return 0;
  hid_t id = H5Dopen2 (g->file, path, H5P_DEFAULT);
  hid_t space = H5Dget_space (id);
  hssize_t n = H5Sget_simple_extent_npoints (space);
  bool good = n > 0 && (size_t)n <= room &&
              H5Dread (id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, out) >= 0;
  H5Sclose (space);
  H5Dclose (id);
  return good ? (size_t)n : 0;
}

/* -- names ------------------------------------------------------------------
 */

/* Our name of unit u's part "conv1.weight". */
RIG_FN void
golden_unit_path (const struct golden *g, int u, const char *part,
                  struct golden_tensor *t)
{
  int block = u - 1, group = 0;
  while (group < g->n_groups && block >= g->blocks[group])
    block -= g->blocks[group++];
  if (u == 0 && strncmp (part, "1.", 2) == 0)
    snprintf (t->path, sizeof t->path, "/model/conv1.%s", part + 2);
  else if (u == 0 && strncmp (part, "2.", 2) == 0)
    snprintf (t->path, sizeof t->path, "/model/bn1.%s", part + 2);
  else if (group == g->n_groups && strncmp (part, "2.", 2) == 0)
    snprintf (t->path, sizeof t->path, "/model/fc.%s", part + 2);
  else
    snprintf (t->path, sizeof t->path, "/model/layer%d.%d.%s", group + 1, block,
              part);
}

/* The same of a language model's unit. */
RIG_FN void
golden_token_path (const struct golden *g, int u, const char *part,
                   struct golden_tensor *t)
{
  static const char *const parts[][2] = {
      {"tok", "wte"},         {"pos", "wpe"},          {"ln1", "ln_1"},
      {"qkv", "attn.c_attn"}, {"proj", "attn.c_proj"}, {"ln2", "ln_2"},
      {"fc", "mlp.c_fc"},     {"out", "mlp.c_proj"},   {"ln", "ln_f"}};
  int n = (int)strcspn (part, ".");
  const char *ours = "?";
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    if ((int)strlen (parts[i][0]) == n &&
        strncmp (part, parts[i][0], (size_t)n) == 0)
      ours = parts[i][1];
  if (u == g->layers + 1 && strncmp (part, "fc.", 3) == 0)
    snprintf (t->path, sizeof t->path, "/model/lm_head%s", part + n);
  else if (u == 0 || u == g->layers + 1)
    snprintf (t->path, sizeof t->path, "/model/transformer.%s%s", ours,
              part + n);
  else
    snprintf (t->path, sizeof t->path, "/model/transformer.h.%d.%s%s", u - 1,
              ours, part + n);
}

/* The words of conv8-bn-gap-fc are 0, 1, 2, 3; there the linear map is 5. Those
 * of ln-fc have names there. */
RIG_FN bool
golden_path (const struct golden *g, struct golden_tensor *t)
{
  int c, i, used = 0;
  if (g->tokens && sscanf (t->name, "aux.%d.%n", &c, &used) == 1) {
    bool ln = strncmp (t->name + used, "ln.", 3) == 0;
    snprintf (t->path, sizeof t->path, "/heads/%d/%d.%s", c, !ln,
              t->name + used + 3);
    return true;
  }
  if (sscanf (t->name, "aux.%d.%d.%n", &c, &i, &used) == 2 && used > 0) {
    snprintf (t->path, sizeof t->path, "/heads/%d/%d.%s", c, i == 5 ? 3 : i,
              t->name + used);
    return true;
  }
  if (sscanf (t->name, "main.%d.%d.%n", &c, &i, &used) != 2 || used == 0 ||
      c < 0 || c >= g->K)
    return false;
  if (g->tokens)
    golden_token_path (g, g->first[c] + i, t->name + used, t);
  else
    golden_unit_path (g, g->first[c] + i, t->name + used, t);
  return true;
}

/* -- opening ----------------------------------------------------------------
 */

RIG_FN void
golden_shape (struct golden *g)
{
  const char *p = g->architecture;
  int width, blocks, used, units = 2;
  while (sscanf (p, "%d,%d%n", &width, &blocks, &used) == 2) {
    g->width[g->n_groups] = width;
    g->blocks[g->n_groups++] = blocks;
    units += blocks;
    p += used + (p[used] == '/');
  }
  p = g->split;
  for (int k = 0; k < g->K; k++) {
    int n = units - g->first[k]; /* "rest", the last word */
    sscanf (p, "%d", &n);
    g->first[k + 1] = g->first[k] + n;
    p += strcspn (p, ",");
    p += *p == ',';
  }
}

RIG_FN void
golden_token_shape (struct golden *g)
{
  char optimizer[16];
  double blocks[GOLDEN_STAGES];
  g->d_model = (int)golden_number (g->file, "d_model");
  g->heads = (int)golden_number (g->file, "heads");
  g->hidden = (int)golden_number (g->file, "hidden");
  g->seq = (int)golden_number (g->file, "seq");
  rig_must (golden_numbers (g->file, "blocks_per_component", GOLDEN_STAGES,
                            blocks) == g->K
                ? OK
                : fail (E_DATA, "golden file: blocks"));
  for (int k = 0; k < g->K; k++) {
    int units = (int)blocks[k] + (k == 0) + (k == g->K - 1);
    g->layers += (int)blocks[k];
    g->first[k + 1] = g->first[k] + units;
    snprintf (g->split + strlen (g->split), 8, "%s%d", k ? "," : "", units);
  }
  golden_text (g->file, "optimizer", optimizer, sizeof optimizer);
  g->adamw = strcmp (optimizer, "adamw") == 0;
  if (g->adamw) {
    g->beta1 = golden_number (g->file, "beta1");
    g->beta2 = golden_number (g->file, "beta2");
    g->eps = golden_number (g->file, "eps");
  }
}

/* The entries of /index/params or /index/buffers, but for counters. */
RIG_FN void
golden_index (struct golden *g, const char *which)
{
  enum { MOST = 4096 };
  static char names[MOST][GOLDEN_NAME];
  static int component[MOST], aux[MOST];
  char path[128];
  hid_t type = H5Tcopy (H5T_C_S1);
  H5Tset_size (type, GOLDEN_NAME);
  snprintf (path, sizeof path, "/index/%s/name", which);
  int n = (int)golden_values (g, path, type, MOST, names);
  H5Tclose (type);
  snprintf (path, sizeof path, "/index/%s/component", which);
  bool good =
      (int)golden_values (g, path, H5T_NATIVE_INT, MOST, component) == n;
  snprintf (path, sizeof path, "/index/%s/is_aux", which);
  good = good && (int)golden_values (g, path, H5T_NATIVE_INT, MOST, aux) == n;
  rig_must (good && n > 0 ? OK : fail (E_DATA, "golden file: %s", path));
  rig_must (mem_grow (&g->tensor, (size_t)g->n, (size_t)(g->n + n),
                      sizeof *g->tensor, "golden tensors"));
  for (int i = 0; i < n; i++) {
    struct golden_tensor *t = &g->tensor[g->n];
    if (strstr (names[i], "num_batches_tracked"))
      continue;
    snprintf (t->name, sizeof t->name, "%.63s", names[i]);
    t->component = component[i];
    t->aux = aux[i] != 0;
    t->buffer = strcmp (which, "buffers") == 0;
    rig_must (golden_path (g, t) ? OK : fail (E_DATA, "name %s", t->name));
    snprintf (path, sizeof path, "/init/%s/%s", which, t->name);
    hid_t id = H5Dopen2 (g->file, path, H5P_DEFAULT), space = H5Dget_space (id);
    t->n_dims = H5Sget_simple_extent_dims (space, t->dims, NULL);
    t->n = (size_t)H5Sget_simple_extent_npoints (space);
    H5Sclose (space);
    H5Dclose (id);
    rig_must (MEM_NEW (t->n, &t->init, "initial values"));
    good = golden_values (g, path, H5T_NATIVE_FLOAT, t->n, t->init) == t->n;
    rig_must (good ? OK : fail (E_DATA, "golden file: %s", path));
    g->largest = t->n > g->largest ? t->n : g->largest;
    g->n++;
  }
}

/* False when there is no such file. */
RIG_FN bool
golden_open (const char *path, struct golden *g)
{
  double snap[8];
  char network[32];
  memset (g, 0, sizeof *g);
  g->seq = 1;
  if (access (path, R_OK) != 0)
    return false;
  g->file = H5Fopen (path, H5F_ACC_RDONLY, H5P_DEFAULT);
  rig_must (g->file >= 0 ? OK : fail (E_DATA, "%s: not opened", path));
  g->K = (int)golden_number (g->file, "components");
  g->steps = (int)golden_number (g->file, "steps");
  g->batch = (int)golden_number (g->file, "batch");
  golden_text (g->file, "network", network, sizeof network);
  g->tokens = strcmp (network, "transformer-lm") == 0;
  g->classes = (int)golden_number (g->file, g->tokens ? "vocab" : "classes");
  g->lr = golden_number (g->file, "lr");
  if (golden_numbers (g->file, "momentum", 1, &g->momentum) != 1)
    g->momentum = 0;
  g->weight_decay = golden_number (g->file, "weight_decay");
  g->n_snap = golden_numbers (g->file, "snap", 8, snap);
  for (int i = 0; i < g->n_snap; i++)
    g->snap[i] = (int)snap[i];
  golden_text (g->file, "strategies", g->strategies, sizeof g->strategies);
  if (g->tokens) {
    golden_token_shape (g);
    golden_index (g, "params");
    return true;
  }
  golden_text (g->file, "block", g->block, sizeof g->block);
  golden_text (g->file, "architecture", g->architecture,
               sizeof g->architecture);
  golden_text (g->file, "split", g->split, sizeof g->split);
  golden_text (g->file, "aux", g->aux, sizeof g->aux);
  golden_shape (g);
  golden_index (g, "params");
  golden_index (g, "buffers");
  return true;
}

RIG_FN void
golden_close (struct golden *g)
{
  for (int i = 0; i < g->n; i++)
    mem_free (&g->tensor[i].init);
  mem_free (&g->tensor);
  if (g->file > 0)
    H5Fclose (g->file);
}

/* -- writing our files -------------------------------------------------------
 */

/* The batches in their order, as one row of tokens: each window and the token
 * behind it; batch 0 without gaps to validate, which walks a split that way. */
RIG_FN void
golden_write_tokens (const struct golden *g, const char *path)
{
  size_t n = (size_t)(g->steps * g->batch), T = (size_t)g->seq;
  int *inputs = NULL, *labels = NULL;
  unsigned short *row = NULL, *valid = NULL;
  rig_must (MEM_NEW (n * T, &inputs, "tokens"));
  rig_must (MEM_NEW (n * T, &labels, "tokens"));
  rig_must (MEM_NEW (n * (T + 1), &row, "tokens"));
  rig_must (MEM_NEW (n * T, &valid, "tokens"));
  bool good = golden_values (g, "/batches/inputs", H5T_NATIVE_INT, n * T,
                             inputs) == n * T &&
              golden_values (g, "/batches/labels", H5T_NATIVE_INT, n * T,
                             labels) == n * T;
  for (size_t i = 0; i < n * T; i++) {
    row[i / T * (T + 1) + i % T] = (unsigned short)inputs[i];
    valid[i] = (unsigned short)inputs[i];
    row[i / T * (T + 1) + i % T + 1] = (unsigned short)labels[i];
    good = good && (i % T == 0 || labels[i - 1] == inputs[i]);
  }
  rig_must (good ? OK : fail (E_DATA, "golden file: the batches"));
  h5_write_tokens (path, g->classes, n * (T + 1), row, (size_t)g->batch * T + 1,
                   valid);
  mem_free (&inputs);
  mem_free (&labels);
  mem_free (&row);
  mem_free (&valid);
}

/* The batches in their order, as a training split of floats. */
RIG_FN void
golden_write_data (const struct golden *g, const char *path)
{
  if (g->tokens) {
    golden_write_tokens (g, path);
    return;
  }
  size_t n = (size_t)(g->steps * g->batch), pixels = 3 * 32 * 32;
  float *images = NULL;
  int *labels = NULL;
  rig_must (MEM_NEW (n * pixels, &images, "images"));
  rig_must (MEM_NEW (n, &labels, "labels"));
  bool good =
      golden_values (g, "/batches/inputs", H5T_NATIVE_FLOAT, n * pixels,
                     images) == n * pixels &&
      golden_values (g, "/batches/labels", H5T_NATIVE_INT, n, labels) == n &&
      g->classes <= 10;
  rig_must (good ? OK : fail (E_DATA, "golden file: the batches"));
  h5_write_data (path, n, 32, g->classes, images, labels);
  mem_free (&images);
  mem_free (&labels);
}

/* The initial values as a bare parameter file: tensors and nothing else. */
RIG_FN void
golden_write_params (const struct golden *g, const char *path)
{
  hid_t f = H5Fcreate (path, H5F_ACC_EXCL, H5P_DEFAULT, H5P_DEFAULT);
  for (int i = 0; i < g->n; i++) {
    const struct golden_tensor *t = &g->tensor[i];
    h5_put (f, t->path, H5T_NATIVE_FLOAT, t->n_dims, t->dims, t->init);
  }
  H5Fclose (f);
}

RIG_FN void
golden_token_config (const struct golden *g, struct config *c)
{
  c->family = CONFIG_TRANSFORMER;
  c->groups[0] = '\0';
  c->block = CONFIG_BLOCK_NOT_GIVEN;
  c->stem = CONFIG_STEM_NOT_GIVEN;
  c->layers = g->layers;
  c->d_model = g->d_model;
  c->heads = g->heads;
  c->context = g->seq;
  c->mlp_ratio = (double)g->hidden / g->d_model;
  c->dropout = 0;
  c->tied = false;
  c->stride = g->seq + 1;
  snprintf (c->head, CONFIG_TEXT, "ln-fc");
  if (!g->adamw)
    return;
  c->optimizer = CONFIG_ADAMW;
  c->decay = CONFIG_DECAY_ALL;
  c->beta1 = g->beta1;
  c->beta2 = g->beta2;
  c->eps = g->eps;
}

/* The golden network as a configuration; span and mix from a strategy. */
RIG_FN void
golden_config (const struct golden *g, const struct rig *r,
               const char *strategy, struct config *c)
{
  char path[128], mix[CONFIG_WORD], *p;
  rig_config (r, g->K, c);
  snprintf (path, sizeof path, "/strategies/%s", strategy);
  hid_t at = H5Gopen2 (g->file, path, H5P_DEFAULT);
  snprintf (c->span, CONFIG_WORD, "%d", (int)golden_number (at, "span"));
  golden_text (at, "mix", mix, CONFIG_WORD);
  key_set (KEY_OF (mix), mix, c);
  c->heads_all = golden_number (at, "has_aux") != 0;
  H5Gclose (at);
  key_set (KEY_OF (block), g->block, c);
  c->groups[0] = '\0';
  for (int i = 0; i < g->n_groups; i++)
    snprintf (c->groups + strlen (c->groups), CONFIG_TEXT / 2, "%s%dx%d",
              i ? "," : "", g->width[i], g->blocks[i]);
  c->stem_width = 64;
  snprintf (c->cut, CONFIG_TEXT, "%s", g->split);
  snprintf (c->head, CONFIG_TEXT, "%s", g->aux); /* conv8_bn_gbpl_fc */
  for (p = c->head; *p; p++)
    if (*p == '_')
      *p = '-';
  if ((p = strstr (c->head, "gbpl")) != NULL) {
    memcpy (p, "gap", 3);
    memmove (p + 3, p + 4, strlen (p + 4) + 1);
  }
  if (g->tokens)
    golden_token_config (g, c);
  snprintf (c->file, CONFIG_PATH, "%.*s/golden.h5", CONFIG_PATH - 32,
            r->folder);
  snprintf (c->init, CONFIG_PATH, "%.*s/params.h5", CONFIG_PATH - 32,
            r->folder);
  c->order = CONFIG_SEQUENTIAL;
  c->batch = g->batch;
  c->steps = g->steps;
  c->lr = g->lr;
  c->momentum = g->momentum;
  c->weight_decay = g->weight_decay;
}

#endif
