/* base/csv.h -- lines of comma-separated fields, read where they stand.
 *
 * A field in quotes may hold commas, and two quotes for one.  A line ends with
 * \n, \r\n or the text.
 */
#ifndef BASE_CSV_H
#define BASE_CSV_H

#include <stddef.h>

/* Characters of the field at s, quotes and all. */
size_t
csv_length (const char *s);
int
csv_count (const char *line);
/* Field i of a line and its characters; "" and 0 where there is none. */
const char *
csv_field (const char *line, int i, size_t *n);
/* Which field of a line is this; -1: none. */
int
csv_find (const char *line, const char *name);
/* The beginning of the next line; "" at the end. */
const char *
csv_next (const char *line);

#endif
