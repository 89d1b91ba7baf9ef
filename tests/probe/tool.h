/* tests/probe/tool.h -- what the tests of the probe share. */
#ifndef TESTS_PROBE_TOOL_H
#define TESTS_PROBE_TOOL_H

#define TAP_MPI
#include "base/random.h"
#include "probe/probe_impl.h"
#include "tests/tap.h"
#include <stdlib.h>

/* These tests are about numbers: what fails ends the whole test. */
TAP_FN void
tool_must (enum status s)
{
  if (s != OK)
    wire_abort (s);
}

/* The world; without ScaLAPACK one skipped test, and the end. */
TAP_FN struct wire *
tool_open (int *argc, char ***argv)
{
  struct wire *w;
  log_level_set (LOG_ERROR);
  tool_must (wire_open (argc, argv, &w));
  if (matrix_library ()) {
    grid_threads (1);
    return w;
  }
  tap_skip ("built without ScaLAPACK");
  int code = tap_done ();
  wire_close (&w);
  exit (code);
}

TAP_FN int
tool_close (struct wire **w)
{
  int code = tap_done ();
  wire_close (w);
  return code;
}

#endif
