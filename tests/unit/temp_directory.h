/* temp_directory.h: a folder of a test's own, under $TMPDIR or /tmp, removed with all that is in it at the
 * end. */
#ifndef TEMP_DIRECTORY_H
#define TEMP_DIRECTORY_H

/* A new folder; its path is to be given to temp_directory_remove(). */
char *temp_directory_create(void);
/* Removes the folder and everything below it, and frees the path. */
void temp_directory_remove(char *path);
/* "<path>/<name>" in memory that the caller frees. */
char *temp_directory_join(const char *path, const char *name);

#endif
