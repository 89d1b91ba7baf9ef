/* main/file.c -- texts from files to all ranks, and to the terminal.
 *
 * A file is read by the root rank alone; its text, or the reason why there is
 * none, goes to all.
 */
#include "main/main.h"

#include "base/log.h"
#include "base/memory.h"
#include "wire/wire.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static enum status
read_bytes (FILE *file, const char *path, char **out)
{
  char *text = NULL;
  size_t size = 0, room = 0;
  enum status s = OK;
  do {
    if (size + 1 >= room) {
      size_t more = room ? 2 * room : 16384;
      TRY_GOTO (mem_grow (&text, room, more, 1, "a configuration"), fail);
      room = more;
    }
    size += fread (text + size, 1, room - size - 1, file);
  } while (!feof (file) && !ferror (file) && size < (1u << 24));
  if (ferror (file) || !feof (file))
    TRY_GOTO (fail (E_MISSING, "%s: cannot be read as a configuration", path),
              fail);
  if (memchr (text, '\0', size))
    TRY_GOTO (fail (E_CONFIG, "%s: not a text file", path), fail);
  text[size] = '\0';
  *out = text;
  return OK;
fail:
  mem_free (&text);
  return s;
}

bool
file_is_directory (const char *path)
{
  struct stat st;
  return stat (path, &st) == 0 && S_ISDIR (st.st_mode);
}

enum status
file_read (const char *path, char **out)
{
  if (file_is_directory (path))
    return fail (E_USAGE,
                 "%s is a directory; a configuration is a file, as "
                 "%s/config.ini",
                 path, path);
  FILE *file = fopen (path, "r");
  if (!file)
    return fail (E_MISSING, "%s: %s", path, strerror (errno));
  enum status s = read_bytes (file, path, out);
  fclose (file);
  return s;
}

enum status
file_verdict (struct wire *w, enum status s)
{
  int verdict = (int)s;
  TRY (wire_broadcast (w, &verdict, sizeof verdict, 0));
  if (verdict != (int)OK) {
    char *message = NULL;
    enum status t = OK;
    if (wire_rank (w) == 0)
      t = mem_text (fail_message (), &message);
    TRY (wire_agree (w, t));
    TRY (wire_broadcast_text (w, &message, 0));
    fail_clear ();
    fail ((enum status)verdict, "%s", message);
    mem_free (&message);
  }
  return wire_agree (w, (enum status)verdict);
}

void
file_print (const struct text *out)
{
  bool ended = out->size > 0 && out->data[out->size - 1] == '\n';
  put ("%s%s", out->data, ended ? "" : "\n");
}

enum status
file_share (struct wire *w, const char *path, char **out)
{
  enum status s = OK;
  if (wire_rank (w) == 0)
    s = file_read (path, out);
  TRY (file_verdict (w, s));
  return wire_broadcast_text (w, out, 0);
}
