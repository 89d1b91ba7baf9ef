/* verify/kernels.c -- the kernels that a configuration's network may use. */
#include "verify/verify.h"

#include "run/session.h"
#include "train/train.h"

/* What was compared on the root; others compared the same, and all agree. */
static void
print_proofs (const struct kern *k, int *right, int *dropped)
{
  *right = *dropped = 0;
  for (int i = 0; i < kern_proof_count (k); i++) {
    const struct kern_proof p = kern_proof_at (k, i);
    if (p.right)
      say (LOG_INFO, "ok %d - %s: largest error %.2g", ++*right, p.key,
           p.error);
    else
      ++*dropped;
  }
}

enum status
verify_kernels (struct wire *w, const struct config *c)
{
  struct session s;
  struct session_how how = {.guess_costs = true, .proves = true};
  int right, dropped;
  TRY (session_open (w, c, &how, &s));
  enum status e = train_init (&s);
  if (e == OK) {
    kern_dropped_say (s.kern);
    print_proofs (s.kern, &right, &dropped);
    say (LOG_INFO,
         "%d kernels compared with plain arithmetic: %d right, %d "
         "dropped, others in their place",
         right + dropped, right, dropped);
  }
  session_close (&s);
  return e;
}
