/* tests/bench/link.c -- a library to preload that makes what comes in for sums
 * over replicas come as over a slow link.
 *
 *   LINK_LATENCY_S  seconds that a message takes (0)
 *   LINK_RATE       bytes a second that come in (as fast as it is)
 *
 * A leg of a sum asks MPI_Testall whether its transfers are done.  When they
 * are, what they brought still has to go through the link, one after the other,
 * and only then the answer is yes.  So it works with any version of the
 * program; messages between stages, which ask MPI_Test, pass unhindered.
 */
#include <mpi.h>
#include <stdlib.h>
#include <time.h>

enum { MOST = 1024 };

/* Receives under way, and legs whose transfers are done but for the link. */
static struct {
  MPI_Request request;
  double bytes;
} receive[MOST];
static struct {
  const MPI_Request *leg;
  double due_s;
} held[MOST];
static int n_receives, n_held;
static double free_s;

static double
now_s (void)
{
  struct timespec t;
  clock_gettime (CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double
number (const char *name)
{
  const char *word = getenv (name);
  return word ? atof (word) : 0;
}

int
MPI_Irecv (void *to, int n, MPI_Datatype type, int from, int tag, MPI_Comm comm,
           MPI_Request *request)
{
  int size;
  int result = PMPI_Irecv (to, n, type, from, tag, comm, request);
  PMPI_Type_size (type, &size);
  int i = 0;
  while (i < n_receives && receive[i].request != *request)
    i++;
  if (i == n_receives && n_receives < MOST)
    n_receives++;
  if (i < MOST) {
    receive[i].request = *request;
    receive[i].bytes = (double)n * size;
  }
  return result;
}

/* What the requests bring; they are forgotten. */
static double
bytes_of (int n, const MPI_Request *request)
{
  double sum = 0;
  for (int i = 0; i < n; i++)
    for (int j = 0; j < n_receives; j++)
      if (receive[j].request == request[i]) {
        sum += receive[j].bytes;
        receive[j--] = receive[--n_receives];
      }
  return sum;
}

/* When so much is through. */
static double
through_s (double bytes)
{
  double start = now_s (), rate = number ("LINK_RATE");
  if (start < free_s)
    start = free_s;
  free_s = start + (rate > 0 ? bytes / rate : 0);
  return free_s + number ("LINK_LATENCY_S");
}

int
MPI_Testall (int n, MPI_Request request[], int *done, MPI_Status status[])
{
  static MPI_Request before[MOST];
  int i = 0;
  while (i < n_held && held[i].leg != request)
    i++;
  if (i < n_held) {
    *done = now_s () >= held[i].due_s;
    if (*done)
      held[i] = held[--n_held];
    return MPI_SUCCESS;
  }
  for (int j = 0; j < n && j < MOST; j++)
    before[j] = request[j];
  int result = PMPI_Testall (n, request, done, status);
  double bytes = *done ? bytes_of (n, before) : 0;
  if (bytes > 0 && n_held < MOST) {
    held[n_held].leg = request;
    held[n_held++].due_s = through_s (bytes);
    *done = 0;
  }
  return result;
}
