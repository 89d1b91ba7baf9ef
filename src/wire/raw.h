/* wire/raw.h -- communicators for libraries that want them (store, probe). */
#ifndef WIRE_RAW_H
#define WIRE_RAW_H

#include "wire/wire.h"
#include <mpi.h>

/* Borrowed until wire_close.  MPI_COMM_NULL when the wire is alone. */
MPI_Comm
wire_raw_world (const struct wire *w);
/* The ranks of this one's node. */
MPI_Comm
wire_raw_node (const struct wire *w);
MPI_Comm
wire_raw_pipe (const struct wire *w);

#endif
