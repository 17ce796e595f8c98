/* storage_status.h: how storage calls fail, and the sentence that says so. */
#ifndef STORAGE_STATUS_H
#define STORAGE_STATUS_H

#define STORAGE_MUST_CHECK __attribute__((warn_unused_result))

enum storage_status {
    STORAGE_OK = 0,
    STORAGE_FULL,         /* no room; nothing was changed; usable again when there is room */
    STORAGE_LOCKED,       /* another process uses the directory */
    STORAGE_OUTDATED,     /* older than what is there already: refused, nothing was changed */
    STORAGE_INCOMPATIBLE, /* a format or an identity that is not ours: refuse, change nothing */
    STORAGE_CORRUPT,      /* a checksum or a structure is wrong: stop, keep the files for inspection */
    STORAGE_FAILED,       /* the system refused or broke: open failed, EIO, failed commit */
};

/* A sentence for a person: what, where, why, and what to do. */
struct storage_error {
    char text[512];
};

#endif
