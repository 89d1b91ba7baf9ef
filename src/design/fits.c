/* design/fits.c -- whether the ranks of a node find the memory there that the
 * plan says they need, before any tensor is made.
 *
 * The system would give the memory away twice and kill a rank minutes later,
 * without a word.
 */
#include "design/design_impl.h"

#include <stdlib.h>

/* Micro-batches times stages that are tried for advice, at most: a plan of more
 * takes its time. */
#define MOST_PLANNED 65536

/* Where each rank is, and what is left there: 2 numbers per world rank. */
struct rooms {
  int size, n_pipe;
  double *v; /* first rank of its node, bytes */
};

static double
bytes_of (const struct design *d, const struct rooms *r, int rank)
{
  return design_rank_bytes (d, rank % r->n_pipe);
}

/* All ranks of this rank's node together; *most: the rank that needs most, *n:
 * how many they are. */
static double
node_bytes (const struct design *d, const struct rooms *r, int *most, int *n)
{
  const int me = wire_rank (d->wire);
  double sum = 0;
  *most = me;
  *n = 0;
  for (int i = 0; i < r->size; i++) {
    if (r->v[2 * i] != r->v[2 * me])
      continue;
    sum += bytes_of (d, r, i);
    if (bytes_of (d, r, i) > bytes_of (d, r, *most))
      *most = i;
    ++*n;
  }
  return sum;
}

/* What the node has for n ranks: the least that one of them finds, and what all
 * hold already. */
static double
node_room (const struct design *d, const struct rooms *r, int n)
{
  const int me = wire_rank (d->wire);
  double least = r->v[2 * me + 1];
  for (int i = 0; i < r->size; i++)
    if (r->v[2 * i] == r->v[2 * me] && r->v[2 * i + 1] < least)
      least = r->v[2 * i + 1];
  return least + n * DESIGN_PROGRAM_BYTES;
}

/* The least number of micro-batches with which the node's ranks fit, or 0.  The
 * plan of d is another one afterwards. */
static int
micro_that_fits (struct design *d, const struct rooms *r, double room)
{
  int most, n;
  while ((int64_t)d->M * d->K <= MOST_PLANNED / 2) {
    d->M *= 2;
    if (derive_micro_of (&d->config, d->M, &d->n_samples) != OK ||
        design_replan (d, r->n_pipe) != OK) {
      fail_clear ();
      return 0;
    }
    if (node_bytes (d, r, &most, &n) <= room)
      return d->M;
  }
  return 0;
}

static void
add_advice (struct design *d, const struct rooms *r, double room, int n,
            double most_bytes, struct text *out)
{
  const int fit = (int)(room / most_bytes), was = d->M;
  if (n > 1 && fit > 0)
    text_add (out, "; %d such rank%s per node would fit", fit,
              fit == 1 ? "" : "s");
  const int micro = micro_that_fits (d, r, room);
  if (micro > 0)
    text_add (out, "; train.micro = %d instead of %d would do", micro, was);
  text_add (out,
            "; a smaller train.batch or strategy.span, or more ranks on more "
            "nodes, need less on each (`interlock plan` tells)");
}

/* Refused on the ranks of a node that has too little. */
static enum status
compare (struct design *d, const struct rooms *r)
{
  int most, n;
  const double need = node_bytes (d, r, &most, &n);
  const double room = node_room (d, r, n), one = bytes_of (d, r, most);
  struct text advice;
  if (need <= room)
    return OK;
  text_init (&advice);
  add_advice (d, r, room, n, one, &advice);
  enum status e =
      fail (E_MEMORY,
            "the plan needs %s on %s, where %d rank%s run%s (rank %d: %s), and "
            "there are %s, control groups such as Slurm's considered%s",
            text_bytes (need), wire_host (d->wire), n, n == 1 ? "" : "s",
            n == 1 ? "s" : "", most, text_bytes (one), text_bytes (room),
            advice.data);
  text_clear (&advice);
  return e;
}

enum status
design_check_memory (struct design *d)
{
  struct wire *w = d->wire;
  struct rooms r = {.size = wire_size (w), .n_pipe = wire_pipe_size (w)};
  const double mine[2] = {wire_node_first (w), mem_available ()};
  TRY (wire_agree (w, MEM_NEW (2 * (size_t)r.size, &r.v, "room on nodes")));
  enum status e = wire_all_gather (w, mine, 2, r.v);
  if (e == OK && mine[1] >= 0)
    e = compare (d, &r);
  mem_free (&r.v);
  return wire_agree (w, e);
}

enum status
design_foresee_memory (struct design *d)
{
  struct wire *w = d->wire;
  enum status e = design_stages (d);
  if (e == OK)
    e = unit_costs_guess (d->net, d->n_samples, d->behind, &d->costs);
  if (e == OK)
    e = design_replan (d, wire_pipe_size (w));
  e = wire_agree (w, e);
  if (e == OK)
    e = design_check_memory (d);
  design_drop_plans (d);
  design_stages_clear (d);
  mem_free (&d->cost);
  unit_costs_clear (&d->costs);
  return e;
}
