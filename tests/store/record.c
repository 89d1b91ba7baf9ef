/* ranks: 0 */
/* tests/store/record.c -- the run directory: lock, rows, lines, whole files. */
#include "store/record_impl.h"
#include "store/run.h"
#include "tests/scratch.h"
#include "tests/tap.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
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
  tap_ok (store_run_mine (r) == OK && !store_run_lost (r), "it is ours");
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
  setenv ("SLURM_RESTART_COUNT", "2", 1);
  lock_text (dir, "far-away", 5, "4711", 1, 0);
  tap_ok (opens (dir), "stale: this job before it was restarted");
  lock_text (dir, "far-away", 5, "4711", 3, 0);
  tap_ok (!opens (dir), "not stale: this job after a later restart");
  scratch_write (path, "rubbish", 7);
  tap_ok (!opens (dir), "not stale: a lock that cannot be read");
  unlink (path);
  unsetenv ("SLURM_RESTART_COUNT");
}

/* A lock as one writes it whose process number means nothing here. */
static void
lock_of (const char *path, const char *boot, int64_t space, bool flocked)
{
  char text[512], host[256] = "";
  gethostname (host, sizeof host - 1);
  snprintf (text, sizeof text,
            "{\"host\": \"%s\", \"pid\": %ld, \"job\": \"1\", "
            "\"restart\": 0, \"start\": 1, \"boot\": \"%s\", "
            "\"space\": %lld, \"flock\": %s, \"token\": \"t\"}\n",
            host, dead_process (), boot, (long long)space,
            flocked ? "true" : "false");
  unlink (path);
  scratch_write (path, text, strlen (text));
}

/* A process that holds the flock of a file until killed. */
static pid_t
flocking (const char *path)
{
  int ready[2];
  char c;
  if (pipe (ready) != 0)
    return -1;
  pid_t pid = fork ();
  if (pid == 0) {
    int fd = open (path, O_RDWR);
    c = flock (fd, LOCK_EX) == 0;
    if (write (ready[1], &c, 1) != 1)
      _exit (1);
    for (;;)
      pause ();
  }
  if (read (ready[0], &c, 1) != 1 || !c)
    tap_note ("no flock");
  close (ready[0]);
  close (ready[1]);
  return pid;
}

static pid_t
beating (const char *path);

/* A holder in another PID namespace of this machine (a container), whose host
 * has the same name: his number tells nothing, his flock does. */
static void
test_container (void)
{
  char dir[512], path[600], boot[64] = "";
  struct store_run *r = NULL;
  snprintf (dir, sizeof dir, "%s", scratch ("container"));
  snprintf (path, sizeof path, "%s/lock", dir);
  json_error_t error;
  bool good = store_run_open (dir, &r) == OK;
  json_t *j = json_load_file (path, 0, &error);
  int64_t space = json_integer_value (json_object_get (j, "space"));
  const char *word = json_string_value (json_object_get (j, "boot"));
  snprintf (boot, sizeof boot, "%s", word ? word : "");
  bool flocked = json_is_true (json_object_get (j, "flock"));
  json_decref (j);
  store_run_close (&r);
  if (!good || !boot[0] || !space || !flocked) {
    tap_ok (good, "no namespaces or flock here: not tried");
    return;
  }
  lock_of (path, boot, space, true);
  tap_ok (opens (dir), "of this namespace: its process is gone");
  lock_of (path, boot, space + 1, true);
  pid_t pid = flocking (path);
  tap_ok (!opens (dir), "of another namespace: flocked, it lives");
  kill (pid, SIGKILL);
  waitpid (pid, NULL, 0);
  tap_ok (opens (dir), "of another namespace: killed, its flock is gone");
  lock_of (path, boot, space + 1, false);
  tap_ok (!opens (dir), "of another namespace without flock: nobody can tell");
  store_lock_times (0.05, 0.5);
  lock_of (path, "another-boot", space, true);
  pid = beating (path);
  tap_ok (!opens (dir), "of another machine of this name: signs of life");
  kill (pid, SIGKILL);
  waitpid (pid, NULL, 0);
  tap_ok (opens (dir), "of another machine of this name: silent");
  store_lock_times (5, 30);
}

/* What is no plain file is no lock: refused at once, and left alone. */
static void
test_no_lock (void)
{
  static const char *const kinds[] = {"a pipe", "a link", "a directory",
                                      "a link"};
  char dir[512], path[600];
  struct store_run *r = NULL;
  snprintf (dir, sizeof dir, "%s", scratch ("nolock"));
  snprintf (path, sizeof path, "%s/lock", dir);
  mkdir (dir, 0777);
  for (int i = 0; i < 4; i++) {
    bool made = i == 0   ? mkfifo (path, 0666) == 0
                : i == 1 ? symlink ("elsewhere", path) == 0
                : i == 2 ? mkdir (path, 0777) == 0
                         : symlink ("/dev/null", path) == 0;
    struct store_run_look look;
    const char *const words[] = {path, kinds[i], NULL};
    struct stat st;
    store_run_look (dir, &look);
    tap_ok (made && store_run_open (dir, &r) == E_USAGE &&
                message_has (words) && lstat (path, &st) == 0 &&
                look.state != STORE_RUN_RUNNING,
            "%s named lock is refused", kinds[i]);
    remove (path);
  }
  tap_ok (access (scratch ("nolock/elsewhere"), F_OK) != 0,
          "nothing is made behind a link");
}

/* Change the time of a file every so often until killed. */
static pid_t
beating (const char *path)
{
  pid_t pid = fork ();
  if (pid == 0)
    for (;;) {
      utimensat (AT_FDCWD, path, NULL, 0);
      usleep (20000);
    }
  return pid;
}

/* A holder on another host: he lives as long as the lock's time moves. */
static void
test_far_away (void)
{
  char dir[512], path[600];
  snprintf (dir, sizeof dir, "%s", scratch ("far"));
  snprintf (path, sizeof path, "%s/lock", dir);
  tap_ok (opens (dir), "a directory");
  store_lock_times (0.05, 0.5);
  lock_text (dir, "far-away", 5, "4712", 0, 0);
  pid_t pid = beating (path);
  tap_ok (!opens (dir), "a holder on another host who gives signs of life");
  kill (pid, SIGKILL);
  waitpid (pid, NULL, 0);
  double begin = clock_now_s ();
  tap_ok (opens (dir) && clock_now_s () - begin > 0.2,
          "the same, silent: waited for, then replaced");
  lock_text (dir, "far-away", 5, "4712", 0, 0);
  usleep (600000);
  begin = clock_now_s ();
  tap_ok (opens (dir) && clock_now_s () - begin < 0.2,
          "silent for long: replaced at once");

  struct store_run *r = NULL;
  struct stat before, after;
  tap_ok (store_run_open (dir, &r) == OK && stat (path, &before) == 0,
          "a lock of our own");
  usleep (300000);
  stat (path, &after);
  tap_ok (after.st_mtim.tv_sec != before.st_mtim.tv_sec ||
              after.st_mtim.tv_nsec != before.st_mtim.tv_nsec,
          "gives signs of life");
  unlink (path);
  lock_text (dir, "far-away", 7, "4712", 0, 0);
  const char *const words[] = {dir,        "taken over", "process 7",
                               "far-away", "job 4712",   NULL};
  tap_ok (store_run_mine (r) == E_USAGE && message_has (words),
          "taken over: it is not ours any more");
  tap_ok (store_run_event (r, "late", 0, NULL) == E_USAGE &&
              store_run_put (r, "late", "x") == E_USAGE,
          "and nothing is written");
  fail_clear ();
  usleep (300000);
  tap_ok (store_run_lost (r), "the thread has seen it too");
  store_run_close (&r);
  tap_ok (access (path, F_OK) == 0, "closing leaves the other's lock");
  unlink (path);
  store_lock_times (5, 30);
}

/* -- the mark, the history ------------------------------------------------- */

static void
test_mark (void)
{
  char dir[512];
  struct store_run *r = NULL;
  struct store_mark m = {.step = 12, .start = 5, .attempts = 2}, got;
  snprintf (dir, sizeof dir, "%s", scratch ("mark"));
  store_mark_read (dir, &got);
  tap_ok (got.step == 0 && got.attempts == 0, "no mark: nothing");
  bool good = store_run_open (dir, &r) == OK && store_run_mark (r, &m) == OK;
  m.step = 123456789012;
  good = good && store_run_mark (r, &m) == OK;
  store_mark_read (dir, &got);
  tap_ok (good && got.step == m.step && got.start == 5 && got.attempts == 2 &&
              got.time > 1.6e9,
          "a mark comes back");
  store_run_close (&r);
  scratch_write (scratch ("mark/progress"), "step=00", 7);
  store_mark_read (dir, &got);
  tap_ok (got.step == 0, "half a mark: nothing");
}

static void
test_history (void)
{
  static const char lines[] =
      "{\"event\":\"start\",\"time\":1700000000.5,\"job\":\"17\",\"step\":0,"
      "\"ranks\":4,\"file\":\"\"}\n"
      "{\"event\":\"checkpoint\",\"time\":1700000010,\"step\":100,"
      "\"file\":\"run/checkpoints/step-000000100.h5\"}\n"
      "rubbish\n"
      "{\"event\":\"resume\",\"time\":1700000100,\"job\":\"17\",\"step\":100,"
      "\"file\":\"run/checkpoints/step-000000100.h5\",\"exact\":false,"
      "\"reasons\":\"threads 2, was 1\",\"lost\":7}\n"
      "{\"event\":\"stopped\",\"time\":1700000130,\"step\":150,"
      "\"reason\":\"USR1\"}\n"
      "{\"event\":\"resu";
  struct store_history *h = NULL;
  struct text out;
  char dir[512];
  snprintf (dir, sizeof dir, "%s", scratch ("history"));
  mkdir (dir, 0777);
  tap_ok (store_history_read (dir, &h) == OK && store_history_count (h) == 0,
          "no events: an empty history");
  store_history_destroy (&h);
  scratch_write (scratch ("history/events.jsonl"), lines, strlen (lines));
  bool good = store_history_read (dir, &h) == OK;
  tap_ok (good && store_history_count (h) == 4 &&
              !strcmp (store_history_word (h, 2, "lost"), "7") &&
              !strcmp (store_history_word (h, 2, "exact"), "false") &&
              !strcmp (store_history_word (h, 2, "none"), "") &&
              !strcmp (store_history_word (h, 0, "time"), "1700000000.5"),
          "whole lines are read, damaged ones are not");
  store_history_destroy (&h);
  text_init (&out);
  good = store_run_print (dir, &out) == OK;
  tap_note ("%s", out.data);
  static const char *const parts[] = {
      "start      step 0, 4 ranks, job 17\n",
      "checkpoint step 100, step-000000100.h5\n",
      "died       after 9.50 s, without a word",
      "resume     step 100 from step-000000100.h5",
      "not exact; steps lost: 7",
      "threads 2, was 1",
      "stopped    step 150 after 30.0 s: USR1",
      "2 starts, 1 of them died, 7 steps lost, 39.5 s",
      "2 lines of events.jsonl cannot be read"};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    if (!strstr (out.data, parts[i])) {
      tap_note ("missing: %s", parts[i]);
      good = false;
    }
  tap_ok (good, "a run is told: starts, stops, steps lost, time");
  text_clear (&out);
}

/* What killed starts have left. */
static void
test_sweep (void)
{
  char dir[512];
  struct store_run *r = NULL;
  snprintf (dir, sizeof dir, "%s", scratch ("sweep"));
  bool good = store_run_open (dir, &r) == OK;
  static const char *const ours[] = {
      "sweep/config.ini.part",
      "sweep/metrics-7.csv.part",
      "sweep/dump-1-3-logits.npy.part",
      "sweep/status.part",
      "sweep/aside.part",
      "sweep/lock.n1.cluster.17.part",
      "sweep/clock.17.part",
      "sweep/checkpoints/step-000000001.h5.part",
      "sweep/checkpoints/step-000000001.h5.n1.cluster.17.part"};
  static const char *const theirs[] = {
      "sweep/party",
      "sweep/metrics of mine.csv.part",
      "sweep/metrics7.csv.part",
      "sweep/metrics-.csv.part",
      "sweep/dump-mine.npy.part",
      "sweep/notes.part",
      "sweep/lock.part",
      "sweep/lock.mine.part",
      "sweep/clock.part",
      "sweep/clock.1.tower.part",
      "sweep/config.ini.n1.17.part",
      "sweep/checkpoints/step-000000001.h5",
      "sweep/checkpoints/best.h5.part",
      "sweep/checkpoints/step-1.h5.part",
      "sweep/checkpoints/step-000000001.h5.mine.part",
      "sweep/checkpoints/step-mine.part",
      "sweep/checkpoints/status.part"};
  enum { OURS = sizeof ours / sizeof *ours };
  enum { THEIRS = sizeof theirs / sizeof *theirs };
  mkdir (scratch ("sweep/checkpoints"), 0777);
  for (int i = 0; i < OURS; i++)
    scratch_write (scratch (ours[i]), "x", 1);
  for (int i = 0; i < THEIRS; i++)
    scratch_write (scratch (theirs[i]), "x", 1);
  const char *link = "sweep/checkpoints/step-000000002.h5.n1.17.part";
  good = good && symlink ("status.part", scratch (link)) == 0;
  store_run_sweep (r);
  for (int i = 0; i < OURS; i++)
    tap_ok (access (scratch (ours[i]), F_OK) != 0, "%s: removed", ours[i]);
  for (int i = 0; i < THEIRS; i++)
    tap_ok (access (scratch (theirs[i]), F_OK) == 0, "%s: stays", theirs[i]);
  tap_ok (good && access (scratch (link), F_OK) == 0, "a link stays");
  store_run_close (&r);
}

/* A link, a FIFO or a folder by a name of ours: nothing is written through it,
 * and nobody waits for a reader. */
static void
test_plain (void)
{
  static const char *const names[] = {
      "log",         "status",        "metrics.csv",  "aside",
      "status.part", "metrics-3.csv", "metrics.jsonl"};
  char dir[512], path[600], target[512], words[64];
  struct store_run *r = NULL;
  snprintf (dir, sizeof dir, "%s", scratch ("plain"));
  snprintf (target, sizeof target, "%s", scratch ("target"));
  scratch_write (target, "theirs", 6);
  mkdir (dir, 0777);
  for (int i = 0; i < 3 * (int)(sizeof names / sizeof *names); i++) {
    snprintf (path, sizeof path, "%s/%s", dir, names[i / 3]);
    bool made = i % 3 == 0   ? symlink (target, path) == 0
                : i % 3 == 1 ? mkfifo (path, 0666) == 0
                             : mkdir (path, 0777) == 0;
    enum status s = store_run_open (dir, &r);
    snprintf (words, sizeof words, "is %s",
              i % 3 == 0   ? "a link"
              : i % 3 == 1 ? "a pipe"
                           : "a directory");
    tap_ok (made && s == E_USAGE && strstr (fail_message (), path) &&
                strstr (fail_message (), words) && scratch_bytes (target) == 6,
            "%s refused: %s", names[i / 3], words);
    fail_clear ();
    remove (path);
  }
  tap_ok (store_run_open (dir, &r) == OK, "then it opens");
  store_run_close (&r);
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

/* The twin of metrics.csv holds its rows, whatever happened to either. */
static void
test_rows_json (void)
{
  static const char *const names[] = {"step", "epoch", "head0_loss",
                                      "stage0_digest"};
  static const char *const texts[] = {NULL, NULL, NULL, "0012"};
  static const char ten[] = "{\"step\": 10, \"epoch\": 0.5, \"split\": "
                            "\"train\", \"head0_loss\": null, "
                            "\"stage0_digest\": null}\n";
  char dir[512], wanted[1024];
  struct store_run *r = NULL;
  snprintf (dir, sizeof dir, "%s", scratch ("json"));
  const double first[] = {10, 0.5, NAN, NAN};
  const double second[] = {3000000000.0, 1, 1.0 / 3, NAN};
  const double third[] = {20, 1, INFINITY, NAN};
  bool good = store_run_open (dir, &r) == OK &&
              store_run_row (r, 4, names, "train", first, NULL) == OK &&
              store_run_row (r, 4, names, "digest", second, texts) == OK;
  store_run_close (&r);
  char *path = strdup (scratch ("json/metrics.jsonl"));
  snprintf (wanted, sizeof wanted,
            "%s{\"step\": 3000000000, \"epoch\": 1, \"split\": \"digest\", "
            "\"head0_loss\": 0.333333333, \"stage0_digest\": \"0012\"}\n",
            ten);
  tap_ok (good && strcmp (slurp (path), wanted) == 0,
          "rows as objects: numbers, words, and null for what is not there");

  /* Gone, as of an earlier version; and rows that are taken again. */
  unlink (path);
  good = store_run_open (dir, &r) == OK &&
         store_run_rows_back (r, 15, "") == OK &&
         store_run_row (r, 4, names, "train", third, NULL) == OK;
  store_run_close (&r);
  snprintf (wanted, sizeof wanted,
            "%s{\"step\": 20, \"epoch\": 1, \"split\": \"train\", "
            "\"head0_loss\": null, \"stage0_digest\": null}\n",
            ten);
  tap_ok (good && strcmp (slurp (path), wanted) == 0,
          "of a start that goes on: those that the table kept, and its own");
  scratch_write (path, "{\"step\": 9", 10);
  good = store_run_open (dir, &r) == OK &&
         store_run_row (r, 4, names, "train", first, NULL) == OK;
  store_run_close (&r);
  strcat (wanted, ten);
  tap_ok (good && strcmp (slurp (path), wanted) == 0,
          "half a line and a wrong one are replaced");
  free (path);
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

/* -- trace ----------------------------------------------------------------- */

static void
test_trace (void)
{
  static const char old[] =
      "{\"ph\":\"X\",\"name\":\"HEAD\",\"pid\":3,\"tid\":1,\"ts\":1.500,"
      "\"dur\":0.250,\"args\":{\"step\":7,\"stage\":1,\"micro\":-1,"
      "\"stream\":-1}},";
  struct store_trace_op op = {1, 2, -1, 0, 5, 0.25, 0.2500015, "FORWARD"};
  struct store_run *r = NULL;
  struct text text;
  text_init (&text);
  store_trace_rank (1, "a \"host\"\\\n", &text);
  store_trace_op (&op, &text);
  const char *line = strchr (text.data, '\n') + 1;
  struct store_trace_op got = {0};
  tap_ok (store_trace_read (line, strlen (line), &got) && got.rank == 1 &&
              got.stage == 2 && got.micro == -1 && got.step == 5 &&
              fabs (got.begin_s - 0.25) < 1e-12 &&
              fabs (got.end_s - 0.2500015) < 1e-12 &&
              strcmp (got.verb, "FORWARD") == 0,
          "an operation of a trace, to and fro");
  tap_ok (store_trace_read (old, strlen (old), &got) && got.rank == 3 &&
              got.stage == 1 && got.step == 7 && got.begin_s == 1.5e-6 &&
              strcmp (got.verb, "HEAD") == 0,
          "and one as written by hand, with the comma of a list");
  tap_ok (!store_trace_read (old, strlen (old) - 3, &got) &&
              !store_trace_read (text.data, text.size, &got) &&
              !store_trace_read ("", 0, &got),
          "half a line, the name of a rank and nothing are none");
  char dir[512], *parts[2] = {text.data, text.data};
  snprintf (dir, sizeof dir, "%s", scratch ("trace"));
  bool good =
      store_run_open (dir, &r) == OK && store_run_trace (r, 2, parts) == OK;
  json_t *all = json_load_file (scratch ("trace/trace.json"), 0, NULL);
  const json_t *events = json_object_get (all, "traceEvents");
  const json_t *name = json_object_get (
      json_object_get (json_array_get (events, 2), "args"), "name");
  tap_ok (good && json_array_size (events) == 4 && json_is_string (name) &&
              strcmp (json_string_value (name), "rank 1 (a \"host\"\\\n)") == 0,
          "the whole of it is JSON, whatever a host is called");
  json_decref (all);
  store_run_close (&r);
  text_clear (&text);
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
  test_container ();
  test_no_lock ();
  test_race ();
  test_far_away ();
  test_mark ();
  test_history ();
  test_sweep ();
  test_plain ();
  test_metrics ();
  test_rows_json ();
  test_events ();
  test_trace ();
  test_files ();
  size_t bytes, blocks, peak;
  mem_count (&bytes, &blocks, &peak);
  tap_ok (blocks == 0, "nothing is left allocated");
  scratch_close ();
  return tap_done ();
}
