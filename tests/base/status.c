/* ranks: 0 */
/* tests/base/status.c -- kept messages, places, planted faults, the log, clocks
 * and shapes. */
#include "base/fault.h"
#include "base/place.h"
#include "base/status.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/tensor.h"
#include "tests/tap.h"
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static jmp_buf caught;

static void catch (enum status s)
{
  longjmp (caught, 1 + (int)s);
}

static enum status
fails (void)
{
  TRY (OK);
  TRY (fail (E_DATA, "row %d", 7));
  return fail (E_IO, "never reached");
}

static enum status
cleans (int *cleaned)
{
  enum status s;
  TRY_GOTO (fails (), done);
  *cleaned = -1;
done:
  *cleaned += 1;
  return s;
}

static void *
other_thread (void *arg)
{
  (void)arg;
  bool clean = fail_message ()[0] == '\0';
  (void)fail (E_IO, "mine");
  return clean && strcmp (fail_message (), "mine") == 0 ? NULL : &caught;
}

static void
test_messages (void)
{
  int cleaned = 0;
  tap_ok (cleans (&cleaned) == E_DATA && cleaned == 1,
          "a status passes up, by way of the clean-up");
  tap_ok (strcmp (fail_message (), "row 7") == 0, "the message is kept");
  tap_ok (strncmp (fail_where (), "base/status.c:", 14) == 0,
          "with its place: %s", fail_where ());
  (void)fail (E_IO, "second");
  tap_ok (strcmp (fail_message (), "row 7") == 0, "the first one stays");
  pthread_t thread;
  void *result = &caught;
  if (pthread_create (&thread, NULL, other_thread, NULL) == 0)
    pthread_join (thread, &result);
  tap_ok (result == NULL && strcmp (fail_message (), "row 7") == 0,
          "each thread keeps its own");
  fail_adopt ("from afar", "there:1");
  tap_ok (strcmp (fail_message (), "from afar") == 0 &&
              strcmp (fail_where (), "there:1") == 0,
          "adopted");
  fail_clear ();
  tap_ok (fail_message ()[0] == '\0' && fail_where ()[0] == '\0', "cleared");
  char large[5000];
  memset (large, 'x', sizeof large - 1);
  large[sizeof large - 1] = '\0';
  (void)fail (E_IO, "%s", large);
  tap_ok (strlen (fail_message ()) == 2047, "an endless message is cut");
  fail_clear ();
}

/* The codes of the manual page. */
static void
test_codes (void)
{
  static const struct {
    enum status s;
    int code;
  } rows[] = {{OK, 0},         {E_STOPPED, 75}, {E_STUCK, 77},
              {E_USAGE, 64},   {E_CONFIG, 64},  {E_DATA, 65},
              {E_MISSING, 69}, {E_MEMORY, 69},  {E_IO, 74},
              {E_NUMBERS, 76}, {E_FAULT, 70},   {E_CHECKPOINT, 65},
              {E_PROTOCOL, 70}};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    tap_ok (status_exit (rows[i].s) == rows[i].code, "exit code of '%s' is %d",
            status_text (rows[i].s), rows[i].code);
  tap_ok (status_exit ((enum status)999) == 70 &&
              status_text ((enum status)999) != NULL,
          "a status that is none");
}

static void
test_checks (void)
{
  status_abort_hook (catch);
  int value = 3;
  int s = setjmp (caught);
  if (s == 0)
    CHECK (value == 4, "value is %d", value);
  tap_ok (s == 1 + (int)E_FAULT, "a failed check comes to the hook");
  tap_ok (strstr (fail_message (), "value is 3") != NULL &&
              strstr (fail_message (), "value == 4") != NULL,
          "with text and condition: %s", fail_message ());
  fail_clear ();
  s = setjmp (caught);
  if (s == 0)
    CHECK (value == 3, "fine");
  tap_ok (s == 0, "a check that holds is silent");
}

static void
test_places (void)
{
  place_rank_set (0, 1);
  place_set (-1, -1, NULL);
  tap_ok (strcmp (place_text (), "rank 0") == 0, "no place: %s", place_text ());
  place_rank_set (1, 4);
  place_set (12, 3, "FORWARD");
  tap_ok (strcmp (place_text (), "rank 1, step 12, stage 3, FORWARD") == 0,
          "a place: %s", place_text ());
  long step;
  int stage;
  const char *op;
  place_get (&step, &stage, &op);
  tap_ok (step == 12 && stage == 3 && strcmp (op, "FORWARD") == 0 &&
              place_rank () == 1 && place_size () == 4,
          "and read back");
  place_set (5, -1, NULL);
  tap_ok (strcmp (place_text (), "rank 1, step 5") == 0, "half a place");
  place_set (-1, -1, NULL);
  place_rank_set (0, 1);
}

/* Which of five calls at `place` on `rank` is true: a bit per call. */
static int
hits (const char *spec, const char *place, int rank)
{
  int bits = 0;
  place_rank_set (rank, 4);
  fault_plant (spec);
  for (int i = 0; i < 5; i++)
    bits |= fault_here (place) ? 1 << i : 0;
  place_rank_set (0, 1);
  return bits;
}

static void
test_faults (void)
{
  static const struct {
    const char *spec, *place;
    int rank, want;
  } rows[] = {
      {"read", "read", 0, 1},     {"read", "read", 3, 1},
      {"read:3", "read", 0, 4},   {"read:5@2", "read", 2, 16},
      {"read:5@2", "read", 1, 0}, {"read@1", "read", 1, 1},
      {"read@1", "read", 0, 0},   {"read", "write", 0, 0},
      {"read:6", "read", 0, 0},   {"", "read", 0, 0},
      {"kernel:2", "kern", 0, 0},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    tap_ok (hits (rows[i].spec, rows[i].place, rows[i].rank) == rows[i].want,
            "'%s' at %s on rank %d", rows[i].spec, rows[i].place, rows[i].rank);
  static const char *const wrong[] = {"read:0",    "read:x", "read@-3",
                                      "read:1@2x", ":1",     "read:1:2"};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    int s = setjmp (caught);
    if (s == 0)
      fault_plant (wrong[i]);
    tap_ok (s != 0, "'%s' is refused", wrong[i]);
    fail_clear ();
  }
  fault_plant (NULL);
}

static void
read_back (FILE *file, char *out, size_t room)
{
  rewind (file);
  size_t n = fread (out, 1, room - 1, file);
  out[n] = '\0';
  rewind (file);
  if (ftruncate (fileno (file), 0) != 0)
    out[0] = '\0';
}

/* say or log_progress, without who looks at stdout seeing it. */
static void
say_aside (const char *text, bool progress)
{
  fflush (stdout);
  int out = dup (STDOUT_FILENO), null = open ("/dev/null", O_WRONLY);
  dup2 (null, STDOUT_FILENO);
  if (progress)
    log_progress ("%s", text);
  else
    say (LOG_INFO, "%s", text);
  fflush (stdout);
  dup2 (out, STDOUT_FILENO);
  close (null);
  close (out);
}

static void
test_log (void)
{
  char text[8192];
  FILE *file = tmpfile ();
  if (file == NULL) {
    tap_skip ("no temporary file");
    return;
  }
  log_file_set (file);
  log_level_set (LOG_INFO);
  say (LOG_INFO, "hello %d", 1);
  say (LOG_DEBUG, "hidden");
  read_back (file, text, sizeof text);
  tap_ok (strcmp (text, "hello 1\n") == 0, "say, and what is below the level");
  place_rank_set (2, 4);
  say (LOG_INFO, "root only");
  put ("root only");
  read_back (file, text, sizeof text);
  tap_ok (text[0] == '\0', "say and put are silent off the root");
  place_set (7, 1, "SEND");
  tell (LOG_WARN, "careful");
  read_back (file, text, sizeof text);
  tap_ok (strcmp (text, "interlock: warning: rank 2, step 7, stage 1, SEND: "
                        "careful\n") == 0,
          "tell is stamped");
  tell (LOG_ERROR, "over");
  read_back (file, text, sizeof text);
  tap_ok (strcmp (text, "interlock: rank 2, step 7, stage 1, SEND: over\n") ==
              0,
          "an error names the program");
  place_set (-1, -1, NULL);
  place_rank_set (0, 1);
  log_level_set (LOG_DEBUG);
  say (LOG_DEBUG, "shown");
  read_back (file, text, sizeof text);
  tap_ok (strcmp (text, "debug: shown\n") == 0, "a lower level");
  log_level_set (LOG_INFO);
  char large[6000];
  memset (large, 'x', sizeof large - 1);
  large[sizeof large - 1] = '\0';
  say_aside (large, false);
  read_back (file, text, sizeof text);
  tap_ok (strlen (text) == 4096 && strcmp (text + 4096 - 5, " ...\n") == 0,
          "an endless line is cut and says so");
  log_live ("live");
  log_live_done ();
  read_back (file, text, sizeof text);
  tap_ok (text[0] == '\0', "the live line is not for files");
  say_aside ("early", true);
  read_back (file, text, sizeof text);
  tap_ok (text[0] == '\0', "progress waits before its first plain line");
  log_progress_rate (0);
  say_aside ("half", true);
  read_back (file, text, sizeof text);
  tap_ok (strcmp (text, "half\n") == 0, "and is said at its rate");
  log_progress_rate (30);
  log_file_set (NULL);
  fclose (file);
}

static void
test_clock (void)
{
  struct clock_account a;
  clock_start (&a, CLOCK_PLAIN);
  struct timespec nap = {.tv_nsec = 3000000};
  nanosleep (&nap, NULL);
  (void)clock_switch (&a, CLOCK_WAIT);
  nanosleep (&nap, NULL);
  double end = clock_switch (&a, CLOCK_OTHER), sum = 0;
  for (int c = 0; c < CLOCK_CLASSES; c++)
    sum += a.spent_s[c];
  tap_near (sum, end - a.start_s, 1e-9, "the classes add up to the wall time");
  tap_ok (a.spent_s[CLOCK_PLAIN] >= 0.003 && a.spent_s[CLOCK_WAIT] >= 0.003 &&
              a.spent_s[CLOCK_DATA] == 0,
          "each class has its own time");
  double wait = a.spent_s[CLOCK_WAIT], more = 0;
  clock_move (&a, CLOCK_WAIT, CLOCK_EXPOSED, 0.001);
  for (int c = 0; c < CLOCK_CLASSES; c++)
    more += a.spent_s[c];
  tap_near (wait - a.spent_s[CLOCK_WAIT], 0.001, 1e-12, "time is moved");
  tap_near (more, sum, 1e-12, "and none is lost");
  bool named = true;
  for (int c = 0; c < CLOCK_CLASSES; c++)
    for (int d = 0; d < c; d++)
      named = named && strcmp (clock_class_name ((enum clock_class)c),
                               clock_class_name ((enum clock_class)d)) != 0;
  tap_ok (named, "every class has a name of its own");
}

static void
count_pulse (void *context)
{
  ++*(int *)context;
}

static void *
pulse_elsewhere (void *arg)
{
  pulse ();
  return arg;
}

static void
test_pulse (void)
{
  int n = 0;
  pulse ();
  pulse_hook (count_pulse, &n);
  pulse ();
  pulse ();
  pthread_t thread;
  if (pthread_create (&thread, NULL, pulse_elsewhere, NULL) == 0)
    pthread_join (thread, NULL);
  tap_ok (n == 2, "the pulse beats on the thread of its hook");
  pulse_hook (NULL, NULL);
  pulse ();
  tap_ok (n == 2, "and stops");
}

static void
test_tensor (void)
{
  struct tensor t = {.n_dims = 3, .dims = {2, 3, 4, 99}};
  struct tensor_info info = {"x", 2, {5, 7, 99, 99}, TENSOR_F32};
  tap_ok (tensor_count (&t) == 24, "elements of 2 x 3 x 4");
  tap_ok (tensor_info_count (&info) == 35, "elements of 5 x 7");
  tap_ok (tensor_bytes (TENSOR_F32, 3) == 12 &&
              tensor_bytes (TENSOR_BF16, 3) == 6 &&
              tensor_bytes (TENSOR_I32, 3) == 12 &&
              tensor_bytes (TENSOR_U8, 3) == 3,
          "bytes by type");
  t.n_dims = 0;
  tap_ok (tensor_count (&t) == 1, "a scalar is one element");
}

int
main (void)
{
  fault_plant (NULL);
  test_messages ();
  test_codes ();
  test_checks ();
  test_places ();
  test_faults ();
  test_log ();
  test_clock ();
  test_pulse ();
  test_tensor ();
  return tap_done ();
}
