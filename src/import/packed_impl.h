/* import/packed_impl.h -- archives that are read as the folders in them.
 *
 *   file     files and folders by their paths, on the disk or in an archive:
 *            "photos.zip/cats/1.jpg" is one
 *   packed   reading archives
 *
 * What an archive holds lies in one file without a name beside the output: no
 * path in it is ever made, no link followed, and whatever ends the process ends
 * the file.
 */
#ifndef IMPORT_PACKED_IMPL_H
#define IMPORT_PACKED_IMPL_H

#include "base/text.h"
#include "import/import_impl.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* -- archives (packed.c) --------------------------------------------------- */

/* Read those of the job's inputs that are archives: they are folders from here
 * on.  inputs[n_inputs] gets the path of each: of an archive, of the folder in
 * it that holds all others; owned by the caller.  Of files that wanted does not
 * want, only the name is kept.  E_DATA names archive and member:
 * what is damaged, leads out of the folder, or takes more than 100 times the
 * archive's room. */
enum status
import_packed_open (const struct import_job *job,
                    bool (*wanted) (const char *name), char **inputs);
/* Let all of them go. */
void
import_packed_close (void);

/* -- what is in one (file.c) ----------------------------------------------- */

struct import_member {
  size_t in_names;  /* where its name begins while names grow */
  const char *name; /* below the archive; ends with "/" where it is a folder */
  int64_t at, bytes;
};

struct import_packed {
  char *path; /* as the user gave it; owned */
  int fd;     /* of the bytes */
  int64_t bytes;
  struct text names;            /* each with a line end or NUL behind it */
  struct import_member *member; /* n; owned */
  size_t n, room;
};
/* Of the archive, a file at the end of its bytes, or a folder ("name/"). */
enum status
import_packed_add (struct import_packed *p, const char *name, int64_t bytes);
/* All are there: an archive is found by its path.  Takes *p. */
enum status
import_packed_done (struct import_packed *p);
void
import_packed_clear (struct import_packed *p);

/* -- files and folders, there or here (file.c) ----------------------------- */

struct import_file {
  int fd;
  int64_t at, left; /* of an archive's; left -1: a file of its own */
};
/* E_MISSING. */
enum status
import_file_open (const char *path, struct import_file *f);
/* Up to room bytes, 0 at the end; -1 by errno. */
ssize_t
import_file_take (struct import_file *f, void *out, size_t room);
void
import_file_close (struct import_file *f);
/* As store_file_read does it. */
enum status
import_file_read (const char *path, char **data, size_t *size);

bool
import_file_there (const char *path);
bool
import_file_is_folder (const char *path);
/* Whether path is a folder of an archive. */
bool
import_file_packed (const char *path);

struct import_name {
  char name[256]; /* longer ones are cut */
  bool folder;
  int64_t bytes;
};
/* What is in a folder of an archive, one after the other, from *at = 0 on;
 * false at the end. */
bool
import_file_next (const char *folder, size_t *at, struct import_name *out);

#endif
