/* test_memory_fault.c: what a process says before it ends because memory cannot be read. */
#include "memory_fault.h"

#include "replica.h"
#include "temp_directory.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Runs `end` in a child that explains itself; what it says is in `said`. How it ended, as of waitpid(). */
static int end_of(void (*end)(const char *path), const char *path, char said[static 1000])
{
    int files[2], status = 0;

    assert_int_equal(pipe(files), 0);
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit no_core = {0, 0};

        (void)signal(SIGBUS, SIG_DFL); /* not cmocka's, nor a sanitizer's */
        (void)signal(SIGSEGV, SIG_DFL);
        (void)setrlimit(RLIMIT_CORE, &no_core);
        (void)dup2(files[1], STDERR_FILENO);
        memory_fault_explain();
        end(path);
        _exit(0);
    }
    (void)close(files[1]);
    size_t size = 0;

    for (ssize_t got; (got = read(files[0], said + size, 999 - size)) > 0;) {
        size += (size_t)got;
    }
    said[size] = '\0';
    (void)close(files[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void read_what_is_cut_off(const char *path)
{
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (file < 0 || ftruncate(file, 8192) != 0) {
        _exit(99);
    }
    const volatile char *bytes = mmap(NULL, 8192, PROT_READ, MAP_SHARED, file, 0);

    if (bytes == MAP_FAILED || bytes[5000] != 0 || ftruncate(file, 0) != 0) {
        _exit(98);
    }
    _exit(bytes[5000]);
}

static void read_what_was_never_there(const char *path)
{
    (void)path;
    const volatile char *bytes = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    _exit(bytes[100]);
}

static void be_sent_one(const char *path)
{
    (void)path;
    (void)raise(SIGSEGV);
}

static void a_mapped_file_that_was_cut_short_is_damage(void **state)
{
    char said[1000];
    char *directory = temp_directory_create();
    char *path = temp_directory_join(directory, "file");

    (void)state;
    int status = end_of(read_what_is_cut_off, path, said);

    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), REPLICA_EXIT_CORRUPT);
    assert_non_null(strstr(said, "mapped into memory cannot be read (SIGBUS)"));
    assert_string_equal(strchr(said, '\n'), "\n");
    free(path);
    temp_directory_remove(directory);
}

static void a_fault_ends_the_process_by_its_signal_with_a_word_before(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        char said[1000];
        int status = end_of(i == 0 ? read_what_was_never_there : be_sent_one, NULL, said);

        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGSEGV);
        assert_non_null(strstr(said, "memory that is not there was used (SIGSEGV)"));
        assert_string_equal(strchr(said, '\n'), "\n");
    }
}

static void leave_it_to_another(int number)
{
    _exit(number == SIGBUS ? 50 : 51);
}

static void be_looked_after(const char *path)
{
    (void)signal(SIGBUS, leave_it_to_another);
    (void)signal(SIGSEGV, leave_it_to_another);
    memory_fault_explain();
    read_what_is_cut_off(path);
}

static void who_looks_after_it_already_keeps_it(void **state)
{
    char said[1000];
    char *directory = temp_directory_create();
    char *path = temp_directory_join(directory, "file");

    (void)state;
    int status = end_of(be_looked_after, path, said);

    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 50);
    assert_string_equal(said, "");
    free(path);
    temp_directory_remove(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mapped_file_that_was_cut_short_is_damage),
        cmocka_unit_test(a_fault_ends_the_process_by_its_signal_with_a_word_before),
        cmocka_unit_test(who_looks_after_it_already_keeps_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
