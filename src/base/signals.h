/* base/signals.h -- signals that do not interrupt arithmetic.
 *
 * Some kernels of oneDNN keep values below the stack pointer, beyond the 128
 * bytes that the x86-64 ABI (3.2.2, "the red zone") lets a signal leave alone:
 * dnnl_sgemm with its first matrix transposed, on AVX-512, in 2.6.3 and 3.7.2.
 * The frame of a handler that runs on such a thread destroys them, and the
 * kernel goes on with what it finds: a run that was asked to stop crashed once
 * in fifteen.
 */
#ifndef BASE_SIGNALS_H
#define BASE_SIGNALS_H

#include "base/status.h"

/* From here on handlers run on a thread of their own: this one, and all that it
 * starts from now on, block every signal but those that its own instructions
 * raise.  To be called before other threads are started; later calls change
 * nothing.  E_MEMORY: there is no thread to be had, and nothing is blocked.
 * Local. */
enum status
signals_apart (void);

#endif
