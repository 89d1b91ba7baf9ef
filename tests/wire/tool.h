/* tests/wire/tool.h -- what the tests of wire share. */
#ifndef TESTS_WIRE_TOOL_H
#define TESTS_WIRE_TOOL_H

#define TAP_MPI
#include "base/memory.h"
#include "base/random.h"
#include "tests/tap.h"
#include "wire/wire.h"
#include <setjmp.h>
#include <unistd.h>

/* What a test changes between setjmp and a failed check is not looked at
 * afterwards; the compiler cannot know. */
#pragma GCC diagnostic ignored "-Wclobbered"

/* A failed check comes back here instead of ending all ranks. */
static jmp_buf tool_caught;

TAP_FN void
tool_catch (enum status s)
{
  longjmp (tool_caught, 1 + (int)s);
}

/* True when a check fails in it; its message is kept. */
#define TOOL_CHECK_FAILS(...)                     \
  (status_abort_hook (tool_catch), fail_clear (), \
   setjmp (tool_caught) == 0 ? ({                 \
     __VA_ARGS__;                                 \
     status_abort_hook (wire_abort);              \
   }),                                            \
   false                     : (status_abort_hook (wire_abort), true))

/* A tensor with room for the header; owns *block. */
TAP_FN struct tensor
tool_tensor (size_t bytes, char **block)
{
  struct tensor t = {.bytes = bytes, .n_dims = 1, .dims = {1}};
  *block = NULL;
  if (mem_new (bytes + TENSOR_HEADER, 1, "a test tensor", (void **)block) != OK)
    wire_abort (E_MEMORY);
  t.data = (float *)(*block + TENSOR_HEADER);
  t.dims[0] = (int64_t)(bytes / sizeof (float));
  return t;
}

/* Contents that depend on number alone. */
TAP_FN void
tool_fill (void *data, size_t bytes, uint64_t number)
{
  struct random_key key = {17, RANDOM_TEST, number, 0};
  unsigned char *p = data;
  uint32_t w[4];
  for (size_t i = 0; i < bytes; i++) {
    if (i % 16 == 0)
      random_block (&key, i / 16, w);
    p[i] = (unsigned char)(w[i % 16 / 4] >> 8 * (i % 4));
  }
}

TAP_FN bool
tool_is (const void *data, size_t bytes, uint64_t number)
{
  char *want = NULL;
  if (mem_new (bytes, 1, "a comparison", (void **)&want) != OK)
    return false;
  tool_fill (want, bytes, number);
  bool same = memcmp (want, data, bytes) == 0;
  mem_free (&want);
  return same;
}

/* stderr of this rank into a file, and back; the text that came between. */
struct tool_capture {
  FILE *file;
  int saved;
};

TAP_FN void
tool_capture_begin (struct tool_capture *c)
{
  fflush (stderr);
  c->file = tmpfile ();
  c->saved = dup (STDERR_FILENO);
  if (c->file != NULL)
    dup2 (fileno (c->file), STDERR_FILENO);
}

TAP_FN void
tool_capture_end (struct tool_capture *c, char *text, size_t room)
{
  fflush (stderr);
  dup2 (c->saved, STDERR_FILENO);
  close (c->saved);
  text[0] = '\0';
  if (c->file == NULL)
    return;
  rewind (c->file);
  size_t n = fread (text, 1, room - 1, c->file);
  text[n] = '\0';
  fclose (c->file);
}

TAP_FN int
tool_lines (const char *text)
{
  int n = 0;
  for (; *text != '\0'; text++)
    n += *text == '\n';
  return n;
}

#endif
