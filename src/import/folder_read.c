/* import/folder_read.c -- which images lie in folders, of which class and
 * split.
 *
 * Either DIR/CLASS/... , dealt out to splits by a draw that depends on (seed,
 * path below DIR) alone; or DIR/train/CLASS/..., with DIR/valid and DIR/test
 * beside it, or what else people call these, in any case.  Classes and files
 * stand in the order of their names' bytes, whatever order the file system
 * gives them in, so that the same folder always makes the same data set.
 */
#define _GNU_SOURCE
#include "import/folder_impl.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"
#include "import/packed_impl.h"
#include "store/file.h"
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { DEPTH_MOST = 16, CLASSES_MOST = 65536 };
#define SHARE_USUAL 0.05

void
import_folder_init (struct import_folder *f)
{
  *f = (struct import_folder){0};
  text_init (&f->names);
  text_init (&f->example);
  text_init (&f->flat_example);
  text_init (&f->beside_example);
}

void
import_folder_clear (struct import_folder *f)
{
  for (int i = 0; i < f->n_classes; i++)
    mem_free (&f->classes[i]);
  mem_free (&f->classes);
  mem_free (&f->files);
  text_clear (&f->names);
  mem_free (&f->tops);
  text_clear (&f->example);
  text_clear (&f->flat_example);
  text_clear (&f->beside_example);
}

void
import_folder_path (const struct import_folder *f,
                    const struct import_folder_file *file, struct text *out)
{
  text_add (out, "%s/%s", f->dirs[file->dir], file->name);
}

/* -- names in a folder ----------------------------------------------------- */

/* A folder on the way: DIR/BELOW, its split and class where these are known. */
struct place {
  struct import_folder *f;
  int dir, label, depth;
  enum data_split split;
  const char *below; /* "" at the top */
};

static enum status
full_path (const struct place *p, const char *name, struct text *out)
{
  text_add (out, "%s%s%s%s%s", p->f->dirs[p->dir], p->below[0] ? "/" : "",
            p->below, name[0] ? "/" : "", name);
  return out->size < 4096
             ? OK
             : fail (E_DATA, "%.200s...: a path too long", out->data);
}

static void
below (const struct place *p, const char *name, struct text *out)
{
  text_add (out, "%s%s%s", p->below, p->below[0] ? "/" : "", name);
}

static enum status
visit_disk (struct place *p, const char *path,
            enum status (*visit) (struct place *p, const char *name,
                                  const char *path, const struct stat *st))
{
  enum status s = OK;
  DIR *dir = opendir (path);
  if (!dir)
    return fail (E_MISSING, "%s: %s", path, strerror (errno));
  for (struct dirent *e; s == OK && (e = readdir (dir));) {
    struct text inner;
    struct stat st;
    if (e->d_name[0] == '.')
      continue;
    text_init (&inner);
    s = full_path (p, e->d_name, &inner);
    /* A link to nothing: found out when it is read. */
    if (s == OK && stat (inner.data, &st) != 0)
      st = (struct stat){.st_mode = S_IFREG};
    if (s == OK)
      s = visit (p, e->d_name, inner.data, &st);
    text_clear (&inner);
  }
  closedir (dir);
  return s;
}

static enum status
visit_packed (struct place *p, const char *path,
              enum status (*visit) (struct place *p, const char *name,
                                    const char *path, const struct stat *st))
{
  enum status s = OK;
  struct import_name e;
  for (size_t at = 0; s == OK && import_file_next (path, &at, &e);) {
    struct text inner;
    struct stat st = {.st_mode = e.folder ? S_IFDIR : S_IFREG,
                      .st_size = (off_t)e.bytes};
    text_init (&inner);
    s = full_path (p, e.name, &inner);
    if (s == OK)
      s = visit (p, e.name, inner.data, &st);
    text_clear (&inner);
  }
  return s;
}

/* visit each name of a folder, which is a folder itself or not; names that
 * begin with a dot are passed over. */
static enum status
visit_all (struct place *p,
           enum status (*visit) (struct place *p, const char *name,
                                 const char *path, const struct stat *st))
{
  struct text path;
  text_init (&path);
  enum status s = full_path (p, "", &path);
  if (s == OK && import_file_packed (path.data))
    s = visit_packed (p, path.data, visit);
  else if (s == OK)
    s = visit_disk (p, path.data, visit);
  text_clear (&path);
  return s;
}

bool
import_folder_is_image (const char *name)
{
  const char *dot = strrchr (name, '.');
  return dot &&
         (strcasecmp (dot, ".jpg") == 0 || strcasecmp (dot, ".jpeg") == 0 ||
          strcasecmp (dot, ".png") == 0);
}

static void
add_other (struct import_folder *f, const char *path)
{
  if (f->others++ == 0)
    text_add (&f->example, "%s", path);
}

/* A file where folders of classes are. */
static void
add_flat (struct import_folder *f, const char *name, const char *path)
{
  if (!import_folder_is_image (name))
    add_other (f, path);
  else if (f->flat++ == 0)
    text_add (&f->flat_example, "%s", path);
}

/* -- classes --------------------------------------------------------------- */

static int
by_name (const void *a, const void *b)
{
  return strcmp (*(char *const *)a, *(char *const *)b);
}

static int
find_class (const struct import_folder *f, const char *name)
{
  char *const *found = bsearch (&name, f->classes, (size_t)f->n_classes,
                                sizeof *f->classes, by_name);
  return found ? (int)(found - f->classes) : -1;
}

static enum status
add_class (struct place *p, const char *name, const char *path,
           const struct stat *st)
{
  struct import_folder *f = p->f;
  if (!S_ISDIR (st->st_mode)) {
    add_flat (f, name, path);
    return OK;
  }
  if (f->n_classes == CLASSES_MOST)
    return fail (E_DATA, "%s: more than %d classes", f->dirs[p->dir],
                 CLASSES_MOST);
  if (strpbrk (name, "\n"))
    return fail (E_DATA, "%s: a line end in the name of a class", path);
  if (f->n_classes == f->classes_room) {
    int room = f->classes_room ? 2 * f->classes_room : 64;
    TRY (mem_grow (&f->classes, (size_t)f->classes_room, (size_t)room,
                   sizeof *f->classes, "class names"));
    f->classes_room = room;
  }
  TRY (mem_text (name, &f->classes[f->n_classes]));
  f->n_classes++;
  return OK;
}

/* Several folders may have the same classes. */
static void
sort_classes (struct import_folder *f)
{
  int n = 0;
  if (f->n_classes > 0)
    qsort (f->classes, (size_t)f->n_classes, sizeof *f->classes, by_name);
  for (int i = 0; i < f->n_classes; i++) {
    if (n > 0 && strcmp (f->classes[n - 1], f->classes[i]) == 0)
      mem_free (&f->classes[i]);
    else
      f->classes[n++] = f->classes[i];
  }
  f->n_classes = n;
}

/* -- files ----------------------------------------------------------------- */

static enum status
add_file (struct place *p, const char *name, int64_t bytes)
{
  struct import_folder *f = p->f;
  if (f->n == f->room) {
    int64_t room = f->room ? 2 * f->room : 1024;
    TRY (mem_grow (&f->files, (size_t)f->room, (size_t)room, sizeof *f->files,
                   "list of files"));
    f->room = room;
  }
  f->files[f->n++] = (struct import_folder_file){.at = f->names.size,
                                                 .bytes = bytes,
                                                 .dir = p->dir,
                                                 .label = p->label,
                                                 .split = p->split};
  below (p, name, &f->names);
  /* A byte that becomes a NUL once all names are there. */
  text_add (&f->names, "\n");
  if (f->n % 10000 == 0)
    log_progress ("reading %s: %s images", f->dirs[p->dir], text_count (f->n));
  return OK;
}

static enum status
add_tree (struct place *p, const char *name, const char *path,
          const struct stat *st)
{
  if (strchr (name, '\n'))
    return fail (E_DATA, "%s: a line end in the name of a file", path);
  if (!S_ISDIR (st->st_mode)) {
    if (S_ISREG (st->st_mode) && import_folder_is_image (name))
      return add_file (p, name, (int64_t)st->st_size);
    add_other (p->f, path);
    return OK;
  }
  if (p->depth == DEPTH_MOST)
    return fail (E_DATA, "%s: folders %d deep: a link that goes round?", path,
                 DEPTH_MOST);
  struct text inner;
  struct place next = *p;
  text_init (&inner);
  below (p, name, &inner);
  next.below = inner.data;
  next.depth++;
  enum status s = visit_all (&next, add_tree);
  text_clear (&inner);
  return s;
}

/* A class of a split: its label is that of train. */
static enum status
add_images (struct place *p, const char *name, const char *path,
            const struct stat *st)
{
  struct import_folder *f = p->f;
  if (!S_ISDIR (st->st_mode)) {
    if (p->split != DATA_TRAIN)
      add_flat (f, name, path); /* those of train: with its classes */
    return OK;
  }
  p->label = find_class (f, name);
  if (p->label < 0)
    return fail (E_DATA, "%s: train has no class \"%s\"", path, name);
  int64_t before = f->n;
  TRY (add_tree (p, name, path, st));
  if (f->n == before)
    return fail (E_DATA, "%s: no JPEG or PNG files in it", path);
  return OK;
}

/* -- splits ---------------------------------------------------------------- */

/* Names of the folder of a split, in any case. */
static const char *const split_names[DATA_SPLITS][4] = {
    {"train", "training"},
    {"valid", "validation", "val", "dev"},
    {"test", "testing"}};

/* -1: not the name of one. */
int
import_folder_split (const char *name)
{
  for (int i = 0; i < DATA_SPLITS; i++)
    for (int k = 0; k < 4 && split_names[i][k]; k++)
      if (strcasecmp (name, split_names[i][k]) == 0)
        return i;
  return -1;
}

/* Of a folder's own folders: p->label counts all, p->depth those of splits. */
static enum status
note_top (struct place *p, const char *name, const char *path,
          const struct stat *st)
{
  struct import_folder_top *top = &p->f->tops[p->dir];
  int split = import_folder_split (name);
  (void)path;
  if (!S_ISDIR (st->st_mode))
    return OK;
  p->label++;
  if (split < 0)
    return OK;
  p->depth++;
  char *at = top->name[split][0] ? top->twice[split] : top->name[split];
  snprintf (at, sizeof top->name[split], "%s", name);
  return OK;
}

static enum status
note_folder (struct place *p, const char *name, const char *path,
             const struct stat *st)
{
  (void)name, (void)path;
  p->label += S_ISDIR (st->st_mode);
  return OK;
}

static enum status
count_folders (struct import_folder *f, int dir, const char *name, int *out)
{
  struct place p = {.f = f, .dir = dir, .below = name};
  *out = 0;
  if (name[0])
    TRY (visit_all (&p, note_folder));
  *out = p.label;
  return OK;
}

/* Folders that are all called like splits, and are none. */
static enum status
explain_tops (struct import_folder *f, int dir)
{
  const struct import_folder_top *top = &f->tops[dir];
  for (int i = 0; i < DATA_SPLITS; i++) {
    int inner = 0;
    TRY (count_folders (f, dir, top->name[i], &inner));
    if (inner > 0)
      return fail (E_DATA,
                   "%s: has %s, but no folder train with a folder for each "
                   "class",
                   f->dirs[dir], top->name[i]);
    if (top->name[i][0])
      say (LOG_WARN,
           "%s/%s is taken as a class: it has no folders of classes in it",
           f->dirs[dir], top->name[i]);
  }
  return OK;
}

/* Whether DIR/train is a split: it has folders, unlike a class "train". */
static enum status
has_splits (struct import_folder *f, int dir, bool *out)
{
  const struct import_folder_top *top = &f->tops[dir];
  struct place p = {.f = f, .dir = dir, .below = ""};
  int inner = 0;
  if (!import_file_is_folder (f->dirs[dir]))
    return fail (E_MISSING, "%s: %s", f->dirs[dir],
                 store_file_bytes (f->dirs[dir]) < 0 ? "no such folder"
                                                     : "not a folder");
  TRY (visit_all (&p, note_top));
  TRY (count_folders (f, dir, top->name[DATA_TRAIN], &inner));
  if (inner == 0)
    TRY (count_folders (f, dir, top->twice[DATA_TRAIN], &inner));
  *out = inner > 0;
  if (!*out)
    return p.label > 0 && p.label == p.depth ? explain_tops (f, dir) : OK;
  for (int i = 0; i < DATA_SPLITS; i++)
    if (top->twice[i][0])
      return fail (E_DATA, "%s: both %s and %s are there", f->dirs[dir],
                   top->name[i], top->twice[i]);
  return OK;
}

/* What lies beside the splits belongs to none. */
static enum status
note_beside (struct place *p, const char *name, const char *path,
             const struct stat *st)
{
  if (S_ISDIR (st->st_mode) && import_folder_split (name) < 0 &&
      p->f->beside++ == 0)
    text_add (&p->f->beside_example, "%s", path);
  return OK;
}

static enum status
read_classes (struct import_folder *f)
{
  for (int i = 0; i < f->n_dirs; i++) {
    struct place p = {.f = f,
                      .dir = i,
                      .below = f->split_by_folder ? f->tops[i].name[DATA_TRAIN]
                                                  : ""};
    struct place top = {.f = f, .dir = i, .below = ""};
    if (f->split_by_folder)
      TRY (visit_all (&top, note_beside));
    TRY (visit_all (&p, add_class));
  }
  sort_classes (f);
  if (f->n_classes < 2)
    return fail (E_DATA, "%s%s: %d folders of a class, expected at least 2",
                 f->dirs[0], f->split_by_folder ? "/train" : "", f->n_classes);
  return OK;
}

static enum status
read_split (struct import_folder *f, int dir, int split)
{
  struct place p = {
      .f = f, .dir = dir, .split = (enum data_split)split, .below = ""};
  if (f->split_by_folder) {
    p.below = f->tops[dir].name[split];
    if (!p.below[0])
      return OK;
  } else if (split != DATA_TRAIN)
    return OK;
  return visit_all (&p, add_images);
}

/* Of the images of train, shares for the other splits. */
static void
draw_splits (struct import_folder *f, const double *share, uint64_t seed)
{
  for (int64_t i = 0; i < f->n; i++) {
    struct import_folder_file *file = &f->files[i];
    struct random_key key = {
        .seed = seed, .purpose = RANDOM_SPLIT, .a = hash_text (file->name, 1)};
    double u = random_uniform (&key, 0);
    if (file->split != DATA_TRAIN)
      continue;
    if (u < share[DATA_TEST])
      file->split = DATA_TEST;
    else if (u < share[DATA_TEST] + share[DATA_VALID])
      file->split = DATA_VALID;
  }
}

static enum status
deal_out (struct import_folder *f, const struct import_folder_draw *draw)
{
  double share[DATA_SPLITS] = {0};
  for (int i = DATA_VALID; i < DATA_SPLITS; i++) {
    bool given = draw->share[i] >= 0;
    share[i] = given ? draw->share[i] : f->split_by_folder ? 0 : SHARE_USUAL;
    if (given && f->count[i] > 0)
      return fail (E_CONFIG, "import folder: %s=%g: %s has a folder %s",
                   data_split_name ((enum data_split)i), draw->share[i],
                   f->dirs[0], data_split_name ((enum data_split)i));
  }
  if (share[DATA_VALID] + share[DATA_TEST] >= 1)
    return fail (E_CONFIG,
                 "import folder: valid=%g test=%g leave nothing to train on",
                 share[DATA_VALID], share[DATA_TEST]);
  draw_splits (f, share, draw->seed);
  return OK;
}

/* -- all ------------------------------------------------------------------- */

static int
by_place (const void *a, const void *b)
{
  const struct import_folder_file *p = a, *q = b;
  if (p->split != q->split)
    return p->split < q->split ? -1 : 1;
  if (p->label != q->label)
    return p->label < q->label ? -1 : 1;
  int names = strcmp (p->name, q->name);
  return names ? names : p->dir - q->dir;
}

void
import_folder_count (struct import_folder *f)
{
  memset (f->count, 0, sizeof f->count);
  for (int64_t i = 0; i < f->n; i++)
    f->count[f->files[i].split]++;
}

static enum status
check_layout (struct import_folder *f)
{
  TRY (MEM_NEW ((size_t)f->n_dirs, &f->tops, "folders"));
  for (int i = 0; i < f->n_dirs; i++) {
    bool splits = false;
    TRY (has_splits (f, i, &splits));
    if (i > 0 && splits != f->split_by_folder)
      return fail (E_DATA, "%s has a folder train with classes, %s has not",
                   f->dirs[splits ? i : 0], f->dirs[splits ? 0 : i]);
    f->split_by_folder = splits;
  }
  return OK;
}

enum status
import_folder_read (struct import_folder *f, int n_dirs,
                    const char *const *dirs,
                    const struct import_folder_draw *draw)
{
  f->n_dirs = n_dirs;
  f->dirs = dirs;
  TRY (check_layout (f));
  TRY (read_classes (f));
  for (int i = 0; i < n_dirs; i++)
    for (int split = 0; split < DATA_SPLITS; split++)
      TRY (read_split (f, i, split));
  for (size_t i = 0; i < f->names.size; i++)
    if (f->names.data[i] == '\n')
      f->names.data[i] = '\0';
  for (int64_t i = 0; i < f->n; i++)
    f->files[i].name = f->names.data + f->files[i].at;
  import_folder_count (f);
  TRY (deal_out (f, draw));
  import_folder_count (f);
  if (f->n > 0)
    qsort (f->files, (size_t)f->n, sizeof *f->files, by_place);
  if (f->count[DATA_TRAIN] == 0)
    return fail (E_DATA, "%s: no images to train on", dirs[0]);
  return OK;
}
