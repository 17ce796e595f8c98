/* storage_file.h: the few things that storage does to folders, each durable when it returns, and to plain
 * files beside LMDB's. */
#ifndef STORAGE_FILE_H
#define STORAGE_FILE_H

#include "storage_status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Creates the folder (mode 0700) and its parents as far as they are missing, and syncs the parent of each
 * folder it created, so that a power cut does not take the new name away; that of the folder itself also when
 * it was there, for whoever created it may have died, or met an error, before it was synced. (Not where it is
 * the root of a filesystem, or where the parent may not be read: then others created it.) */
enum storage_status storage_create_directory(const char *path,
                                             struct storage_error *error) STORAGE_MUST_CHECK;

/* Makes the names in a folder durable. */
enum storage_status storage_sync_directory(const char *path, struct storage_error *error) STORAGE_MUST_CHECK;

/* Makes the name of a file or folder durable. */
enum storage_status storage_sync_parent(const char *path, struct storage_error *error) STORAGE_MUST_CHECK;

/* Removes a folder and the plain files in it (no folders below it), then syncs its parent. */
enum storage_status storage_remove_directory(const char *path,
                                             struct storage_error *error) STORAGE_MUST_CHECK;

/* A new file in this folder that has no name, and is gone with its descriptor. */
enum storage_status storage_open_nameless(const char *directory, int *file,
                                          struct storage_error *error) STORAGE_MUST_CHECK;
void storage_close_file(int file); /* -1 is allowed */

/* Has the kernel begin to write what is dirty, so that a later sync has little left to do. A sync of
 * gigabytes holds up the commits of everybody on the same disk for seconds (measured). It promises nothing,
 * and may fail. */
void storage_start_writing_back(int file);

/* All of it, however many calls that takes. `path` is for the sentence. A full disk is STORAGE_FULL; a file
 * that ends early is STORAGE_FAILED. Nothing is durable yet. */
enum storage_status storage_write_at(int file, const uint8_t *bytes, size_t size, uint64_t offset,
                                     const char *path, struct storage_error *error) STORAGE_MUST_CHECK;
enum storage_status storage_read_at(int file, uint8_t *bytes, size_t size, uint64_t offset, const char *path,
                                    struct storage_error *error) STORAGE_MUST_CHECK;

#endif
