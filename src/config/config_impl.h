/* config/config_impl.h -- what reading a file has to know of keys. */
#ifndef CONFIG_CONFIG_IMPL_H
#define CONFIG_CONFIG_IMPL_H

#include "config/config.h"

bool
key_section_known (const char *section);
/* The likely key or section behind a slip; "" or "; did you mean X?". */
void
key_suggest (const char *section, const char *name, struct text *out);
void
key_suggest_section (const char *section, struct text *out);

#endif
