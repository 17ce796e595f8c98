/* storage_foreign_reader.h: a process that reads an LMDB environment beside ours, as a backup tool does, and
 * is killed in the middle of it (pitfall 22).
 *
 * It is forked before the test opens the environment, and opens it when told to: nobody forks with an open
 * one (pitfall 25).
 */
#ifndef STORAGE_FOREIGN_READER_H
#define STORAGE_FOREIGN_READER_H

#include "storage_testing.h"

#include <lmdb.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

struct foreign_reader {
    pid_t process;
    int go;    /* a byte tells it to begin */
    int ready; /* a byte says that it reads */
};

static inline void foreign_reader_fork(struct foreign_reader *reader, const char *directory)
{
    int go[2];
    int ready[2];
    assert_int_equal(pipe(go), 0);
    assert_int_equal(pipe(ready), 0);
    reader->process = fork();
    if (reader->process == 0) {
        MDB_env *environment = NULL;
        MDB_txn *transaction = NULL;
        char byte;
        bool good = read(go[0], &byte, 1) == 1 && mdb_env_create(&environment) == 0 &&
                    mdb_env_open(environment, directory, MDB_NOTLS, 0600) == 0 &&
                    mdb_txn_begin(environment, NULL, MDB_RDONLY, &transaction) == 0;
        _exit(good && write(ready[1], "x", 1) == 1 && pause() == -1 ? 0 : 1);
    }
    close(go[0]);
    close(ready[1]);
    reader->go = go[1];
    reader->ready = ready[0];
}

/* It begins to read, and is killed while it does. */
static inline void foreign_reader_begin_and_die(struct foreign_reader *reader)
{
    char byte;
    assert_int_equal(write(reader->go, "x", 1), 1);
    assert_int_equal(read(reader->ready, &byte, 1), 1);
    assert_int_equal(kill(reader->process, SIGKILL), 0);
    assert_int_equal(waitpid(reader->process, NULL, 0), reader->process);
    close(reader->go);
    close(reader->ready);
}

#endif
