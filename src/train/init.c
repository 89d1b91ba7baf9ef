/* train/init.c -- a run that begins from parameters (train.init), ours or other
 * people's.
 *
 * A tensor is looked for under /model and at the root: by our name, with
 * "module." in front, or without the family's prefix.  The network takes all
 * tensors that it needs, except those that train.init.fresh names and heads
 * that do not fit. Tensors of the file that nobody took are named; if one of
 * them belongs to the model, the file is of another network and refused.
 *
 * Hugging Face's Conv1D keeps matrices of GPT-2 transposed.  Those that are not
 * square show by their shape that a file does so; the square ones are then
 * taken in the same way.
 */
#include "base/place.h"
#include "train/train_impl.h"

#include <stdlib.h>
#include <string.h>

struct taking {
  struct store_checkpoint *file;
  const char *path;          /* of the file */
  const char *const *prefix; /* of names, which the file may leave out: two or
                                NULL */
  char *all;                 /* paths in it, one a line; owned */
  int turned[2];             /* matrices that lie as here, and turned */
  float *buffer;             /* of the largest tensor, twice */
  size_t largest;
  /* What this rank has to tell, one a line: "u PATH" used, "f NAME" starts
   * new, "w WORD" a word of train.init.fresh that names something, "o PATH"
   * the embedding that the output begins as. */
  struct text told;
};

/* -- names ------------------------------------------------------------------
 */

/* Is path a line of the list? */
static bool
listed (const char *list, const char *path)
{
  size_t n = strlen (path);
  for (const char *p = list; *p; p += strcspn (p, "\n") + 1)
    if (strncmp (p, path, n) == 0 && p[n] == '\n')
      return true;
  return false;
}

/* Where the file has a tensor of the model of that name. */
static bool
find (const struct taking *g, const char *name, char out[TENSOR_NAME + 64])
{
  static const char *const places[] = {"/model/", "/"};
  static const char *const before[] = {"", "module.", "model.", "_orig_mod."};
  const char *names[2] = {name, NULL};
  for (int i = 0; i < 2 && g->prefix[i]; i++)
    if (strncmp (name, g->prefix[i], strlen (g->prefix[i])) == 0)
      names[1] = name + strlen (g->prefix[i]);
  for (int p = 0; p < 2; p++)
    for (int b = 0; b < 4; b++)
      for (int i = 0; i < 2 && names[i]; i++) {
        snprintf (out, TENSOR_NAME + 64, "%s%s%s", places[p], before[b],
                  names[i]);
        if (listed (g->all, out))
          return true;
      }
  return false;
}

/* The same of a network's own tensors: where an output that is not tied is
 * missing, the embedding was the output's matrix too. */
static bool
find_tied (struct taking *g, const char *name, char out[TENSOR_NAME + 64])
{
  if (find (g, name, out))
    return true;
  if (strcmp (name, "lm_head.weight") != 0 ||
      (!find (g, "transformer.wte.weight", out) &&
       !find (g, "model.embed_tokens.weight", out)))
    return false;
  text_add (&g->told, "o %s\n", out);
  return true;
}

/* A word of train.init.fresh is a name, or the part of it before a dot. */
static bool
is_fresh (const struct session *s, const char *name, struct text *told)
{
  bool found = false;
  for (const char *p = s->design->config.init_fresh; *p;) {
    p += strspn (p, ", ");
    size_t n = strcspn (p, ", ");
    if (n > 0 && strncmp (name, p, n) == 0 &&
        (name[n] == '\0' || name[n] == '.')) {
      text_add (told, "w %.*s\n", (int)n, p);
      found = true;
    }
    p += n;
  }
  return found;
}

static bool
ends (const char *name, const char *end)
{
  size_t n = strlen (name), m = strlen (end);
  return n >= m && strcmp (name + n - m, end) == 0;
}

/* The four that GPT-2 keeps as Conv1D. */
static bool
may_turn (const char *name)
{
  return ends (name, ".attn.c_attn.weight") ||
         ends (name, ".attn.c_proj.weight") ||
         ends (name, ".mlp.c_fc.weight") || ends (name, ".mlp.c_proj.weight");
}

/* -- looking ----------------------------------------------------------------
 */

static void
turn_shape (struct store_tensor *t)
{
  int64_t first = t->dims[0];
  t->dims[0] = t->dims[1];
  t->dims[1] = first;
}

static enum status
fits (struct taking *g, const char *name, struct store_tensor *t)
{
  if (store_checkpoint_fits (g->file, t) == OK) {
    if (may_turn (name) && t->dims[0] != t->dims[1])
      g->turned[0]++;
    return OK;
  }
  if (t->n_dims == 2 && may_turn (name)) {
    struct text why;
    text_init (&why);
    text_add (&why, "%s", fail_message ());
    fail_clear ();
    turn_shape (t);
    enum status e = store_checkpoint_fits (g->file, t);
    turn_shape (t);
    g->turned[1] += e == OK;
    if (e != OK) {
      fail_clear ();
      e = fail (E_CHECKPOINT, "%s", why.data);
    }
    text_clear (&why);
    return e;
  }
  struct text why;
  text_init (&why);
  text_add (&why, "%s", fail_message ());
  fail_clear ();
  enum status e =
      fail (E_CHECKPOINT, "%s (train.init.fresh = %.*s has it start new)",
            why.data, (int)strcspn (name, "."), name);
  text_clear (&why);
  return e;
}

/* One tensor; *t says where it lies in the file, path "" where it starts new.
 */
static enum status
look (struct session *s, struct taking *g, struct local_stage *l, int i,
      struct store_tensor *t)
{
  bool of_head = session_tensor (s, l, i, STAGE_VALUE, l->k, t);
  char name[sizeof t->path];
  snprintf (name, sizeof name, "%s",
            t->path + strlen (of_head ? "/" : "/model/"));
  bool fresh = is_fresh (s, name, &g->told);
  if (of_head) {
    if (!fresh && listed (g->all, t->path) &&
        store_checkpoint_fits (g->file, t) == OK)
      return OK;
    fail_clear ();
    fresh = true;
  } else {
    bool there = fresh ? find (g, name, t->path) : find_tied (g, name, t->path);
    if (there)
      text_add (&g->told, "u %s\n", t->path);
    if (!there && !fresh)
      return fail (E_CHECKPOINT,
                   "%s: of another network: /model/%s is missing "
                   "(train.init.fresh = %s has it start new)",
                   g->path, name, name);
    if (!fresh)
      return fits (g, name, t);
  }
  text_add (&g->told, "f %s\n", name);
  t->path[0] = '\0';
  return OK;
}

static enum status
look_all (struct session *s, struct taking *g)
{
  struct text paths;
  text_init (&paths);
  enum status e = store_checkpoint_open (g->path, &g->file);
  /* The data are compared where they are read. */
  if (e == OK && wire_rank (s->wire) == 0)
    e = store_checkpoint_agrees (g->file);
  if (e == OK)
    e = store_checkpoint_paths (g->file, &paths);
  if (e == OK)
    e = mem_text (paths.data ? paths.data : "", &g->all);
  text_clear (&paths);
  for (int i = 0; e == OK && i < s->n_local; i++)
    for (int j = 0; e == OK && j < stage_tensors (s->local[i].stage); j++) {
      struct store_tensor t = {0};
      e = look (s, g, &s->local[i], j, &t);
      size_t n = 1;
      for (int d = 0; d < t.n_dims; d++)
        n *= (size_t)t.dims[d];
      g->largest = n > g->largest ? n : g->largest;
    }
  return e;
}

/* All of those matrices lie in one way. */
static enum status
agree_turned (struct session *s, struct taking *g)
{
  double mine[2] = {g->turned[0], g->turned[1]}, *all = NULL;
  int size = wire_size (s->wire);
  TRY (wire_agree (s->wire, MEM_NEW (2 * (size_t)size, &all, "counts")));
  enum status e = wire_all_gather (s->wire, mine, 2, all);
  g->turned[0] = g->turned[1] = 0;
  for (int r = 0; e == OK && r < size; r++)
    for (int i = 0; i < 2; i++)
      g->turned[i] += (int)all[2 * r + i];
  mem_free (&all);
  if (e == OK && g->turned[0] > 0 && g->turned[1] > 0)
    e = fail (E_CHECKPOINT,
              "%s: some matrices are [out, in] and some [in, out]", g->path);
  return wire_agree (s->wire, e);
}

/* -- what is told, on the root -----------------------------------------------
 */

static bool
told (char *const *texts, int n, char kind, const char *what, size_t length)
{
  for (int r = 0; r < n; r++)
    for (const char *p = texts[r]; *p; p += strcspn (p, "\n") + 1)
      if (p[0] == kind && strncmp (p + 2, what, length) == 0 &&
          p[2 + length] == '\n')
        return true;
  return false;
}

/* What a model of other programs carries beside its parameters. */
static bool
is_extra (const char *path)
{
  static const char *const known[] = {".num_batches_tracked", ".attn.bias",
                                      ".attn.masked_bias",    "position_ids",
                                      ".rotary_emb.inv_freq", "lm_head.weight"};
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
    if (ends (path, known[i]))
      return true;
  return false;
}

/* The file's tensors that nobody took: all by name; those of a model are too
 * many. */
static enum status
leftovers (const struct taking *g, char *const *texts, int n)
{
  struct text free, wrong;
  int n_free = 0, n_wrong = 0;
  bool under_model =
      strncmp (g->all, "/model/", 7) == 0 || strstr (g->all, "\n/model/");
  text_init (&free);
  text_init (&wrong);
  for (const char *p = g->all; *p; p += strcspn (p, "\n") + 1) {
    char path[TENSOR_NAME + 64];
    snprintf (path, sizeof path, "%.*s", (int)strcspn (p, "\n"), p);
    if (told (texts, n, 'u', path, strlen (path)) ||
        strncmp (path, "/optimizer/", 11) == 0 ||
        strncmp (path, "/heads/", 7) == 0)
      continue;
    bool model = under_model ? strncmp (path, "/model/", 7) == 0 : true;
    bool bad =
        model && !is_extra (path) && store_checkpoint_is_weight (g->file, path);
    struct text *to = bad ? &wrong : &free;
    text_add (to, "%s%s", to->size ? ", " : "", path);
    *(bad ? &n_wrong : &n_free) += 1;
  }
  if (n_free > 0)
    say (LOG_INFO, "%s: %d tensors are not used: %s", g->path, n_free,
         free.data);
  enum status e =
      n_wrong == 0
          ? OK
          : fail (E_CHECKPOINT,
                  "%s: of a deeper or another network: %d tensors have no "
                  "place in this one: %s",
                  g->path, n_wrong, wrong.data);
  text_clear (&free);
  text_clear (&wrong);
  return e;
}

static enum status
check_words (const struct session *s, char *const *texts, int n)
{
  for (const char *p = s->design->config.init_fresh; *p;) {
    p += strspn (p, ", ");
    size_t length = strcspn (p, ", ");
    if (length > 0 && !told (texts, n, 'w', p, length))
      return fail (E_CONFIG,
                   "%s: %.*s is neither a tensor of this network "
                   "nor the beginning of one",
                   KEY_NAME (init_fresh), (int)length, p);
    p += length;
  }
  return OK;
}

static enum status
tell_all (struct session *s, const struct taking *g, char *const *texts, int n)
{
  struct text fresh;
  TRY (check_words (s, texts, n));
  TRY (leftovers (g, texts, n));
  text_init (&fresh);
  for (int r = 0; r < n; r++)
    for (const char *p = texts[r]; *p; p += strcspn (p, "\n") + 1) {
      const int length = (int)strcspn (p + 2, "\n");
      if (p[0] == 'f')
        text_add (&fresh, "%s%.*s", fresh.size ? ", " : "", length, p + 2);
      if (p[0] == 'o')
        say (LOG_INFO, "%s: the output begins as the embedding, %.*s", g->path,
             length, p + 2);
    }
  if (fresh.size > 0)
    say (LOG_INFO, "%s: these tensors start new: %s", g->path, fresh.data);
  if (g->turned[1] > 0)
    say (LOG_INFO, "%s: matrices of Conv1D, [in, out], are turned to [out, in]",
         g->path);
  text_clear (&fresh);
  return OK;
}

static enum status
report (struct session *s, const struct taking *g)
{
  char **texts = NULL;
  int n = wire_size (s->wire);
  TRY (wire_gather_text (s->wire, g->told.data ? g->told.data : "", &texts));
  enum status e = texts ? tell_all (s, g, texts, n) : OK;
  for (int r = 0; texts && r < n; r++)
    mem_free (&texts[r]);
  mem_free (&texts);
  return wire_agree (s->wire, e);
}

/* -- taking -----------------------------------------------------------------
 */

static enum status
take (struct session *s, struct taking *g, struct local_stage *l, int i)
{
  struct store_tensor t = {0};
  TRY (look (s, g, l, i, &t));
  if (!t.path[0])
    return OK;
  bool turn = g->turned[1] > 0 && may_turn (t.path);
  if (turn)
    turn_shape (&t);
  t.data = g->buffer;
  TRY (store_checkpoint_read (g->file, &t));
  if (!turn)
    return stage_tensor_in (l->stage, i, STAGE_VALUE, t.data);
  float *out = g->buffer + g->largest;
  for (int64_t a = 0; a < t.dims[0]; a++)
    for (int64_t b = 0; b < t.dims[1]; b++)
      out[b * t.dims[0] + a] = g->buffer[a * t.dims[1] + b];
  return stage_tensor_in (l->stage, i, STAGE_VALUE, out);
}

static enum status
take_all (struct session *s, struct taking *g)
{
  TRY (MEM_NEW (2 * g->largest + 1, &g->buffer, "buffer for parameters"));
  for (int i = 0; i < s->n_local; i++) {
    struct local_stage *l = &s->local[i];
    place_set (-1, l->k, "loading parameters");
    for (int j = 0; j < stage_tensors (l->stage); j++)
      TRY (take (s, g, l, j));
    TRY (stage_refresh (l->stage));
  }
  return OK;
}

enum status
train_init (struct session *s)
{
  const struct design *d = s->design;
  struct taking g = {.path = d->config.init,
                     .prefix = network_family (d->net)->prefix};
  if (!g.path[0])
    return OK;
  place_set (-1, -1, "loading parameters");
  text_init (&g.told);
  enum status e = wire_agree (s->wire, look_all (s, &g));
  if (e == OK)
    e = agree_turned (s, &g);
  if (e == OK)
    e = report (s, &g);
  if (e == OK)
    e = wire_agree (s->wire, take_all (s, &g));
  mem_free (&g.buffer);
  mem_free (&g.all);
  text_clear (&g.told);
  store_checkpoint_close (&g.file);
  if (e == OK)
    e = shared_spread (s, -1);
  return e == OK ? shared_settle (s) : e;
}
