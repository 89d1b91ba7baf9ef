/* verify/kernels.c -- the kernels that a configuration's network may use. */
#include "verify/verify.h"

#include "run/session.h"
#include "train/train.h"

enum status
verify_kernels (struct wire *w, const struct config *c)
{
  struct session s;
  struct session_spec spec = {.design = {.guess_costs = true, .proves = true}};
  int right, dropped;
  TRY (session_open (w, c, &spec, &s));
  enum status e = train_init (&s);
  if (e == OK) {
    kernels_say_dropped (s.design->kernels);
    /* Others compared the same, and all agree. */
    kernels_say_proofs (s.design->kernels, &right, &dropped);
    say (LOG_INFO,
         "%d kernels compared with plain arithmetic: %d right, %d "
         "dropped, others in their place",
         right + dropped, right, dropped);
  }
  session_close (&s);
  return e;
}
