/* ranks: 0 */
/* tests/store/record.c -- the run directory: lock, rows, lines, whole files. */
#include "store/store.h"
#include "tests/store/scratch.h"
#include "tests/tap.h"

#include "base/log.h"
#include "base/memory.h"
#include <jansson.h>
#include <sys/wait.h>

/* A whole file, or ""; one of two buffers. */
static const char *
slurp (const char *path)
{
  static char buffers[2][4096];
  static int turn;
  char *out = buffers[turn ^= 1];
  FILE *f = fopen (path, "r");
  size_t n = f ? fread (out, 1, sizeof buffers[0] - 1, f) : 0;
  out[n] = '\0';
  if (f)
    fclose (f);
  return out;
}

static bool
message_has (const char *const *words)
{
  bool good = true;
  for (int i = 0; words[i]; i++)
    good = good && strstr (fail_message (), words[i]);
  if (!good)
    tap_note ("%s", fail_message ());
  fail_clear ();
  return good;
}

/* -- lock ------------------------------------------------------------------ */

static void
lock_text (const char *dir, const char *host, long pid, const char *job,
           int restart, long start)
{
  char text[512], path[600];
  snprintf (text, sizeof text,
            "{\"host\": \"%s\", \"pid\": %ld, \"job\": \"%s\", "
            "\"restart\": %d, \"start\": %ld}\n",
            host, pid, job, restart, start);
  snprintf (path, sizeof path, "%s/lock", dir);
  scratch_write (path, text, strlen (text));
}

/* The number of a process that has ended and been waited for. */
static long
dead_process (void)
{
  pid_t pid = fork ();
  if (pid == 0)
    _exit (0);
  waitpid (pid, NULL, 0);
  return (long)pid;
}

static bool
opens (const char *dir)
{
  struct store_run *r = NULL;
  enum status s = store_run_open (dir, &r);
  store_run_close (&r);
  if (s != OK)
    tap_note ("%s", fail_message ());
  fail_clear ();
  return s == OK;
}

static void
test_lock (void)
{
  char host[256] = "", dir[512], pid[32];
  struct store_run *r = NULL, *second = NULL;
  gethostname (host, sizeof host - 1);
  snprintf (dir, sizeof dir, "%s", scratch ("deep/er/run"));
  snprintf (pid, sizeof pid, "process %ld", (long)getpid ());
  setenv ("SLURM_JOB_ID", "4711", 1);
  tap_ok (store_run_open (dir, &r) == OK, "opens, with parents made");
  json_error_t error;
  char path[600];
  snprintf (path, sizeof path, "%s/lock", dir);
  json_t *j = json_load_file (path, 0, &error);
  tap_ok (json_integer_value (json_object_get (j, "pid")) == getpid () &&
              !strcmp (json_string_value (json_object_get (j, "host")), host) &&
              !strcmp (json_string_value (json_object_get (j, "job")), "4711"),
          "the lock names host, process and job");
  json_decref (j);
  const char *const words[] = {dir,      pid,  host, "job 4711",
                               "remove", path, NULL};
  tap_ok (store_run_open (dir, &second) == E_USAGE && message_has (words) &&
              !second,
          "a second one is refused, naming the first and the cure");
  store_run_close (&r);
  tap_ok (access (path, F_OK) != 0 && opens (dir), "closed: free again");

  lock_text (dir, host, dead_process (), "1", 0, 0);
  tap_ok (opens (dir), "stale: its process is gone");
  lock_text (dir, host, (long)getpid (), "1", 0, 1);
  tap_ok (opens (dir), "stale: its number belongs to a later process");
  lock_text (dir, host, (long)getppid (), "1", 0, 0);
  tap_ok (!opens (dir), "not stale: its process lives");
  lock_text (dir, "far-away", dead_process (), "1", 0, 0);
  tap_ok (!opens (dir), "not stale: another host cannot be asked");
  setenv ("SLURM_RESTART_COUNT", "2", 1);
  lock_text (dir, "far-away", 5, "4711", 1, 0);
  tap_ok (opens (dir), "stale: this job before it was restarted");
  lock_text (dir, "far-away", 5, "4711", 2, 0);
  tap_ok (!opens (dir), "not stale: this job as it runs");
  lock_text (dir, "far-away", 5, "4712", 1, 0);
  tap_ok (!opens (dir), "not stale: another job");
  scratch_write (path, "rubbish", 7);
  tap_ok (!opens (dir), "not stale: a lock that cannot be read");
  unlink (path);
  unsetenv ("SLURM_RESTART_COUNT");
}

/* Many start at once on a stale lock: one gets it. */
static void
test_race (void)
{
  char host[256] = "", dir[512];
  struct store_run *r = NULL;
  int winners = 0, n = 6;
  gethostname (host, sizeof host - 1);
  snprintf (dir, sizeof dir, "%s", scratch ("race"));
  bool good = opens (dir);
  lock_text (dir, host, dead_process (), "1", 0, 0);
  for (int i = 0; i < n; i++)
    if (fork () == 0) {
      log_level_set (LOG_ERROR);
      bool won = store_run_open (dir, &r) == OK;
      if (won)
        usleep (300000); /* hold it while the others try */
      _exit (won ? 1 : 0);
    }
  for (int i = 0; i < n; i++) {
    int code = 0;
    wait (&code);
    winners += WIFEXITED (code) ? WEXITSTATUS (code) : 100;
  }
  tap_ok (good && winners == 1, "of %d at once %d got the lock", n, winners);
}

/* -- metrics --------------------------------------------------------------- */

static const char *const columns[] = {"step", "epoch", "head0_loss", "lr"};

static void
test_metrics (void)
{
  char dir[512];
  struct store_run *r = NULL;
  snprintf (dir, sizeof dir, "%s", scratch ("metrics"));
  double first[] = {10, 0.5, NAN, 0.1};
  double second[] = {3000000000.0, 1, 1.0 / 3, 1e-7};
  bool good = store_run_open (dir, &r) == OK &&
              store_run_metrics (r, 4, columns, "train", first) == OK &&
              store_run_metrics (r, 4, columns, "valid", second) == OK;
  const char *some[] = {"step", "lr"};
  double values[] = {11, 0.25};
  good = good && store_run_metrics (r, 2, some, "train", values) == OK;
  const char *wanted = "step,epoch,split,head0_loss,lr\n"
                       "10,0.5,train,,0.1\n"
                       "3000000000,1,valid,0.333333333,1e-07\n"
                       "11,,train,,0.25\n";
  const char *path = scratch ("metrics/metrics.csv");
  tap_ok (good && strcmp (slurp (path), wanted) == 0, "rows");
  store_run_close (&r);

  /* A killed run leaves half a row. */
  FILE *f = fopen (path, "a");
  fputs ("12,0.6,tra", f);
  fclose (f);
  good = store_run_open (dir, &r) == OK &&
         store_run_metrics (r, 4, columns, "test", first) == OK;
  char longer[1024];
  snprintf (longer, sizeof longer, "%s10,0.5,test,,0.1\n", wanted);
  tap_ok (good && strcmp (slurp (path), longer) == 0,
          "a second session adds, half a row is cut off");
  store_run_close (&r);

  const char *other[] = {"step", "head7_loss"};
  good = store_run_open (dir, &r) == OK &&
         store_run_metrics (r, 2, other, "train", values) == OK;
  tap_ok (good &&
              strcmp (slurp (path), "step,split,head7_loss\n11,train,0.25\n") ==
                  0 &&
              strcmp (slurp (scratch ("metrics/metrics-1.csv")), longer) == 0,
          "other columns: the earlier file is kept aside");
  store_run_close (&r);
}

/* -- events ---------------------------------------------------------------- */

static void
test_events (void)
{
  char dir[512];
  struct store_run *r = NULL;
  snprintf (dir, sizeof dir, "%s", scratch ("events"));
  static const char *const fields[][2] = {
      {"step", "12"},        {"lr", "-1.5e-3"},
      {"done", "true"},      {"why", "null"},
      {"text", "a \"b\"\n"}, {"hex", "0x10"},
      {"number", "1 2"},     {"empty", ""},
      {"nan", "nan"},        {"big", "123456789012345678901234567890"},
  };
  bool good = store_run_open (dir, &r) == OK &&
              store_run_event (r, "start", 0, NULL) == OK &&
              store_run_event (r, "save", 10, fields) == OK;
  char *copy = strdup (slurp (scratch ("events/events.jsonl")));
  char *line = strchr (copy, '\n');
  tap_ok (good && line && strchr (line + 1, '\n') == copy + strlen (copy) - 1,
          "two events, two lines, at once in the file");
  json_t *j = line ? json_loads (line + 1, 0, NULL) : NULL;
  tap_ok (
      j != NULL &&
          !strcmp (json_string_value (json_object_get (j, "event")), "save") &&
          json_is_real (json_object_get (j, "time")) &&
          json_real_value (json_object_get (j, "time")) > 1.6e9 &&
          json_is_string (json_object_get (j, "job")),
      "event, time and job");
  tap_ok (json_integer_value (json_object_get (j, "step")) == 12 &&
              fabs (json_real_value (json_object_get (j, "lr")) + 1.5e-3) <
                  1e-12 &&
              json_is_true (json_object_get (j, "done")) &&
              json_is_null (json_object_get (j, "why")),
          "numbers, true and null as they are");
  bool texts = j != NULL;
  for (int i = 4; i < 10 && texts; i++) {
    const char *value = json_string_value (json_object_get (j, fields[i][0]));
    texts = value && strcmp (value, fields[i][1]) == 0;
  }
  tap_ok (texts, "all else as text");
  json_decref (j);
  free (copy);
  store_run_close (&r);
}

/* -- whole files ----------------------------------------------------------- */

static void
test_files (void)
{
  char dir[512];
  struct store_run *r = NULL;
  char *text = NULL;
  snprintf (dir, sizeof dir, "%s", scratch ("files"));
  bool good = store_run_open (dir, &r) == OK &&
              store_run_put (r, "config.ini", "[model]\n") == OK &&
              store_run_put (r, "config.ini", "[stages]\ncount = 4\n") == OK &&
              store_run_get (dir, "config.ini", &text) == OK;
  tap_ok (good && strcmp (text, "[stages]\ncount = 4\n") == 0 &&
              access (scratch ("files/config.ini.part"), F_OK) != 0,
          "put replaces, get returns");
  mem_free (&text);
  const char *const words[] = {"none.txt", "No such file", NULL};
  tap_ok (store_run_get (dir, "none.txt", &text) == E_MISSING &&
              message_has (words) && !text,
          "a file that is not there");
  tap_ok (mkdir (scratch ("files/taken"), 0777) == 0 &&
              store_run_put (r, "taken", "x") == E_IO,
          "a directory is in the way");
  fail_clear ();
  fputs ("a message\n", store_run_log (r));
  tap_ok (strcmp (slurp (scratch ("files/log")), "a message\n") == 0,
          "the log is written line by line");
  store_run_close (&r);
  scratch_write (scratch ("file"), "x", 1);
  tap_ok (store_run_open (scratch ("file/run"), &r) == E_IO,
          "a file where a directory should be");
  fail_clear ();
}

int
main (void)
{
  if (!scratch_open ())
    tap_bail ("no scratch folder");
  log_level_set (LOG_WARN);
  test_lock ();
  test_race ();
  test_metrics ();
  test_events ();
  test_files ();
  size_t bytes, blocks, peak;
  mem_count (&bytes, &blocks, &peak);
  tap_ok (blocks == 0, "nothing is left allocated");
  scratch_close ();
  return tap_done ();
}
