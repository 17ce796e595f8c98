/* temp_directory.c: see temp_directory.h. */
#include "temp_directory.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void temp_directory_check(int good, const char *what)
{
    if (!good) {
        perror(what);
        abort();
    }
}

char *temp_directory_join(const char *path, const char *name)
{
    char *joined = NULL;
    temp_directory_check(asprintf(&joined, "%s/%s", path, name) > 0, "asprintf");
    return joined;
}

char *temp_directory_create(void)
{
    const char *parent = getenv("TMPDIR");
    char *path =
        temp_directory_join(parent == NULL || parent[0] == '\0' ? "/tmp" : parent, "kvd-test-XXXXXX");
    temp_directory_check(mkdtemp(path) != NULL, path);
    return path;
}

static int temp_directory_remove_one(const char *path, const struct stat *information, int type,
                                     struct FTW *place)
{
    (void)information;
    (void)place;
    return type == FTW_DP ? rmdir(path) : unlink(path);
}

void temp_directory_remove(char *path)
{
    temp_directory_check(nftw(path, temp_directory_remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0, path);
    free(path);
}
