/* sweep/submit.c -- gives the runs that are not finished to sbatch.
 *
 * Runs that start on the same number of ranks go into one array, which has at
 * most as many tasks as Slurm's MaxArraySize.  A list, one id in a line, says
 * which runs a task does: so a sweep file that changes later does not change
 * what was submitted.  jobs/sweep.sbatch gets everything twice, in the
 * environment and as arguments, since some sites do not pass the environment
 * on.
 */
#include "sweep/sweep_impl.h"

#include "base/memory.h"
#include "base/spawn.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define TASKS_AT_MOST 1001 /* Slurm's own default */
#define WORDS 64

struct submission {
  struct sweep *s;
  const struct sweep_submit *how;
  struct text *out;
  struct text folder; /* ROOT/submitted */
  char *script;       /* owned */
  int pack, at_once;
  int max_tasks; /* of one array */
  int list;      /* number of the next list */
  int n_runs, n_jobs;
};

static enum status
absolute (const char *path, char **out)
{
  char here[4096];
  struct text t;
  if (path[0] == '/')
    return mem_text (path, out);
  if (!getcwd (here, sizeof here))
    return fail (E_MISSING, "no working directory: %s", strerror (errno));
  text_init (&t);
  text_add (&t, "%s/%s", here, path);
  enum status e = mem_text (t.data, out);
  text_clear (&t);
  return e;
}

/* -- the script ------------------------------------------------------------ */

/* FOLDER OF path, then behind; true when it is there. */
static bool
beside (const char *path, const char *behind, struct text *out)
{
  const char *slash = strrchr (path, '/');
  text_clear (out);
  text_add (out, "%.*s%s", slash ? (int)(slash + 1 - path) : 0, path, behind);
  return access (out->data, R_OK) == 0;
}

static enum status
find_script (struct submission *u)
{
  const struct sweep *s = u->s;
  const char *environment = getenv ("SWEEP_SCRIPT");
  const char *given = u->how->script ? u->how->script
                      : s->script    ? s->script
                                     : environment;
  struct text t;
  enum status e = OK;
  text_init (&t);
  if (given) {
    text_add (&t, "%s", given);
    if (access (given, R_OK) != 0)
      e = fail (E_MISSING, "%s: %s", given, strerror (errno));
  } else if (!beside (s->file, "sweep.sbatch", &t) &&
             !beside ("", "jobs/sweep.sbatch", &t) &&
             !(u->how->jobs && beside (u->how->jobs, "sweep.sbatch", &t)))
    e = fail (E_MISSING,
              "sweep.sbatch is neither beside %s nor in jobs/, nor installed "
              "with this program: name it with --script",
              s->file);
  if (e == OK)
    e = absolute (t.data, &u->script);
  text_clear (&t);
  return e;
}

/* -- files ----------------------------------------------------------------- */

static enum status
make_folder (const char *path)
{
  struct text t;
  enum status e = OK;
  text_init (&t);
  for (const char *p = path; e == OK && *p;) {
    size_t n = strspn (p, "/") + strcspn (p + strspn (p, "/"), "/");
    text_add (&t, "%.*s", (int)n, p);
    p += n;
    if (mkdir (t.data, 0777) != 0 && errno != EEXIST)
      e = fail (E_IO, "%s: not made: %s", t.data, strerror (errno));
  }
  text_clear (&t);
  return e;
}

/* A list of `n` runs under the next free number; its absolute path. */
static enum status
write_list (struct submission *u, const int *runs, int n, char **path)
{
  struct text t;
  int fd = -1;
  text_init (&t);
  do {
    text_clear (&t);
    text_add (&t, "%s/%06d.list", u->folder.data, u->list++);
    fd = open (t.data, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666);
  } while (fd < 0 && errno == EEXIST);
  FILE *f = fd >= 0 ? fdopen (fd, "w") : NULL;
  for (int i = 0; f && i < n; i++)
    fprintf (f, "%s\n", u->s->run[runs[i]].id);
  enum status e = OK;
  if (!f || fclose (f) != 0)
    e = fail (E_IO, "%s: not written: %s", t.data, strerror (errno));
  if (e == OK)
    e = absolute (t.data, path);
  text_clear (&t);
  return e;
}

static enum status
remember (struct submission *u, const char *job, const int *runs, int n)
{
  struct text t;
  text_init (&t);
  text_add (&t, "%s/jobs", u->folder.data);
  FILE *f = fopen (t.data, "ae");
  for (int i = 0; f && i < n; i++)
    fprintf (f, "%s %d %s\n", job, i / u->pack, u->s->run[runs[i]].id);
  enum status e = OK;
  if (!f || fclose (f) != 0)
    e = fail (E_IO, "%s: not written: %s (job %s was submitted)", t.data,
              strerror (errno), job);
  text_clear (&t);
  return e;
}

/* -- one array ------------------------------------------------------------- */

struct call {
  const char *words[WORDS];
  int n;
  char name[128], array[64], tasks[32], pack[32], ranks[32];
  char *file, *list; /* absolute; owned */
};

static void
add_word (struct call *c, const char *word)
{
  if (c->n < WORDS - 1)
    c->words[c->n++] = word;
}

static enum status
make_call (struct submission *u, const int *runs, int n, struct call *c)
{
  const struct sweep_submit *how = u->how;
  int ranks = u->s->run[runs[0]].ranks, tasks = (n + u->pack - 1) / u->pack;
  if (how->n_words + 16 > WORDS)
    return fail (E_USAGE, "more than %d words for sbatch", WORDS - 16);
  TRY (absolute (u->s->file, &c->file));
  snprintf (c->name, sizeof c->name, "--job-name=%s", u->s->name);
  snprintf (c->array, sizeof c->array, "--array=0-%d", tasks - 1);
  if (u->at_once > 0) {
    size_t at = strlen (c->array);
    snprintf (c->array + at, sizeof c->array - at, "%%%d", u->at_once);
  }
  /* Fewer runs than a full pack need fewer tasks. */
  int side = n < u->pack ? n : u->pack;
  snprintf (c->tasks, sizeof c->tasks, "--ntasks=%d", ranks * side);
  snprintf (c->pack, sizeof c->pack, "%d", u->pack);
  snprintf (c->ranks, sizeof c->ranks, "%d", ranks);
  add_word (c, "sbatch");
  add_word (c, "--parsable");
  add_word (c, c->name);
  add_word (c, c->array);
  add_word (c, c->tasks);
  for (int i = 0; i < how->n_words; i++)
    add_word (c, how->words[i]);
  add_word (c, u->script);
  add_word (c, c->file);
  add_word (c, c->list);
  add_word (c, c->pack);
  add_word (c, c->ranks);
  add_word (c, how->program);
  return OK;
}

/* For a shell: quoted where it must be. */
static void
add_quoted (const char *word, struct text *out)
{
  static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUV"
                              "WXYZ0123456789_-+=:,./@%";
  if (word[0] && strspn (word, plain) == strlen (word)) {
    text_add (out, " %s", word);
    return;
  }
  text_add (out, " '");
  for (const char *p = word; *p; p++)
    text_add (out, *p == '\'' ? "'\\''" : "%c", *p);
  text_add (out, "'");
}

static void
show_call (const struct call *c, struct text *out)
{
  text_add (out, "sbatch");
  for (int i = 1; i < c->n; i++)
    add_quoted (c->words[i], out);
  text_add (out, "\n");
}

static void
set_environment (const struct submission *u, const struct call *c)
{
  setenv ("SWEEP", c->file, 1);
  setenv ("SWEEP_LIST", c->list, 1);
  setenv ("SWEEP_PACK", c->pack, 1);
  setenv ("SWEEP_RANKS", c->ranks, 1);
  setenv ("INTERLOCK", u->how->program, 1);
  /* Slurm runs a copy of the script: where its fellows lie. */
  struct text jobs;
  text_init (&jobs);
  text_add (&jobs, "%.*s", (int)(strrchr (u->script, '/') - u->script),
            u->script);
  setenv ("JOBS", jobs.data, 1);
  text_clear (&jobs);
}

/* sbatch --parsable prints "JOB" or "JOB;CLUSTER". */
static enum status
call_sbatch (struct submission *u, struct call *c, char job[32])
{
  char *said = NULL;
  int code;
  set_environment (u, c);
  TRY (spawn_read (c->words, false, &said, &code));
  size_t n = strspn (said, "0123456789");
  snprintf (job, 32, "%.*s", (int)(n < 31 ? n : 31), said);
  mem_free (&said);
  if (code == 127)
    return fail (E_MISSING, "sbatch is not here: submit on a login node of a "
                            "Slurm cluster, or `run --missing` without Slurm");
  if (code != 0 || n == 0)
    return fail (E_MISSING,
                 "sbatch refused (code %d); %d run%s submitted before that",
                 code, u->n_runs, u->n_runs == 1 ? " was" : "s were");
  return OK;
}

static enum status
submit_array (struct submission *u, const int *runs, int n)
{
  struct call c = {.n = 0};
  char job[32] = "";
  enum status e = OK;
  if (u->how->dry)
    e = mem_text ("LIST", &c.list);
  else
    e = write_list (u, runs, n, &c.list);
  if (e == OK)
    e = make_call (u, runs, n, &c);
  if (e == OK && u->how->dry) {
    text_add (u->out, "# LIST:");
    for (int i = 0; i < n; i++)
      text_add (u->out, " %s", u->s->run[runs[i]].id);
    text_add (u->out, "\n");
    show_call (&c, u->out);
  } else if (e == OK) {
    e = call_sbatch (u, &c, job);
    if (e == OK)
      e = remember (u, job, runs, n);
    else
      unlink (c.list);
    if (e == OK)
      text_add (u->out, "job %s: %d run%s of %s rank%s, list %s\n", job, n,
                n == 1 ? "" : "s", c.ranks, strcmp (c.ranks, "1") ? "s" : "",
                c.list);
  }
  if (e == OK) {
    u->n_runs += n;
    u->n_jobs++;
  }
  mem_free (&c.file);
  mem_free (&c.list);
  return e;
}

/* -- all of them ----------------------------------------------------------- */

/* MaxArraySize: indices go up to one less. */
static int
max_tasks (void)
{
  static const char *const words[] = {"scontrol", "show", "config", NULL};
  char *text = NULL;
  int code, n = TASKS_AT_MOST;
  if (spawn_read (words, true, &text, &code) != OK) {
    fail_clear ();
    return n;
  }
  const char *at = code == 0 ? strstr (text, "MaxArraySize") : NULL;
  at = at ? strchr (at, '=') : NULL;
  if (at && strtol (at + 1, NULL, 10) > 0)
    n = (int)strtol (at + 1, NULL, 10);
  mem_free (&text);
  return n;
}

static enum status
submit_all (struct submission *u)
{
  struct sweep *s = u->s;
  int *group = NULL;
  bool *taken = NULL;
  enum status e = MEM_NEW ((size_t)s->n_runs + 1, &group, "runs");
  if (e == OK)
    e = MEM_NEW ((size_t)s->n_runs + 1, &taken, "runs");
  int most =
      u->max_tasks > (1 << 20) / u->pack ? 1 << 20 : u->max_tasks * u->pack;
  for (int i = 0; e == OK && i < s->n_runs; i++) {
    if (taken[i] || !sweep_wants (&s->run[i]))
      continue;
    int n = 0;
    for (int j = i; j < s->n_runs; j++)
      if (sweep_wants (&s->run[j]) && s->run[j].ranks == s->run[i].ranks) {
        group[n++] = j;
        taken[j] = true;
      }
    for (int from = 0; e == OK && from < n; from += most)
      e = submit_array (u, group + from, n - from < most ? n - from : most);
  }
  mem_free (&group);
  mem_free (&taken);
  return e;
}

/* Locks the folder of lists: two submits at the same time would find the same
 * runs missing. */
static enum status
hold_folder (struct submission *u, int *fd)
{
  TRY (make_folder (u->folder.data));
  *fd = open (u->folder.data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (*fd < 0)
    return fail (E_IO, "%s: %s", u->folder.data, strerror (errno));
  if (flock (*fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
    return fail (E_USAGE, "%s: somebody else is submitting this sweep",
                 u->folder.data);
  return OK;
}

enum status
sweep_submit (struct sweep *s, const struct sweep_submit *how, struct text *out)
{
  struct submission u = {.s = s,
                         .how = how,
                         .out = out,
                         .pack = how->pack > 0 ? how->pack : s->pack,
                         .at_once =
                             how->at_once > 0 ? how->at_once : s->at_once,
                         .list = 1};
  int fd = -1;
  text_init (&u.folder);
  text_add (&u.folder, "%s/" SWEEP_FOLDER, s->root);
  enum status e = find_script (&u);
  if (e == OK && !how->dry)
    e = hold_folder (&u, &fd);
  if (e == OK)
    e = sweep_look (s);
  if (e == OK) {
    u.max_tasks = max_tasks ();
    e = submit_all (&u);
  }
  if (e == OK && u.n_runs == 0)
    text_add (out, "nothing to submit\n");
  else if (e == OK)
    text_add (out, "%s%d run%s in %d job array%s\n",
              how->dry ? "# would submit " : "submitted ", u.n_runs,
              u.n_runs == 1 ? "" : "s", u.n_jobs, u.n_jobs == 1 ? "" : "s");
  if (fd >= 0)
    close (fd);
  mem_free (&u.script);
  text_clear (&u.folder);
  return e;
}
