/* store/pieces_impl.h -- a SentencePiece model: its pieces, and text to ids.
 *
 * Reads the model's file (a protocol buffer) itself, so that generating needs
 * no other program.  Only models as our importer makes or takes them: text as
 * it is (identity), byte pieces for what has none.
 */
#ifndef STORE_PIECES_IMPL_H
#define STORE_PIECES_IMPL_H

#include "base/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store_pieces;
/* data is borrowed for its life; name stands in messages.  E_DATA when it is no
 * such model, or has no byte pieces. */
enum status
store_pieces_open (const char *name, const void *data, size_t n,
                   struct store_pieces **out);
void
store_pieces_close (struct store_pieces **p);
int64_t
store_pieces_count (const struct store_pieces *p);
/* What spm_encode would do to a text before it looks for pieces, which encode
 * below does not; NULL: nothing. */
const char *
store_pieces_changes (const struct store_pieces *p);
/* Id of the byte piece, and of the end of a sentence; -1: none. */
int32_t
store_pieces_byte (const struct store_pieces *p, unsigned char byte);
int32_t
store_pieces_end (const struct store_pieces *p);
/* One line, without its end, as ids; ids has room for 3 (n + 1). */
enum status
store_pieces_encode (const struct store_pieces *p, const char *line, size_t n,
                     int32_t *ids, size_t *n_ids);
/* The bytes of a piece, with blanks where the model writes its mark; buf[n].
 * Control pieces have none. */
const char *
store_pieces_text (const struct store_pieces *p, int32_t id, char buf[256],
                   size_t *n);

#endif
