/* main/where.c -- where the files lie that belong to the program: as make
 * install has put them, also below a DESTDIR or moved elsewhere since, or in
 * the sources, for a program that lies where it was built.
 *
 * A build directory has a file source-tree, which names the sources.
 */
#include "main/main.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* As configured, and from the folder of the program where all was moved. */
static const struct {
  const char *name, *installed, *moved;
} folders[] = {
    {"jobs", IL_DATADIR "/jobs", "/../share/interlock/jobs"},
    {"datasets", IL_DATADIR "/datasets", "/../share/interlock/datasets"},
    {"doc", IL_DOCDIR "/doc", "/../share/doc/interlock/doc"}};
#define N_FOLDERS ((int)(sizeof folders / sizeof *folders))

/* The folder of this program, without a slash at its end. */
static enum status
program_folder (char out[CONFIG_PATH])
{
  ssize_t n = readlink ("/proc/self/exe", out, CONFIG_PATH - 1);
  if (n <= 0 || n >= CONFIG_PATH - 1)
    return fail (E_MISSING, "the path of this program cannot be found out");
  out[n] = '\0';
  *strrchr (out, '/') = '\0';
  return OK;
}

/* The sources of a program in its build directory; false: it is not in one. */
static bool
source_tree (const char *program, struct text *out)
{
  char line[CONFIG_PATH] = "", path[CONFIG_PATH + 16];
  snprintf (path, sizeof path, "%s/source-tree", program);
  FILE *f = fopen (path, "r");
  bool good = f && fgets (line, sizeof line, f);
  if (f)
    fclose (f);
  line[strcspn (line, "\n")] = '\0';
  text_add (out, "%s", line);
  return good;
}

/* What stands before the folder of programs as configured: "" where it was
 * installed, DESTDIR below one; false: the program is somewhere else. */
static bool
root_of (const char *program, char root[CONFIG_PATH])
{
  size_t n = strlen (program), tail = strlen (IL_BINDIR);
  if (n < tail || strcmp (program + n - tail, IL_BINDIR) != 0)
    return false;
  snprintf (root, CONFIG_PATH, "%.*s", (int)(n - tail), program);
  return true;
}

/* Adds the place, without dots and links; false when there is nothing, and out
 * is as before. */
static bool
place (struct text *out, const char *root, const char *path)
{
  char real[PATH_MAX];
  struct text t;
  text_init (&t);
  text_add (&t, "%s%s", root, path);
  bool there = realpath (t.data, real) != NULL;
  if (there)
    text_add (out, "%s", real);
  text_clear (&t);
  return there;
}

static bool
find (int i, const char *program, struct text *out)
{
  char root[CONFIG_PATH];
  struct text sources;
  text_init (&sources);
  if (source_tree (program, &sources))
    text_add (&sources, "/%s", folders[i].name);
  bool found =
      (sources.size > 0 && place (out, "", sources.data)) ||
      (root_of (program, root) && place (out, root, folders[i].installed)) ||
      place (out, program, folders[i].moved) ||
      place (out, "", folders[i].installed);
  text_clear (&sources);
  return found;
}

enum status
where_is (const char *name, struct text *out)
{
  char program[CONFIG_PATH], near[TEXT_NEAR] = "";
  TRY (program_folder (program));
  for (int i = 0; i < N_FOLDERS; i++)
    if (strcmp (folders[i].name, name) == 0)
      return find (i, program, out)
                 ? OK
                 : fail (E_MISSING,
                         "%s: neither installed with %s/interlock "
                         "nor in %s",
                         name, program, folders[i].installed);
  text_among (WHERE, name, near);
  return fail (E_USAGE, "--where %s: wanted one of " WHERE "%s%s%s", name,
               near[0] ? "; did you mean " : "", near, near[0] ? "?" : "");
}
