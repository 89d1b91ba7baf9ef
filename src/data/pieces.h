/* data/pieces.h -- a SentencePiece model: its pieces, and text to ids.
 *
 * Reads the model's file (a protocol buffer) itself, so that generating needs
 * no other program.  Only models as our importer makes or takes them: text as
 * it is (identity), byte pieces for what has none.
 */
#ifndef DATA_PIECES_H
#define DATA_PIECES_H

#include "base/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct data_pieces;
/* data is borrowed for its life; name stands in messages.  E_DATA when it is no
 * such model, or has no byte pieces. */
enum status
data_pieces_open (const char *name, const void *data, size_t n,
                  struct data_pieces **out);
void
data_pieces_close (struct data_pieces **p);
int64_t
data_pieces_count (const struct data_pieces *p);
/* What spm_encode would do to a text before it looks for pieces, which encode
 * below does not; NULL: nothing. */
const char *
data_pieces_changes (const struct data_pieces *p);
/* Id of the byte piece, and of the end of a sentence; -1: none. */
int32_t
data_pieces_byte (const struct data_pieces *p, unsigned char byte);
int32_t
data_pieces_end (const struct data_pieces *p);
/* One line, without its end, as ids; ids has room for 3 (n + 1). */
enum status
data_pieces_encode (const struct data_pieces *p, const char *line, size_t n,
                    int32_t *ids, size_t *n_ids);
/* The bytes of a piece, with blanks where the model writes its mark; buf[n].
 * Control pieces have none. */
const char *
data_pieces_text (const struct data_pieces *p, int32_t id, char buf[256],
                  size_t *n);

#endif
