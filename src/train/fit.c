/* train/fit.c -- whether a checkpoint fits this network, and how.
 *
 * A checkpoint to resume from is looked at before any weight is touched:
 * whether it is of this network, and which of its heads and slots have a place
 * here.  A head is known by the unit that it stands behind and by its grammar,
 * not by its number: so it finds its place again when the stages have changed.
 */
#include "train/train_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -- heads of the file -------------------------------------------------------
 */

void
load_fit_clear (struct load_fit *f)
{
  mem_free (&f->head_from);
  text_clear (&f->fresh);
  text_clear (&f->moved);
  text_clear (&f->dropped);
}

/* Stage of the file whose end is behind unit `end`, -1 when there is none. */
static int
stage_ending (const char *cut, int end)
{
  int stage = 0, units = 0;
  for (const char *p = cut; *p; stage++) {
    char *next;
    units += (int)strtol (p, &next, 10);
    if (next == p)
      return -1; /* a word such as rest */
    if (units == end)
      return stage;
    p = next + (*next == ',');
  }
  return -1;
}

static int
stages_of (const char *cut)
{
  int n = 1;
  for (; *cut; cut++)
    n += *cut == ',';
  return n;
}

/* Which head of the file may stand behind stage k; -1: none. */
static int
head_of_file (const struct session *s, const char *config, int k)
{
  const struct design *d = s->design;
  char cut[CONFIG_TEXT], heads[CONFIG_HEADS], head[CONFIG_TEXT];
  if (!config[0] || !config_word (config, KEY_NAME (cut), cut, sizeof cut) ||
      !config_word (config, KEY_NAME (head), heads, sizeof heads))
    return k;
  const int from = stage_ending (cut, d->first[k + 1]);
  if (from < 0 ||
      config_head_parse (heads, stages_of (cut), from, head) != OK ||
      strcmp (head, design_head (d, k)) != 0) {
    fail_clear ();
    return -1;
  }
  return from;
}

/* The last stage's is the model's own output. */
static bool
has_head (const struct session *s, const struct local_stage *l)
{
  return l->k < s->design->K - 1 && stage_has_head (l->stage);
}

/* -- does it fit? ------------------------------------------------------------
 */

/* Look at one tensor of a stage.  A head that does not fit starts fresh. */
static enum status
fit_tensor (struct session *s, struct local_stage *l, int i,
            const struct store_checkpoint *file, struct load_fit *f)
{
  struct store_tensor t = {0};
  int *from = &f->head_from[l->k];
  bool of_head = session_tensor (s, l, i, STAGE_VALUE, *from, &t);
  if (!of_head) {
    f->n_model++;
    return store_checkpoint_fits (file, &t);
  }
  if (*from >= 0 && store_checkpoint_fits (file, &t) != OK) {
    fail_clear ();
    *from = -1;
  }
  return OK;
}

static enum status
fit_stages (struct session *s, const struct store_checkpoint *file,
            struct load_fit *f)
{
  struct store_attributes a;
  store_checkpoint_attributes (file, &a);
  for (int i = 0; i < s->n_local; i++) {
    struct local_stage *l = &s->local[i];
    f->head_from[l->k] =
        has_head (s, l) ? head_of_file (s, a.config, l->k) : -1;
    for (int j = 0; j < stage_tensors (l->stage); j++)
      TRY (fit_tensor (s, l, j, file, f));
  }
  for (int w = 1; w <= session_moments (s); w++) {
    char group[64];
    snprintf (group, sizeof group, "/optimizer/%s", session_slot (s, w));
    f->slot[w - 1] = store_checkpoint_has (file, group);
  }
  return OK;
}

/* What each rank has found, to the root: its message, and a line "K J" for each
 * of its heads.  Only E_CHECKPOINT is a verdict on the file; other trouble is
 * agreed on. */
static enum status
share_fit (struct session *s, enum status *e, const struct load_fit *f,
           struct text *lines, struct text *why)
{
  struct text mine;
  char **texts = NULL;
  bool refused = *e == E_CHECKPOINT;
  text_init (&mine);
  text_add (&mine, "%s\n", refused ? fail_message () : "");
  if (refused)
    fail_clear ();
  for (int i = 0; i < s->n_local && wire_replica (s->wire) == 0; i++)
    if (has_head (s, &s->local[i]))
      text_add (&mine, "%d %d\n", s->local[i].k, f->head_from[s->local[i].k]);
  enum status g = wire_agree (s->wire, refused ? OK : *e);
  if (g == OK)
    g = wire_gather_text (s->wire, mine.data, &texts);
  for (int r = 0; texts && r < wire_size (s->wire); r++) {
    const char *p = texts[r];
    size_t n = strcspn (p, "\n");
    if (n > 0 && why->size == 0)
      text_add (why, "%.*s", (int)n, p);
    text_add (lines, "%s", p + n + (p[n] == '\n'));
    mem_free (&texts[r]);
  }
  mem_free (&texts);
  text_clear (&mine);
  if (why->size > 0)
    *e = E_CHECKPOINT;
  return g;
}

/* Tensors of the model on all ranks of one replica. */
static enum status
count_model (struct session *s, int mine, int *n)
{
  double here = wire_replica (s->wire) == 0 ? mine : 0, *all = NULL;
  int size = wire_size (s->wire);
  TRY (wire_agree (s->wire, MEM_NEW ((size_t)size, &all, "counts of tensors")));
  enum status e = wire_all_gather (s->wire, &here, 1, all);
  *n = 0;
  for (int r = 0; e == OK && r < size; r++)
    *n += (int)all[r];
  mem_free (&all);
  return e;
}

/* The root's list of the file against the heads that are taken. */
static void
tell_heads (const char *paths, const char *lines, struct load_fit *f)
{
  int k, j, n;
  char *taken = NULL;
  if (MEM_NEW (4096, &taken, "heads") != OK)
    return fail_clear ();
  for (const char *p = lines; sscanf (p, "%d %d\n%n", &k, &j, &n) == 2;
       p += n) {
    if (j >= 0 && j < 4096)
      taken[j] = 1;
    if (j < 0)
      text_add (&f->fresh, "%shead %d", f->fresh.size ? ", " : "", k);
    else if (j != k)
      text_add (&f->moved, "%shead %d is the file's head %d",
                f->moved.size ? ", " : "", k, j);
  }
  int last = -1;
  for (const char *p = paths; *p; p += strcspn (p, "\n") + 1)
    if (sscanf (p, "/heads/%d/", &k) == 1 && k != last && k >= 0 && k < 4096) {
      last = k;
      if (!taken[k])
        text_add (&f->dropped, "%shead %d", f->dropped.size ? ", " : "", k);
    }
  mem_free (&taken);
}

static int
count_paths (const char *paths, const char *start)
{
  int n = 0;
  for (const char *p = paths; *p; p += strcspn (p, "\n") + 1)
    n += strncmp (p, start, strlen (start)) == 0;
  return n;
}

/* On the root: is everything of the network in the file also here? */
static enum status
fit_paths (struct session *s, const char *path,
           const struct store_checkpoint *file, const char *lines, int n_model,
           struct load_fit *f)
{
  struct text paths;
  text_init (&paths);
  enum status e = store_checkpoint_paths (file, &paths);
  int there = count_paths (paths.data, "/model/");
  if (e == OK && there != n_model)
    e = fail (E_CHECKPOINT,
              "%s: of another network: %d tensors of the model, this one has "
              "%d",
              path, there, n_model);
  if (e == OK) {
    tell_heads (paths.data, lines, f);
    for (int w = 1; w <= session_moments (s); w++)
      if (!f->slot[w - 1])
        text_add (&f->fresh, "%soptimizer slot %s", f->fresh.size ? ", " : "",
                  session_slot (s, w));
    if (session_moments (s) == 0 && count_paths (paths.data, "/optimizer/"))
      text_add (&f->dropped, "%sthe optimizer's slots",
                f->dropped.size ? ", " : "");
  }
  text_clear (&paths);
  return e;
}

/* E_CHECKPOINT on all ranks and *why on the root, or OK. */
static enum status
judge (struct session *s, const char *path, const struct store_checkpoint *file,
       enum status e, struct load_fit *f, struct text *why)
{
  struct text lines;
  int verdict, n_model = 0;
  text_init (&lines);
  enum status g = share_fit (s, &e, f, &lines, why);
  if (g == OK)
    g = count_model (s, f->n_model, &n_model);
  if (g == OK && e == OK && wire_rank (s->wire) == 0) {
    e = fit_paths (s, path, file, lines.data, n_model, f);
    if (e != OK)
      text_add (why, "%s", fail_message ());
    fail_clear ();
  }
  text_clear (&lines);
  verdict = (int)e;
  TRY (g);
  TRY (wire_broadcast (s->wire, &verdict, sizeof verdict, 0));
  return (enum status)verdict;
}

enum status
train_fit (struct session *s, const char *path, struct load_fit *f,
           struct text *why)
{
  struct store_checkpoint *file = NULL;
  *f = (struct load_fit){0};
  text_init (&f->fresh);
  text_init (&f->moved);
  text_init (&f->dropped);
  TRY (wire_agree (s->wire, MEM_NEW ((size_t)s->design->K, &f->head_from,
                                     "where heads are")));
  enum status e = store_checkpoint_open (path, &file);
  if (e == OK)
    e = fit_stages (s, file, f);
  e = judge (s, path, file, e, f, why);
  store_checkpoint_close (&file);
  return e;
}
