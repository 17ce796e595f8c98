/* backup_summary.h: what a sound backup holds, for people and as JSON. */
#ifndef BACKUP_SUMMARY_H
#define BACKUP_SUMMARY_H

#include "backup_file.h"

#include <stdbool.h>
#include <stdio.h>

void backup_summary_print(const char *path, uint64_t bytes, const struct backup_summary *summary, bool json,
                          FILE *out);
/* JSON: why there is none, or it is not sound. */
void backup_summary_print_failure(const char *path, const char *reason, FILE *out);

#endif
