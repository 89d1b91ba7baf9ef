/* ranks: 1 2 */
/* tests/train/init.c -- a run begins with the very values of a parameter file
 * as others write it: names behind "module.", at the root, floats of other
 * widths, matrices turned as Conv1D keeps them; what is left over, missing or
 * of another shape is told by name or refused.
 */
#define TAP_MPI
#include "tests/run/h5.h"

#include <fcntl.h>
#include <unistd.h>

enum type { F32, F64, F16, BIG };
enum turn { NONE, ALL, ONE };

struct row {
  const char *what;
  const char *place, *before; /* "/model/", "module." */
  bool bare;                  /* without "transformer." */
  enum type type;
  enum turn turn;
  const char *more;  /* a tensor that the network does not have */
  const char *less;  /* one that is not in the file */
  const char *other; /* one with another first dimension */
  const char *fresh;
  bool untied; /* the network; the file has a tied one */
  enum status status;
  const char *said[2];
};

#define H0 "transformer.h.0."

static const struct row rows[] = {
    {.what = "as we write it", .place = "/model/", .before = ""},
    {.what = "doubles behind module. at the root",
     .place = "/",
     .before = "module.",
     .type = F64},
    {.what = "halves without the family's name",
     .place = "/",
     .before = "",
     .bare = true,
     .type = F16},
    {.what = "big-endian, behind module.",
     .place = "/model/",
     .before = "module.",
     .type = BIG},
    {.what = "all matrices of Conv1D turned",
     .place = "/",
     .before = "",
     .bare = true,
     .turn = ALL,
     .said = {"Conv1D", "turned to [out, in]"}},
    {.what = "one matrix turned",
     .place = "/model/",
     .before = "",
     .turn = ONE,
     .status = E_CHECKPOINT,
     .said = {"some matrices", "[in, out]"}},
    {.what = "a mask beside the parameters",
     .place = "/model/",
     .before = "",
     .more = H0 "attn.bias",
     .said = {"not used: /model/" H0 "attn.bias", ""}},
    {.what = "a deeper network",
     .place = "/model/",
     .before = "",
     .more = "transformer.h.4.ln_1.weight",
     .status = E_CHECKPOINT,
     .said = {"deeper", "/model/transformer.h.4.ln_1.weight"}},
    {.what = "a missing tensor",
     .place = "/model/",
     .before = "",
     .less = "transformer.ln_f.weight",
     .status = E_CHECKPOINT,
     .said = {"transformer.ln_f.weight is missing", "train.init.fresh"}},
    {.what = "a missing tensor that starts new",
     .place = "/model/",
     .before = "",
     .less = "transformer.ln_f.weight",
     .fresh = "transformer.ln_f",
     .said = {"start new", "transformer.ln_f.weight"}},
    {.what = "an output of its own from a tied file",
     .place = "/model/",
     .before = "module.",
     .untied = true,
     .said = {"the output begins as the embedding",
              "/model/module.transformer.wte.weight"}},
    {.what = "an output of its own that starts new",
     .place = "/model/",
     .before = "",
     .untied = true,
     .fresh = "lm_head",
     .said = {"start new", "lm_head.weight"}},
    {.what = "another vocabulary",
     .place = "/model/",
     .before = "",
     .other = "transformer.wte.weight",
     .status = E_CHECKPOINT,
     .said = {"transformer.wte.weight: shape [20, 12]", "train.init.fresh"}},
    {.what = "another vocabulary that starts new",
     .place = "/model/",
     .before = "",
     .other = "transformer.wte.weight",
     .fresh = "transformer.wpe.weight, transformer.wte",
     .said = {"start new", "transformer.wte.weight"}},
    {.what = "a word that names nothing",
     .place = "/model/",
     .before = "",
     .fresh = "classifier",
     .status = E_CONFIG,
     .said = {"train.init.fresh: classifier", ""}},
};

static void
config (const struct rig *r, const struct row *row, struct config *c)
{
  rig_config (r, 4, c);
  rig_language (c);
  c->tied = true;
  snprintf (c->head, CONFIG_TEXT, "ln-fc");
  c->head_tokens = 1;
  snprintf (c->span, CONFIG_WORD, "1");
  if (!row)
    return;
  c->tied = !row->untied;
  snprintf (c->init, CONFIG_PATH, "%.*s/init.h5", CONFIG_PATH - 16, r->folder);
  if (row->fresh)
    snprintf (c->init_fresh, CONFIG_TEXT, "%s", row->fresh);
}

/* Value k of a tensor: a sixteenth, exact in 16 bits. */
static float
value (const char *name, size_t k)
{
  uint64_t h = hash_bytes (&k, sizeof k, hash_text (name, 3));
  return (float)((int)(h % 64) - 32) / 16;
}

/* -- the file -----------------------------------------------------------------
 */

static bool
is_turned (const struct row *row, const char *name)
{
  bool one = strcmp (name, H0 "attn.c_attn.weight") == 0;
  bool any = strstr (name, ".c_") && strstr (name, ".weight");
  return row->turn == ALL ? any : row->turn == ONE ? one : false;
}

static void
put_tensor (hid_t file, const struct row *row, const char *name,
            const struct tensor_info *info)
{
  static double all[1 << 12];
  hsize_t dims[TENSOR_DIMS];
  char path[256];
  size_t n = (size_t)tensor_info_count (info);
  const char *shown =
      row->bare && strncmp (name, "transformer.", 12) == 0 ? name + 12 : name;
  for (int i = 0; i < info->n_dims; i++)
    dims[i] = (hsize_t)info->dims[i];
  for (size_t k = 0; k < n; k++)
    all[k] = value (name, k);
  if (is_turned (row, name)) {
    dims[0] = (hsize_t)info->dims[1];
    dims[1] = (hsize_t)info->dims[0];
    for (size_t a = 0; a < dims[0]; a++)
      for (size_t b = 0; b < dims[1]; b++)
        all[a * dims[1] + b] = value (name, b * dims[0] + a);
  }
  dims[0] += row->other && strcmp (row->other, name) == 0;
  hid_t half = H5Tcopy (H5T_IEEE_F32LE);
  H5Tset_fields (half, 15, 10, 5, 0, 10);
  H5Tset_ebias (half, 15);
  H5Tset_precision (half, 16);
  H5Tset_size (half, 2);
  hid_t type = row->type == F64   ? H5T_IEEE_F64LE
               : row->type == F16 ? half
               : row->type == BIG ? H5T_IEEE_F32BE
                                  : H5T_IEEE_F32LE;
  snprintf (path, sizeof path, "%s%s%s", row->place, row->before, shown);
  hid_t links = H5Pcreate (H5P_LINK_CREATE);
  H5Pset_create_intermediate_group (links, 1);
  hid_t space = H5Screate_simple (info->n_dims, dims, NULL);
  hid_t id =
      H5Dcreate2 (file, path, type, space, links, H5P_DEFAULT, H5P_DEFAULT);
  H5Dwrite (id, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, all);
  H5Dclose (id);
  H5Sclose (space);
  H5Pclose (links);
  H5Tclose (half);
}

/* By the root: all tensors of the model, as a session of one rank has them. */
static void
make_file (const struct rig *r, const struct row *row)
{
  struct config c;
  struct session s;
  struct wire *alone = NULL;
  config (r, row, &c);
  hid_t file = H5Fcreate (c.init, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  config (r, NULL, &c);
  rig_must (wire_open_alone (&alone));
  rig_session (alone, &c, &s);
  for (int i = 0; i < s.n_local; i++)
    for (int j = 0; j < stage_tensors (s.local[i].stage); j++) {
      struct tensor_info info;
      bool head, statistic;
      stage_tensor (s.local[i].stage, j, &info, &head, &statistic);
      if (!head && !(row->less && strcmp (row->less, info.name) == 0) &&
          !H5Lexists (file, info.name, H5P_DEFAULT))
        put_tensor (file, row, info.name, &info);
    }
  if (row->more)
    put_tensor (file, row, row->more,
                &(struct tensor_info){.n_dims = 2, .dims = {3, 3}});
  session_close (&s);
  wire_close (&alone);
  H5Fclose (file);
}

/* -- what comes of it ---------------------------------------------------------
 */

/* Every tensor of the model that is not to start new has the file's values. */
static bool
has_values (struct session *s, const struct row *row)
{
  static float all[1 << 12];
  bool good = true;
  for (int i = 0; i < s->n_local; i++)
    for (int j = 0; j < stage_tensors (s->local[i].stage); j++) {
      struct tensor_info info;
      bool head, statistic;
      stage_tensor (s->local[i].stage, j, &info, &head, &statistic);
      if (head || (row->less && strcmp (row->less, info.name) == 0) ||
          (row->fresh &&
           (strstr (info.name, ".ln_f.") || strstr (info.name, ".wte.") ||
            strstr (info.name, ".wpe.") || strstr (info.name, "lm_head."))))
        continue;
      const char *in_file = strcmp (info.name, "lm_head.weight") == 0
                                ? "transformer.wte.weight"
                                : info.name;
      rig_must (stage_tensor_out (s->local[i].stage, j, STAGE_VALUE, all));
      for (size_t k = 0; k < (size_t)tensor_info_count (&info); k++)
        if (all[k] != value (in_file, k)) {
          if (good)
            tap_note ("%s[%zu] is %g", info.name, k, (double)all[k]);
          good = false;
        }
    }
  return good;
}

/* What root says while a session opens. */
static enum status
open_session (struct rig *r, const struct row *row, struct session *s,
              char said[8192])
{
  struct config c;
  struct session_spec spec = {.design = {.guess_costs = true}};
  char path[CONFIG_PATH + 16];
  config (r, row, &c);
  snprintf (path, sizeof path, "%s/said.%d", r->folder, wire_rank (r->w));
  fflush (NULL);
  int kept[2] = {dup (1), dup (2)};
  int to = open (path, O_CREAT | O_TRUNC | O_RDWR | O_APPEND, 0600);
  for (int i = 0; i < 2; i++)
    dup2 (to, 1 + i);
  enum status e = session_open (r->w, &c, &spec, s);
  if (e == OK) {
    e = train_init (s);
    if (e != OK)
      session_close (s);
  }
  fflush (NULL);
  for (int i = 0; i < 2; i++) {
    dup2 (kept[i], 1 + i);
    close (kept[i]);
  }
  ssize_t n = pread (to, said, 8191, 0);
  said[n > 0 ? n : 0] = '\0';
  close (to);
  return e;
}

static void
test_row (struct rig *r, const struct row *row)
{
  static char said[8192];
  struct session s;
  if (wire_rank (r->w) == 0)
    make_file (r, row);
  wire_barrier (r->w);
  enum status e = open_session (r, row, &s, said);
  tap_ok (e == row->status, "%s: status %d", row->what, (int)e);
  if (e == OK) {
    if (row->status == OK)
      tap_ok (has_values (&s, row), "%s: its values", row->what);
    session_close (&s);
  }
  bool good = true;
  for (int i = 0; i < 2 && wire_rank (r->w) == 0; i++)
    good = good && (!row->said[i] || strstr (said, row->said[i]));
  if (!good)
    tap_note ("%.1500s", said);
  tap_ok (good, "%s: told", row->what);
  wire_barrier (r->w);
}

int
main (int argc, char **argv)
{
  struct rig r;
  unsigned short tokens[200];
  char path[CONFIG_PATH + 16];
  rig_open (&argc, &argv, &r);
  for (size_t i = 0; i < 200; i++)
    tokens[i] = (unsigned short)(i * 7 % RIG_WORDS);
  snprintf (path, sizeof path, "%s/data.h5", r.folder);
  if (wire_rank (r.w) == 0)
    h5_write_tokens (path, RIG_WORDS, 200, tokens, 100, tokens);
  wire_barrier (r.w);
  log_level_set (LOG_INFO);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    test_row (&r, &rows[i]);
  int result = tap_done ();
  rig_close (&r);
  return result;
}
