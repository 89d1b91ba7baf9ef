/* ranks: 0 */
/* tests/wire/alone.c -- a wire of one rank without MPI, and the one abort in
 * processes of its own. */
#include "base/fault.h"
#include "base/log.h"
#include "base/place.h"
#include "tests/wire/tool.h"
#include "wire/raw.h"
#include <stdlib.h>
#include <sys/wait.h>

static void
test_calls (struct wire *w)
{
  char *text = NULL, **texts = NULL;
  double in[3] = {1.5, 2.5, 3.5}, out[3] = {0};
  float block[4] = {1, 2, 3, 4};
  int request = WIRE_NONE, first = 0, last = 0, on = 1;
  double bytes = 1;
  int64_t messages = 1;
  MPI_Initialized (&on);
  tap_ok (!on && wire_raw_world (w) == MPI_COMM_NULL &&
              wire_raw_pipe (w) == MPI_COMM_NULL,
          "no MPI");
  tap_ok (wire_rank (w) == 0 && wire_size (w) == 1 && wire_pipe_rank (w) == 0 &&
              wire_pipe_size (w) == 1 && wire_replica (w) == 0 &&
              wire_replicas (w) == 1 && wire_node_rank (w) == 0 &&
              wire_node_size (w) == 1,
          "one rank of everything");
  tap_ok (wire_host (w)[0] != '\0' && wire_describe (w)[0] != '\0',
          "host and library have names");
  tap_ok (wire_grid (w, 1) == OK, "a grid of one");
  tap_ok (wire_grid (w, 2) == E_CONFIG, "two replicas do not fit");
  fail_clear ();
  tap_ok (wire_windows (w, 1, &first, &last) == OK, "a window of one");
  for (int scope = -1; scope <= 0; scope++) {
    bool good = wire_ballot_start (w, scope, in, 3, &request) == OK &&
                wire_under_way (w) == 1;
    good = wire_ballot_wait (w, &request, out) == OK && good;
    tap_ok (good && memcmp (in, out, sizeof in) == 0, "a ballot, scope %d",
            scope);
  }
  bool good = wire_reduce_reserve (w, 4, 2) == OK &&
              wire_reduce_start (w, block, 4, &request) == OK &&
              wire_reduce_wait (w, &request) == OK;
  tap_ok (good && block[0] == 1 && block[3] == 4, "a sum over one replica");
  tap_ok (wire_agree (w, OK) == OK, "a fence");
  good = mem_text ("words", &text) == OK &&
         wire_broadcast_text (w, &text, 0) == OK;
  tap_ok (good && strcmp (text, "words") == 0, "a text to all");
  tap_ok (wire_broadcast (w, in, sizeof in, 0) == OK && in[0] == 1.5,
          "bytes to all");
  good = wire_gather_text (w, text, &texts) == OK;
  tap_ok (good && strcmp (texts[0], "words") == 0 && texts[0] != text,
          "texts of all");
  mem_free (&texts[0]);
  mem_free (&texts);
  mem_free (&text);
  tap_ok (wire_all_gather (w, in, 3, out) == OK && out[2] == 3.5,
          "numbers of all");
  tap_ok (wire_same (w, 5, "it") == OK, "the same everywhere");
  wire_barrier (w);
  wire_poll (w);
  tap_ok (wire_wait (w, &request, NULL, NULL) == OK, "nothing to wait for");
  wire_cancel (w, &request);
  wire_traffic (w, &bytes, &messages);
  tap_ok (bytes == 0 && messages == 0, "no traffic");
}

/* "NAME 4.0.2, MPI 4.0", whatever the library says of itself. */
static void
test_describe (struct wire *w)
{
  const char *text = wire_describe (w), *comma = strchr (text, ',');
  size_t name = strcspn (text, "0123456789");
  int version = 0, part = -1;
  if (comma == NULL)
    comma = "";
  tap_ok (name > 4 && text[name - 1] == ' ' && text[name - 2] != ' ' &&
              strpbrk (text, ":\t\n") == NULL &&
              sscanf (comma, ", MPI %d.%d", &version, &part) == 2 &&
              version >= 3 && part >= 0,
          "the library names itself: %s", text);
}

static void
test_fence_speaks (struct wire *w)
{
  struct tool_capture c;
  char said[4096];
  tool_capture_begin (&c);
  enum status s = wire_agree (w, fail (E_CONFIG, "not like this"));
  tool_capture_end (&c, said, sizeof said);
  tap_ok (s == E_CONFIG && strcmp (said, "interlock: not like this\n") == 0 &&
              fail_message ()[0] == '\0',
          "a fence says what went wrong");
}

/* What a child leaves behind: exit status, and what it said. */
static int
in_child (void (*what) (struct wire *), struct wire *w, char *said, size_t room)
{
  struct tool_capture c;
  fflush (stdout);
  tool_capture_begin (&c);
  pid_t pid = fork ();
  if (pid == 0) {
    what (w);
    _Exit (99);
  }
  int status = 0;
  waitpid (pid, &status, 0);
  tool_capture_end (&c, said, room);
  return WIFEXITED (status) ? WEXITSTATUS (status) : -WTERMSIG (status);
}

static void
abort_data (struct wire *w)
{
  (void)w;
  place_set (12, 3, "FORWARD");
  wire_abort (fail (E_DATA, "token %d", 9));
}

static void
abort_silent (struct wire *w)
{
  (void)w;
  wire_abort (E_NUMBERS);
}

static void
abort_check (struct wire *w)
{
  (void)w;
  (void)fail (E_IO, "an older message");
  CHECK (1 + 1 == 3, "arithmetic");
}

static void
test_abort (struct wire *w)
{
  char said[4096];
  int code = in_child (abort_data, w, said, sizeof said);
  tap_ok (code == 65, "the exit code of the status: %d", code);
  tap_ok (strstr (said, "interlock: rank 0, step 12, stage 3, FORWARD: "
                        "token 9 (wire/alone.c:") == said &&
              tool_lines (said) == 1,
          "one line with rank, step, stage, operation");
  code = in_child (abort_silent, w, said, sizeof said);
  tap_ok (code == 76 && strstr (said, status_text (E_NUMBERS)) != NULL,
          "without a message the status speaks");
  code = in_child (abort_check, w, said, sizeof said);
  tap_ok (code == 70 && strstr (said, "arithmetic") != NULL &&
              strstr (said, "1 + 1 == 3") != NULL,
          "a failed check ends the same way");
}

int
main (void)
{
  struct wire *w;
  fault_plant (NULL);
  fault_plant ("alloc");
  tap_ok (wire_open_alone (&w) == E_MEMORY, "no memory");
  fault_plant (NULL);
  fail_clear ();
  tap_ok (wire_open_alone (&w) == OK, "opened");
  test_calls (w);
  test_describe (w);
  test_fence_speaks (w);
  test_abort (w);
  wire_close (&w);
  tap_ok (w == NULL && mem_leaks () == 0, "closed, nothing left behind");
  return tap_done ();
}
