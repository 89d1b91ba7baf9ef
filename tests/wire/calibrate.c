/* ranks: 1 2 3 4 */
/* Figures of a link: there, the same on all ranks, and of a sane size; one rank
 * alone has none. */
#include "tests/wire/tool.h"
#include <math.h>

int
main (int argc, char **argv)
{
  struct wire *w = NULL;
  struct wire_link link = {-1, -1, -1};
  enum status s;
  double bytes;
  int64_t messages;

  tap_ok (wire_open (&argc, &argv, &w) == OK, "open");
  tap_ok (wire_grid (w, 1) == OK, "grid");
  s = wire_calibrate (w, &link);
  if (wire_size (w) == 1) {
    tap_ok (s == E_USAGE && link.latency_s == -1, "one rank: %s",
            fail_message ());
    fail_clear ();
  } else {
    double *all = NULL,
           mine[] = {link.latency_s, link.bytes_per_s, link.both_bytes_per_s};
    bool same = true;
    tap_ok (s == OK, "measured");
    /* Light needs 3 ns for a metre; no memory gives 10 TB/s. */
    tap_ok (link.latency_s > 1e-9 && link.latency_s < 10, "latency %g s",
            link.latency_s);
    tap_ok (link.bytes_per_s > 1e5 && link.bytes_per_s < 1e13, "%g bytes/s",
            link.bytes_per_s);
    tap_ok (link.both_bytes_per_s > 1e5 && link.both_bytes_per_s < 1e13,
            "both ways %g bytes/s", link.both_bytes_per_s);
    wire_traffic (w, &bytes, &messages);
    tap_ok (bytes > 40 * 4e6, "%g bytes went over it", bytes);
    if (MEM_NEW (3 * (size_t)wire_size (w), &all, "figures") != OK ||
        wire_all_gather (w, mine, 3, all) != OK)
      wire_abort (E_MEMORY);
    for (int i = 0; i < 3 * wire_size (w); i++)
      same = same && all[i] == mine[i % 3];
    tap_ok (same, "the same on all ranks");
    mem_free (&all);
  }
  tap_ok (wire_under_way (w) == 0, "nothing is under way");
  wire_close (&w);
  return tap_done ();
}
