/* store/json.h -- what rooms that write JSON with Jansson have in common. */
#ifndef STORE_JSON_H
#define STORE_JSON_H

#include "base/status.h"
#include "base/text.h"
#include <jansson.h>

/* A new string; "(not UTF-8)" for what is none. */
json_t *
store_json_text (const char *word);
/* A new number; null for what is not finite. */
json_t *
store_json_number (double v);
/* Adds j to out, numbers with nine digits, as tables have them; flags: of
 * Jansson, besides.  Takes j, which may be NULL.  what: for E_MEMORY. */
enum status
store_json_put (json_t *j, size_t flags, const char *what, struct text *out);

#endif
