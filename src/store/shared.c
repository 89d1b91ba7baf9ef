/* store/shared.c -- whole texts, put in place by a link, which the file system
 * gives to one process alone.
 */
#include "store/shared.h"
#include "base/memory.h"
#include "base/text.h"
#include "store/file.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* A name that no other process has. */
static void
part_name (const char *path, struct text *out)
{
  char host[256] = "";
  gethostname (host, sizeof host - 1);
  text_add (out, "%s.%s.%lld.%ld.part", path, host,
            (long long)store_process_space (), (long)getpid ());
}

/* Where a file system has no links, it is renamed; two at once may then differ
 * in what they read, for a moment.  One that is there is fine. */
static enum status
place (const char *part, const char *path)
{
  if (link (part, path) == 0 || errno == EEXIST)
    return OK;
  if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS &&
      errno != EMLINK)
    return fail (E_IO, "%s: cannot be made: %s", path, strerror (errno));
  return access (path, F_OK) == 0 ? OK : store_file_rename (part, path);
}

static enum status
offer (const char *path, const char *mine)
{
  struct text part;
  text_init (&part);
  part_name (path, &part);
  enum status e = store_file_parents (path);
  if (e == OK)
    e = store_file_write (part.data, mine, strlen (mine));
  if (e == OK)
    e = place (part.data, path);
  unlink (part.data);
  text_clear (&part);
  return e;
}

enum status
store_shared_text (const char *dir, const char *name, const char *mine,
                   char **out)
{
  struct text path;
  size_t size;
  text_init (&path);
  text_add (&path, "%s/%s", dir, name);
  enum status e = access (path.data, F_OK) == 0 ? OK : offer (path.data, mine);
  if (e == OK)
    e = store_file_read (path.data, out, &size);
  text_clear (&path);
  return e;
}
