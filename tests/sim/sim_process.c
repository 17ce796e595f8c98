/* sim_process.c: see sim_process.h. */
#include "sim_process.h"

#include "temp_directory.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

/* A run that takes no CPU time either ends after so many times its limit, by the clock. */
enum { WALL_TIMES_CPU = 20, SECONDS_TO_DIE = 5 };
/* On the disk in memory. Of 300 runs the largest took 72 MiB, the median 12. */
enum { RUN_MIB_MAX = 96 };

struct sim_process {
    uint64_t seed;
    pid_t pid;
    char *directory;
    char *output; /* a file with what it printed */
    struct sim_result *shared;
};

/* What a signal handler may write to. */
static volatile sig_atomic_t signal_that_came;

static void on_signal(int number)
{
    signal_that_came = number;
}

static void set_handler(void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler}; /* waitpid() is interrupted */
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

void sim_process_catch_signals(void)
{
    set_handler(on_signal);
}

int sim_process_signal(void)
{
    return signal_that_came;
}

static bool has_shared_memory(void)
{
    return access("/dev/shm", W_OK) == 0;
}

bool sim_process_has_room(uint32_t jobs)
{
    struct statvfs room;
    uint64_t wanted_mib = (uint64_t)jobs * RUN_MIB_MAX;
    if (!has_shared_memory() || statvfs("/dev/shm", &room) != 0) {
        return true;
    }
    uint64_t free_mib = ((uint64_t)room.f_bavail * room.f_frsize) >> 20;
    if (free_mib < wanted_mib) {
        (void)fprintf(stderr,
                      "kvsim: /dev/shm has %" PRIu64 " MiB free, and %u runs at a time may take %" PRIu64
                      ": give it more (docker run --shm-size), or ask for fewer with --jobs\n",
                      free_mib, jobs, wanted_mib);
    }
    return free_mib >= wanted_mib;
}

static char *make_directory(void)
{
    if (!has_shared_memory()) {
        return temp_directory_create();
    }
    char *path = strdup("/dev/shm/kvsim-XXXXXX");
    if (path == NULL || mkdtemp(path) == NULL) {
        perror("/dev/shm/kvsim-XXXXXX");
        exit(2);
    }
    return path;
}

/* CPU time: a machine that is busy with other things makes no run fail. */
static void limit_time(uint32_t seconds)
{
    const struct rlimit cpu = {seconds, (rlim_t)seconds + SECONDS_TO_DIE};
    uint64_t wall_seconds = (uint64_t)seconds * WALL_TIMES_CPU;
    if (setrlimit(RLIMIT_CPU, &cpu) != 0) {
        perror("setrlimit");
        _exit(2);
    }
    (void)alarm(wall_seconds < UINT32_MAX ? (unsigned)wall_seconds : UINT32_MAX);
}

static void run_child(const struct sim_process *process, const struct sim_options *options, uint32_t seconds)
{
    struct sim_options own = *options;
    int output = open(process->output, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (output < 0 || dup2(output, STDOUT_FILENO) < 0 || dup2(output, STDERR_FILENO) < 0) {
        _exit(2);
    }
    set_handler(SIG_DFL);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* not to outlive whoever asked */
    limit_time(seconds);
    own.directory = process->directory;
    sim_run(&own, &process->shared->counts, &process->shared->digest, &process->shared->simulated_us);
    if (own.trace.out != NULL) {
        (void)fflush(own.trace.out);
    }
    exit(SIM_PASSED);
}

struct sim_process *sim_process_start(const struct sim_options *options, uint32_t seconds)
{
    struct sim_process *process = sim_allocate(sizeof *process);
    process->seed = options->seed;
    process->directory = make_directory();
    process->output = temp_directory_join(process->directory, "output");
    process->shared =
        mmap(NULL, sizeof *process->shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (process->shared == MAP_FAILED) {
        abort();
    }
    (void)fflush(NULL);
    process->pid = fork();
    if (process->pid < 0) {
        perror("fork");
        exit(2);
    }
    if (process->pid == 0) {
        run_child(process, options, seconds);
    }
    return process;
}

int sim_process_id(const struct sim_process *process)
{
    return process->pid;
}

void sim_process_kill(const struct sim_process *process)
{
    (void)kill(process->pid, SIGKILL);
}

/* The last line that says something. */
static void read_last_line(const char *path, char *text, size_t text_bytes)
{
    FILE *file = fopen(path, "r");
    char line[SIM_PROCESS_TEXT_BYTES];
    text[0] = '\0';
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        bool better = strstr(line, "Assertion") != NULL || strstr(line, "ERROR: ") != NULL ||
                      strstr(line, "runtime error: ") != NULL || strncmp(line, "FAILED", 6) == 0;
        if (better || (text[0] == '\0' && line[0] != '\0')) {
            (void)snprintf(text, text_bytes, "%s", line);
        }
        if (better) {
            break;
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
}

void sim_process_end(struct sim_process *process, int status, struct sim_result *result)
{
    char line[SIM_PROCESS_TEXT_BYTES];
    *result = *process->shared;
    result->seed = process->seed;
    read_last_line(process->output, line, sizeof line);
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    bool said = strncmp(line, "FAILED", 6) == 0;
    if (code == SIM_PASSED) {
        result->failure = SIM_PASSED;
    } else if (said && (code == SIM_CORRECTNESS || code == SIM_LIVENESS || code == SIM_HISTORY)) {
        result->failure = (enum sim_failure)code;
        (void)snprintf(result->text, sizeof result->text, "%s", line);
    } else if (WIFSIGNALED(status) && (WTERMSIG(status) == SIGXCPU || WTERMSIG(status) == SIGALRM)) {
        result->failure = SIM_LIVENESS;
        (void)snprintf(result->text, sizeof result->text,
                       "FAILED seed=%" PRIu64 " kind=liveness it takes too long%s", process->seed,
                       WTERMSIG(status) == SIGXCPU ? " (CPU time)" : ", and does nothing");
    } else {
        char ending[100] = "without a word";
        if (WIFSIGNALED(status)) {
            (void)snprintf(ending, sizeof ending, "signal %d, %s", WTERMSIG(status),
                           strsignal(WTERMSIG(status)));
        }
        result->failure = SIM_CRASH;
        (void)snprintf(result->text, sizeof result->text, "FAILED seed=%" PRIu64 " kind=crash %.1800s",
                       process->seed, line[0] == '\0' ? ending : line);
    }
    free(process->output);
    temp_directory_remove(process->directory);
    (void)munmap(process->shared, sizeof *process->shared);
    free(process);
}

void sim_process_run(const struct sim_options *options, uint32_t seconds, struct sim_result *result)
{
    struct sim_process *process = sim_process_start(options, seconds);
    int status = 0;
    while (waitpid(process->pid, &status, 0) < 0) {
        if (sim_process_signal() != 0) {
            sim_process_kill(process);
        }
    }
    sim_process_end(process, status, result);
}
