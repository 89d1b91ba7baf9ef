/* store/file.h -- files put in place whole or not at all. */
#ifndef STORE_FILE_H
#define STORE_FILE_H

#include "base/status.h"
#include "base/text.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Make a directory and its parents; one that is there is fine.  E_IO. */
enum status
store_file_folder (const char *path);
/* Make the parents of a file. */
enum status
store_file_parents (const char *path);
/* Bytes of a file, or -1 when it cannot be asked. */
int64_t
store_file_bytes (const char *path);
/* "a link", "a pipe", by st_mode. */
const char *
store_file_kind_words (unsigned mode);
bool
store_file_is_folder (const char *path);
/* Ask the file system for bytes under path, so that a full disk or a quota is
 * known before anything is written.  E_IO. */
enum status
store_file_reserve (const char *path, int64_t bytes);
/* Bring a file's bytes to the disk.  E_IO. */
enum status
store_file_sync (const char *path);
/* Ask the system to forget a synced file's pages, so that reading it again
 * reads the disk.  Where it does not, nothing is lost. */
void
store_file_forget (const char *path);
/* Whether a file can be opened here, with descriptors to spare: some MPI hang
 * in MPI_File_open where one rank cannot.  Fails with bad. */
enum status
store_file_openable (const char *path, bool write, enum status bad);
/* Rename a synced file over another name and sync the directory.  E_IO. */
enum status
store_file_rename (const char *from, const char *to);
/* The whole file; *data is owned by the caller and followed by a NUL that size
 * does not count. */
enum status
store_file_read (const char *path, char **data, size_t *size);
/* Write and sync a file, which is not there when that fails.  E_IO. */
enum status
store_file_write (const char *path, const void *data, size_t size);
/* Write over the beginning of a file that is there and cut it behind that: this
 * needs no room on a full disk, and is not whole at every moment.  Not through
 * a link.  E_IO. */
enum status
store_file_overwrite (const char *path, const char *text);
/* Write a whole file under another name, sync it, rename it.  E_IO. */
enum status
store_file_put (const char *path, const char *text);
/* The digest of all bytes of a file.  E_MISSING, E_IO. */
enum status
store_file_digest (const char *path, char out[33]);

/* -- outputs by names that users give (output.c, results.c) ---------------- */

struct store_output {
  char *to;      /* behind all links; owned */
  char *part;    /* to be made, and unlinked when that fails; owned */
  bool stream;   /* a pipe, a device or fd: written to, never replaced */
  int fd;        /* ours already; -1: none */
  unsigned mode; /* of the file that is replaced; 0: none */
};
/* What a name stands for.  E_USAGE where it is no output. */
enum status
store_output_open (const char *name, struct store_output *o);
/* Make the directories above a new file, and remove what a process of this host
 * that was killed has left of it half-made.  E_IO. */
enum status
store_output_parents (const struct store_output *o);
/* The part takes its place, or runs through; it is gone then. */
enum status
store_output_publish (const struct store_output *o);
void
store_output_clear (struct store_output *o);

/* A whole file under a name that the user gave, or nothing; through links,
 * pipes and devices.  Its directory has to be there.  E_USAGE, E_IO. */
enum status
store_output_put (const char *name, const void *data, size_t size);

struct store_piece { /* all borrowed */
  const char *path;
  const void *data;
  size_t size;
};
/* Files that belong together, their directories made.  All are written under
 * other names and synced before the first is renamed: where one cannot be
 * written, what was there before stays as it was.  E_IO. */
enum status
store_set_write (const struct store_piece *piece, int n);

/* -- signals (interrupt.c) ------------------------------------------------- */

/* From now on INT, TERM, HUP, USR1 and USR2, unless ignored, remove PART before
 * they end the process; part NULL: no longer.  remove (NULL: nothing more):
 * whatever else lies there, called in the handler with PART and its length,
 * behind which there is room. */
#define STORE_INTERRUPT_ROOM 16
void
store_interrupt_guard (const char *part,
                       void (*remove) (char *path, size_t bytes));
/* The program that they end as well; 0: none. */
void
store_interrupt_child (pid_t pid);

/* -- names ----------------------------------------------------------------- */

/* The namespace of this process's number: with host and number it names a
 * temporary file that no other process has.  0: not known. */
int64_t
store_process_space (void);

/* The last part of a path; what stands before it, in out ("." when nothing). */
const char *
store_file_name (const char *path);
void
store_file_directory (const char *path, struct text *out);

#endif
