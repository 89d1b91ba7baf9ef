/* import/folder_impl.h -- folders of images by class, and the data set made of
 * them.
 *
 *   folder         which files there are, of which class and split
 *   folder_write   the data set file, one image after the other
 *   import_folder  options, and the two in turn
 */
#ifndef IMPORT_FOLDER_IMPL_H
#define IMPORT_FOLDER_IMPL_H

#include "base/text.h"
#include "data/data.h"

struct import_folder_file {
  const char *name; /* below its folder: "train/cat/1.jpg"; in names */
  size_t at;        /* of the name in names, while that grows */
  int64_t bytes;
  int dir; /* which of the folders */
  int label;
  enum data_split split;
  bool bad; /* does not decode */
};

/* The folders of the splits in one of the folders, as they are spelt; "" where
 * there is none. */
struct import_folder_top {
  char name[DATA_SPLITS][16];
  char twice[DATA_SPLITS][16]; /* another spelling that is there as well */
};

struct import_folder {
  int n_dirs;
  const char *const *dirs;          /* borrowed */
  struct text names;                /* of files, each with a NUL behind it */
  struct import_folder_file *files; /* n; by split, class, name and folder, in
                                      the order of bytes; owned */
  int64_t n, room;
  char **classes; /* n_classes, in the order of bytes; owned, texts too */
  int n_classes, classes_room;
  int64_t others;      /* files that are neither JPEG nor PNG by their names */
  struct text example; /* the path of one of them */
  int64_t flat;        /* images that lie in no folder of a class */
  struct text flat_example;
  int64_t beside; /* folders beside those of the splits */
  struct text beside_example;
  struct import_folder_top *tops; /* n_dirs; owned */
  bool split_by_folder;           /* there are train and others */
  int64_t count[DATA_SPLITS];
};

struct import_folder_draw {
  double share[DATA_SPLITS]; /* of valid and test; below 0: as is usual, a
                                 twentieth where no folder says what is what */
  uint64_t seed;
};

void
import_folder_init (struct import_folder *f);
void
import_folder_clear (struct import_folder *f);
/* Look through the folders, which are borrowed.  E_MISSING for one that is not
 * there; E_DATA for a class that train does not have, or has no images of;
 * E_CONFIG for a share of what has a folder of its own. */
enum status
import_folder_read (struct import_folder *f, int n_dirs,
                    const char *const *dirs,
                    const struct import_folder_draw *draw);
/* Whether it is to be read, by its name. */
bool
import_folder_is_image (const char *name);
/* The split that a folder of this name is, as people call them; -1: none. */
int
import_folder_split (const char *name);
/* How many files each split has. */
void
import_folder_count (struct import_folder *f);
/* A file's path. */
void
import_folder_path (const struct import_folder *f,
                    const struct import_folder_file *file, struct text *out);

struct import_folder_spec {
  const char *name, *origin;
  int size;
  bool raw;      /* pixels in place of JPEG */
  bool orient;   /* turn images as their EXIF says */
  bool skip_bad; /* go on without images that do not decode */
};
struct import_folder_done { /* what there is to tell */
  int64_t encoded;          /* PNG images made JPEG */
  int64_t warned;           /* images that libjpeg-turbo finds odd */
  struct text warning;      /* about the first of them */
  int64_t bytes;            /* of the images as stored */
  int64_t held; /* images whose EXIF says that they are to be turned */
  struct text held_example;
  int64_t bad; /* left out, since they do not decode */
};
/* The data set file.  Images that do not decode are said, all of them; E_DATA,
 * or they are taken out of f. */
enum status
import_folder_write (struct import_folder *f,
                     const struct import_folder_spec *spec, const char *output,
                     struct import_folder_done *done);

/* -- how a camera was held (orient.c) -------------------------------------- */

/* EXIF's orientation of a JPEG or PNG, 1 to 8; 1: as it lies, or not said. */
int
import_orient_of (const unsigned char *data, size_t n);
/* Turn an image [height, width, 3] by it; width and height may change places.
 */
void
import_orient_turn (int way, const unsigned char *rgb, int *width, int *height,
                    unsigned char *out);

#endif
