/* tests/run/rig.h -- what the tests of the engine share, header only: a folder
 * of their own, a small configuration, and a walk over some steps.
 *
 * A call that fails here ends the whole test (rig_must): the tests below are
 * about numbers, not about failing.
 */
#ifndef TESTS_RUN_RIG_H
#define TESTS_RUN_RIG_H

#include "base/place.h"
#include "import/import.h"
#include "run/session.h"
#include "tests/tap.h"
#include "train/train_impl.h"
#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

#define RIG_FN static inline __attribute__ ((unused))

/* Of networks of language here: different tokens, and tokens in a sample. */
enum { RIG_WORDS = 19, RIG_LENGTH = 8 };

struct rig {
  struct wire *w;
  char folder[CONFIG_PATH]; /* of this test, on all ranks */
};

RIG_FN void
rig_must (enum status s)
{
  if (s != OK)
    wire_abort (s);
}

/* Open the world and make the folder.  Collective on world. */
RIG_FN void
rig_open (int *argc, char ***argv, struct rig *r)
{
  const char *base = getenv ("TMPDIR");
  log_level_set (LOG_ERROR); /* tests oversubscribe cores on purpose */
  rig_must (wire_open (argc, argv, &r->w));
  snprintf (r->folder, sizeof r->folder, "%s/interlock-test-XXXXXX",
            base ? base : "/tmp");
  if (wire_rank (r->w) == 0 && !mkdtemp (r->folder))
    rig_must (fail (E_IO, "%s: cannot be made", r->folder));
  rig_must (wire_broadcast (r->w, r->folder, sizeof r->folder, 0));
}

/* The files of the folder.  It holds no other folders. */
RIG_FN void
rig_empty (const char *folder)
{
  char path[2 * CONFIG_PATH];
  DIR *d = opendir (folder);
  for (struct dirent *e = d ? readdir (d) : NULL; e; e = readdir (d)) {
    snprintf (path, sizeof path, "%s/%s", folder, e->d_name);
    if (e->d_name[0] != '.')
      unlink (path);
  }
  if (d)
    closedir (d);
}

RIG_FN void
rig_remove (const char *folder)
{
  rig_empty (folder);
  rmdir (folder);
}

RIG_FN void
rig_close (struct rig *r)
{
  wire_barrier (r->w);
  if (wire_rank (r->w) == 0)
    rig_remove (r->folder);
  wire_close (&r->w);
}

/* A small drawn data set, folder/data.h5, of square images. */
RIG_FN void
rig_data (struct rig *r, int samples, int size)
{
  char path[CONFIG_PATH + 16], words[5][32];
  const char *options[5];
  snprintf (path, sizeof path, "%s/data.h5", r->folder);
  snprintf (words[0], 32, "train=%d", samples);
  snprintf (words[1], 32, "valid=%d", 16);
  snprintf (words[2], 32, "test=%d", 16);
  snprintf (words[3], 32, "size=%d", size);
  snprintf (words[4], 32, "seed=3");
  for (int i = 0; i < 5; i++)
    options[i] = words[i];
  if (wire_rank (r->w) == 0)
    rig_must (import_run ("synthetic", 0, NULL, 5, options, path));
  wire_barrier (r->w);
}

/* A ResNet of six units in K = 4 stages, or in one. */
RIG_FN void
rig_config (const struct rig *r, int K, struct config *c)
{
  config_plain (c);
  c->family = CONFIG_RESNET;
  c->block = CONFIG_BASIC;
  c->stem = CONFIG_STEM_CIFAR;
  snprintf (c->groups, CONFIG_TEXT, "8x2,16x2");
  snprintf (c->cut, CONFIG_TEXT, "%s", K == 4 ? "2,1,1,rest" : "rest");
  snprintf (c->head, CONFIG_TEXT, "conv8-bn-gap-fc");
  snprintf (c->file, CONFIG_PATH, "%.*s/data.h5", CONFIG_PATH - 16, r->folder);
  c->count = K;
  c->batch = 8;
  c->steps = 3;
  c->seed = 11;
  c->lr = 0.05;
  c->momentum = 0.9;
  c->weight_decay = 1e-3;
  c->heads_all = true;
  c->threads = 1;
}

/* The network of a configuration becomes a Transformer of four blocks. */
RIG_FN void
rig_language (struct config *c)
{
  c->family = CONFIG_TRANSFORMER;
  c->groups[0] = '\0';
  c->block = CONFIG_BLOCK_NOT_GIVEN;
  c->stem = CONFIG_STEM_NOT_GIVEN;
  c->layers = 4;
  c->d_model = 12;
  c->heads = 3;
  c->context = RIG_LENGTH;
  c->mlp_ratio = 2;
}

RIG_FN void
rig_session (struct wire *w, const struct config *c, struct session *s)
{
  struct session_spec spec = {.design = {.guess_costs = true}};
  rig_must (session_open (w, c, &spec, s));
  rig_must (train_init (s));
}

/* One step and its ballot. */
RIG_FN void
rig_step (struct session *s, int64_t step)
{
  rig_must (train_lone_step (s, step, NULL));
}

/* The same after which all ranks have the losses of this step, K. */
RIG_FN void
rig_losses (struct session *s, int64_t step, struct stage_loss *loss)
{
  rig_must (train_lone_step (s, step, loss));
}

/* Steps 0 .. n-1 of a run; digests of all its tensors, on the root (owned by
 * the caller). */
RIG_FN void
rig_walk (struct wire *w, const struct config *c, int64_t n, char **digests)
{
  struct session s;
  rig_session (w, c, &s);
  rig_must (session_begin (&s, 0, n));
  for (int64_t step = 0; step < n; step++)
    rig_step (&s, step);
  rig_must (session_end (&s));
  rig_must (check_all_digests (&s, digests));
  session_close (&s);
}

/* The same without MPI; on one rank. */
RIG_FN void
rig_walk_alone (const struct config *c, int64_t n, char **digests)
{
  struct wire *alone = NULL;
  int rank = place_rank (), size = place_size ();
  rig_must (wire_open_alone (&alone));
  rig_walk (alone, c, n, digests);
  wire_close (&alone);
  place_rank_set (rank, size);
}

/* The first line of a that b does not have in the same place; "" when equal. */
RIG_FN const char *
rig_difference (const char *a, const char *b)
{
  static char line[256];
  while (*a || *b) {
    size_t na = strcspn (a, "\n"), nb = strcspn (b, "\n");
    if (na != nb || memcmp (a, b, na) != 0) {
      snprintf (line, sizeof line, "%.*s", (int)(na ? na : nb), na ? a : b);
      return line;
    }
    a += na + (a[na] != '\0');
    b += nb + (b[nb] != '\0');
  }
  return "";
}

#endif
