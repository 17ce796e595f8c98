/* test_bus.c: a real node 1 of a cluster of three, and the test in the place of node 2 and of strangers. */
#include "bus.h"
#include "bus_codec.h"
#include "bus_proof.h"
#include "bus_strangers.h"
#include "runtime_child.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define SECRET "a secret of some length"

struct stage {
    struct runtime_child child;
    uint16_t bus_port;      /* of node 1 */
    int listening;          /* of the test, as node 2 */
    struct bus_hello hello; /* what node 1 said when it dialled us */
};

/* ---- frames over sockets --------------------------------------------------------------------- */

static void say(int file, const struct bus_message *message)
{
    struct byte_buffer frame = {0};

    bus_codec_encode(&frame, message);
    runtime_child_send(file, byte_buffer_front(&frame), byte_buffer_size(&frame));
    byte_buffer_deinit(&frame);
}

/* False: the other side closed. */
static bool hear(int file, struct bus_message *message)
{
    uint8_t bytes[8192];
    size_t size = 0, consumed, wanted;

    for (;;) {
        enum bus_codec_result result =
            bus_codec_decode(bytes, size, sizeof bytes - BUS_FRAME_HEADER_BYTES, message, &consumed, &wanted);

        assert_int_not_equal(result, BUS_CODEC_ERROR);
        if (result == BUS_CODEC_MESSAGE) {
            return true;
        }
        assert_true(wanted <= sizeof bytes);
        ssize_t got = read(file, bytes + size, wanted - size); /* never more than this frame */

        if (got == 0 || (got < 0 && errno == ECONNRESET)) {
            return false;
        }
        assert_true(got > 0);
        size += (size_t)got;
    }
}

static void expect_closed(int file)
{
    char *all = runtime_child_read_all(file);

    free(all);
    (void)close(file);
}

static void expect_refused(int file, enum bus_refusal code)
{
    struct bus_message message;

    assert_true(hear(file, &message));
    assert_int_equal(message.type, BUS_MESSAGE_REFUSED);
    assert_int_equal(message.refused.code, code);
    assert_true(strlen(message.refused.reason) > 20);
    expect_closed(file);
}

static void expect_hello(int file, struct bus_message *message)
{
    assert_true(hear(file, message));
    assert_int_equal(message->type, BUS_MESSAGE_HELLO);
    assert_int_equal(message->hello.from, 1);
    assert_int_equal(message->hello.to, 2);
}

/* ---- the stage ------------------------------------------------------------------------------- */

static int accept_dial(const struct stage *stage)
{
    int file = accept4(stage->listening, NULL, NULL, SOCK_CLOEXEC);
    const struct timeval patience = {30, 0};

    assert_true(file >= 0);
    assert_int_equal(setsockopt(file, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    return file;
}

/* Node 1 runs, and has said hello to us once (we hung up). */
static void start(struct stage *stage, const char *secret)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    char cluster[200];
    struct bus_message message;
    const struct timeval patience = {30, 0};

    stage->listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(stage->listening, (const struct sockaddr *)(const void *)&address, size), 0);
    assert_int_equal(listen(stage->listening, 16), 0);
    assert_int_equal(getsockname(stage->listening, (struct sockaddr *)(void *)&address, &size), 0);
    assert_int_equal(setsockopt(stage->listening, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    stage->bus_port = runtime_child_free_port();
    sprintf(cluster, "1=127.0.0.1:%u,2=127.0.0.1:%u,3=127.0.0.1:%u", stage->bus_port, ntohs(address.sin_port),
            runtime_child_free_port());
    runtime_child_start(&stage->child,
                        (const char *const[]){"--cluster", cluster,
                                              secret == NULL ? NULL : "--cluster-secret", secret, NULL});
    int file = accept_dial(stage);

    expect_hello(file, &message);
    stage->hello = message.hello;
    (void)close(file);
}

static void stop(struct stage *stage)
{
    (void)close(stage->listening);
    runtime_child_stop(&stage->child);
}

/* A hello that node 1 has nothing against. */
static struct bus_message good_hello(const struct stage *stage)
{
    struct bus_message message = {.type = BUS_MESSAGE_HELLO, .hello = stage->hello};

    message.hello.from = 2;
    message.hello.to = 1;
    message.hello.disk_id = 222;
    memset(message.hello.nonce, 7, BUS_NONCE_BYTES);
    memset(message.hello.proof, 0, BUS_PROOF_BYTES);
    return message;
}

static struct bus_proof_subject subject_of(const struct bus_message *hello)
{
    struct bus_proof_subject subject = {.dialler = 2, .acceptor = 1};

    memcpy(subject.dialler_nonce, hello->hello.nonce, BUS_NONCE_BYTES);
    return subject;
}

static void add_mark(struct bus_message *hello)
{
    struct bus_proof_subject subject = subject_of(hello);

    bus_proof_make((const uint8_t *)SECRET, strlen(SECRET), BUS_PROOF_MARK, &subject, hello->hello.proof);
}

/* ---- cases ----------------------------------------------------------------------------------- */

static void a_member_is_dialled_again_and_again_and_greeted(void **state)
{
    struct stage stage;
    struct bus_message message;

    (void)state;
    start(&stage, NULL);
    for (int i = 0; i < 3; i++) {
        int file = accept_dial(&stage);
        struct bus_message hello = good_hello(&stage);

        expect_hello(file, &message);
        say(file, &hello);
        assert_true(runtime_child_logs(&stage.child, "event=peer-connected"));
        (void)close(file);
    }
    assert_true(runtime_child_logs(&stage.child, "event=peer-disconnected"));
    stop(&stage);
}

static void a_member_that_dials_is_greeted_and_another_connection_replaces_the_first(void **state)
{
    struct stage stage;
    struct bus_message message, hello;

    (void)state;
    start(&stage, NULL);
    hello = good_hello(&stage);
    int first = runtime_child_connect(stage.bus_port), second = runtime_child_connect(stage.bus_port);

    say(first, &hello);
    expect_hello(first, &message);
    say(second, &hello);
    expect_hello(second, &message);
    expect_closed(first);
    /* The second one is open: a raft message is taken, and nothing comes back on it. */
    message = (struct bus_message){.type = BUS_MESSAGE_RAFT,
                                   .raft = {.type = RAFT_MESSAGE_HEARTBEAT, .from = 2, .to = 1, .term = 1}};
    say(second, &message);
    char byte;

    (void)usleep(100000);
    assert_int_equal(recv(second, &byte, 1, MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
    (void)close(second);
    stop(&stage);
}

static void strangers_are_refused_with_a_reason(void **state)
{
    struct stage stage;
    static const struct {
        uint64_t from, to;
        uint16_t version;
        enum bus_refusal code;
    } cases[] = {
        {2, 3, 1, BUS_REFUSAL_ADDRESS},
        {1, 1, 1, BUS_REFUSAL_ADDRESS},
        {9, 1, 1, BUS_REFUSAL_NOT_A_MEMBER},
        {2, 1, 99, BUS_REFUSAL_VERSION},
    };

    (void)state;
    start(&stage, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bus_message hello = good_hello(&stage);
        int file = runtime_child_connect(stage.bus_port);

        hello.hello.from = cases[i].from;
        hello.hello.to = cases[i].to;
        if (cases[i].version != 1) {
            hello.hello.protocol_version = hello.hello.protocol_version_min = cases[i].version;
        }
        say(file, &hello);
        expect_refused(file, cases[i].code);
    }
    struct bus_message hello = good_hello(&stage);
    int file = runtime_child_connect(stage.bus_port);

    hello.hello.members_hash++;
    say(file, &hello);
    expect_refused(file, BUS_REFUSAL_MEMBERS);
    stop(&stage);
}

static void say_as_node(const struct stage *stage, uint64_t node_id)
{
    struct bus_message hello = good_hello(stage);
    int file = runtime_child_connect(stage->bus_port);

    hello.hello.from = node_id;
    say(file, &hello);
    expect_refused(file, BUS_REFUSAL_NOT_A_MEMBER);
}

/* One that comes again and again is not told of again and again; others are. */
static void a_stranger_that_comes_again_is_logged_once(void **state)
{
    struct stage stage;

    (void)state;
    start(&stage, NULL);
    say_as_node(&stage, 9);
    assert_true(runtime_child_logs(&stage.child, "reason=\"node 9 is not among"));
    (void)usleep((BUS_STRANGERS_INTERVAL_MS + 100) * 1000); /* the next line may be written */
    say_as_node(&stage, 9);
    say_as_node(&stage, 9);
    say_as_node(&stage, 10);
    assert_true(runtime_child_logs(&stage.child, "reason=\"node 10 is not among"));
    assert_int_equal(runtime_child_count_logged(&stage.child, "reason=\"node 9 is not among"), 1);
    stop(&stage);
}

static void garbage_and_large_frames_end_the_connection(void **state)
{
    struct stage stage;
    /* A header that announces 5000 bytes: too many before a hello. */
    static const uint8_t large[BUS_FRAME_HEADER_BYTES] = {'k', 'v', 'd', 'b', 0x88, 0x13};

    (void)state;
    start(&stage, NULL);
    int file = runtime_child_connect(stage.bus_port);

    runtime_child_send_text(file, "GET / HTTP/1.0\r\n\r\n");
    expect_closed(file);
    file = runtime_child_connect(stage.bus_port);
    runtime_child_send(file, large, sizeof large);
    expect_closed(file);
    /* A member that says anything but raft and formation messages is no better. */
    struct bus_message hello = good_hello(&stage), message;

    file = runtime_child_connect(stage.bus_port);
    say(file, &hello);
    expect_hello(file, &message);
    say(file, &hello);
    expect_closed(file);
    file = runtime_child_connect(stage.bus_port);
    message = (struct bus_message){.type = BUS_MESSAGE_RAFT,
                                   .raft = {.type = RAFT_MESSAGE_VOTE, .from = 2, .to = 1, .term = 100}};
    say(file, &message); /* without a hello */
    expect_closed(file);
    assert_true(runtime_child_logs(&stage.child, "event=stranger-on-the-bus node=1 address=127.0.0.1:"));
    stop(&stage);
}

static void a_member_may_not_speak_for_another(void **state)
{
    struct stage stage;
    struct bus_message hello, message;

    (void)state;
    start(&stage, NULL);
    hello = good_hello(&stage);
    int file = runtime_child_connect(stage.bus_port);

    say(file, &hello);
    expect_hello(file, &message);
    message = (struct bus_message){.type = BUS_MESSAGE_RAFT,
                                   .raft = {.type = RAFT_MESSAGE_HEARTBEAT, .from = 3, .to = 1, .term = 1}};
    say(file, &message);
    expect_closed(file);
    stop(&stage);
}

static void the_oldest_silent_stranger_goes_when_there_are_too_many(void **state)
{
    struct stage stage;
    int files[BUS_GUESTS_MAX + 1];

    (void)state;
    start(&stage, NULL);
    for (int i = 0; i <= BUS_GUESTS_MAX; i++) {
        files[i] = runtime_child_connect(stage.bus_port);
    }
    expect_closed(files[0]);
    for (int i = 1; i <= BUS_GUESTS_MAX; i++) {
        (void)close(files[i]);
    }
    stop(&stage);
}

/* ---- joining and snapshots ------------------------------------------------------------------- */

static void expect_join_answer(int file, enum bus_join_step step)
{
    struct bus_message message;

    assert_true(hear(file, &message));
    assert_int_equal(message.type, BUS_MESSAGE_JOIN_ANSWER);
    assert_int_equal(message.join_answer.step, step);
    assert_true(strlen(message.join_answer.reason) > 10);
    expect_closed(file);
}

static void one_that_asks_to_join_gets_an_answer_and_no_more(void **state)
{
    struct stage stage;
    struct bus_message hello, message;

    (void)state;
    start(&stage, NULL);
    hello = good_hello(&stage);
    hello.hello.from = 9;
    hello.hello.to = 0;
    hello.hello.joining = true;
    int file = runtime_child_connect(stage.bus_port);

    say(file, &hello);
    assert_true(hear(file, &message));
    assert_int_equal(message.type, BUS_MESSAGE_HELLO);
    assert_int_equal(message.hello.from, 1);
    assert_int_equal(message.hello.to, 9);
    expect_join_answer(file, BUS_JOIN_WAIT); /* there is no cluster yet */
    hello.hello.from = 1;
    file = runtime_child_connect(stage.bus_port);
    say(file, &hello);
    expect_refused(file, BUS_REFUSAL_ADDRESS); /* the id is taken */
    stop(&stage);
}

/* Also one that joins proves that it knows the secret, although it does not know whom it asks. */
static void one_that_asks_to_join_proves_the_secret_first(void **state)
{
    struct stage stage;
    struct bus_message hello, message, proof = {.type = BUS_MESSAGE_PROOF};
    struct bus_proof_subject subject = {.dialler = 9, .acceptor = 0};

    (void)state;
    start(&stage, SECRET);
    hello = good_hello(&stage);
    hello.hello.from = 9;
    hello.hello.to = 0;
    hello.hello.joining = true;
    int file = runtime_child_connect(stage.bus_port);

    say(file, &hello);
    expect_refused(file, BUS_REFUSAL_SECRET);
    for (int right = 0; right < 2; right++) {
        subject = (struct bus_proof_subject){.dialler = 9, .acceptor = 0};
        memcpy(subject.dialler_nonce, hello.hello.nonce, BUS_NONCE_BYTES);
        bus_proof_make((const uint8_t *)SECRET, strlen(SECRET), BUS_PROOF_MARK, &subject, hello.hello.proof);
        file = runtime_child_connect(stage.bus_port);
        say(file, &hello);
        assert_true(hear(file, &message));
        assert_int_equal(message.type, BUS_MESSAGE_HELLO);
        subject.acceptor = 1;
        memcpy(subject.acceptor_nonce, message.hello.nonce, BUS_NONCE_BYTES);
        assert_true(bus_proof_check((const uint8_t *)SECRET, strlen(SECRET), BUS_PROOF_ACCEPTOR, &subject,
                                    message.hello.proof));
        bus_proof_make((const uint8_t *)SECRET, strlen(SECRET), BUS_PROOF_DIALLER, &subject, proof.proof);
        proof.proof[0] = (uint8_t)(proof.proof[0] ^ (right ? 0 : 1));
        say(file, &proof);
        if (right) {
            expect_join_answer(file, BUS_JOIN_WAIT);
        } else {
            expect_refused(file, BUS_REFUSAL_SECRET);
        }
    }
    stop(&stage);
}

static void a_snapshot_that_is_not_wanted_is_ended_with_the_reason(void **state)
{
    struct stage stage;
    struct bus_message hello, message, begin = {.type = BUS_MESSAGE_SNAPSHOT_BEGIN};

    (void)state;
    start(&stage, NULL);
    hello = good_hello(&stage);
    hello.hello.snapshot = true;
    begin.snapshot_begin.upto = (struct raft_entry_id){.term = 1, .index = 10};
    int file = runtime_child_connect(stage.bus_port), member = runtime_child_connect(stage.bus_port);

    say(file, &begin); /* without a hello */
    expect_closed(file);
    file = runtime_child_connect(stage.bus_port);
    say(file, &hello);
    expect_hello(file, &message);
    say(file, &begin);
    assert_true(hear(file, &message));
    assert_int_equal(message.type, BUS_MESSAGE_SNAPSHOT_END);
    assert_false(message.snapshot_end.ok);
    assert_true(strlen(message.snapshot_end.reason) > 10);
    expect_closed(file);
    /* On a member's own connection it is nonsense. */
    hello.hello.snapshot = false;
    say(member, &hello);
    expect_hello(member, &message);
    say(member, &begin);
    expect_closed(member);
    stop(&stage);
}

/* ---- the secret ------------------------------------------------------------------------------ */

static int count_open_files(pid_t pid)
{
    char path[64];
    int count = 0;

    (void)snprintf(path, sizeof path, "/proc/%ld/fd", (long)pid);
    DIR *directory = opendir(path);

    assert_non_null(directory);
    while (readdir(directory) != NULL) {
        count++;
    }
    (void)closedir(directory);
    return count;
}

/* Each is told why, but a flood of them does not use up the files that clients and members need. */
static void a_flood_of_refused_strangers_holds_few_files_open(void **state)
{
    enum { STRANGERS = 300 };
    struct stage stage;
    int files[STRANGERS], most = 0;

    (void)state;
    start(&stage, NULL);
    int before = count_open_files(stage.child.pid);

    for (int i = 0; i < STRANGERS; i++) {
        struct bus_message hello = good_hello(&stage), answer;

        hello.hello.from = 9;
        files[i] = runtime_child_connect(stage.bus_port);
        say(files[i], &hello);
        assert_true(hear(files[i], &answer));
        assert_int_equal(answer.type, BUS_MESSAGE_REFUSED);
        int now = count_open_files(stage.child.pid);

        most = now > most ? now : most;
    }
    assert_true(most <= before + BUS_LEAVING_MAX + 8);
    for (int i = 0; i < STRANGERS; i++) {
        (void)close(files[i]);
    }
    stop(&stage);
}

static void who_does_not_know_the_secret_is_refused(void **state)
{
    struct stage stage;

    (void)state;
    start(&stage, SECRET);
    struct bus_message hello = good_hello(&stage);
    int file = runtime_child_connect(stage.bus_port);

    say(file, &hello); /* none */
    expect_refused(file, BUS_REFUSAL_SECRET);
    file = runtime_child_connect(stage.bus_port);
    hello.hello.proof[0] = 1; /* another */
    say(file, &hello);
    expect_refused(file, BUS_REFUSAL_SECRET);
    stop(&stage);
}

static void a_node_without_a_secret_refuses_one_that_has_one(void **state)
{
    struct stage stage;

    (void)state;
    start(&stage, NULL);
    struct bus_message hello = good_hello(&stage);
    int file = runtime_child_connect(stage.bus_port);

    add_mark(&hello);
    say(file, &hello);
    expect_refused(file, BUS_REFUSAL_SECRET);
    stop(&stage);
}

static void a_dialler_that_proves_the_secret_is_welcome_and_its_proof_is_good_once(void **state)
{
    struct stage stage;
    struct bus_message answer, proof = {.type = BUS_MESSAGE_PROOF};

    (void)state;
    start(&stage, SECRET);
    struct bus_message hello = good_hello(&stage);
    struct bus_proof_subject subject = subject_of(&hello);

    add_mark(&hello);
    int file = runtime_child_connect(stage.bus_port);

    say(file, &hello);
    expect_hello(file, &answer);
    memcpy(subject.acceptor_nonce, answer.hello.nonce, BUS_NONCE_BYTES);
    assert_true(bus_proof_check((const uint8_t *)SECRET, strlen(SECRET), BUS_PROOF_ACCEPTOR, &subject,
                                answer.hello.proof));
    bus_proof_make((const uint8_t *)SECRET, strlen(SECRET), BUS_PROOF_DIALLER, &subject, proof.proof);
    say(file, &proof);
    struct bus_message heartbeat = {.type = BUS_MESSAGE_RAFT,
                                    .raft = {.type = RAFT_MESSAGE_HEARTBEAT, .from = 2, .to = 1, .term = 1}};

    say(file, &heartbeat);
    char byte;

    (void)usleep(100000);
    assert_int_equal(recv(file, &byte, 1, MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
    (void)close(file);

    /* Somebody who listened repeats hello and proof: the node's nonce is another one now. */
    file = runtime_child_connect(stage.bus_port);
    say(file, &hello);
    expect_hello(file, &answer);
    say(file, &proof);
    expect_refused(file, BUS_REFUSAL_SECRET);

    /* Messages before the proof are not taken. */
    file = runtime_child_connect(stage.bus_port);
    say(file, &hello);
    expect_hello(file, &answer);
    say(file, &heartbeat);
    expect_closed(file);
    stop(&stage);
}

static void the_one_that_answers_a_dial_must_prove_the_secret_too(void **state)
{
    struct stage stage;
    struct bus_message message, hello;

    (void)state;
    start(&stage, SECRET);
    int file = accept_dial(&stage);

    expect_hello(file, &message);
    assert_false(bus_proof_is_absent(message.hello.proof));
    hello = good_hello(&stage);
    say(file, &hello); /* proves nothing */
    expect_refused(file, BUS_REFUSAL_SECRET);
    file = accept_dial(&stage);
    expect_hello(file, &message);
    memcpy(hello.hello.proof, message.hello.proof, BUS_PROOF_BYTES); /* its own mark sent back */
    say(file, &hello);
    expect_refused(file, BUS_REFUSAL_SECRET);
    file = accept_dial(&stage);
    expect_hello(file, &message);
    struct bus_proof_subject subject = {.dialler = 1, .acceptor = 2};

    memcpy(subject.dialler_nonce, message.hello.nonce, BUS_NONCE_BYTES);
    memcpy(subject.acceptor_nonce, hello.hello.nonce, BUS_NONCE_BYTES);
    bus_proof_make((const uint8_t *)SECRET, strlen(SECRET), BUS_PROOF_ACCEPTOR, &subject, hello.hello.proof);
    say(file, &hello);
    assert_true(hear(file, &message));
    assert_int_equal(message.type, BUS_MESSAGE_PROOF);
    assert_true(
        bus_proof_check((const uint8_t *)SECRET, strlen(SECRET), BUS_PROOF_DIALLER, &subject, message.proof));
    assert_true(runtime_child_logs(&stage.child, "event=peer-connected"));
    (void)close(file);
    stop(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_member_is_dialled_again_and_again_and_greeted),
        cmocka_unit_test(a_member_that_dials_is_greeted_and_another_connection_replaces_the_first),
        cmocka_unit_test(strangers_are_refused_with_a_reason),
        cmocka_unit_test(a_stranger_that_comes_again_is_logged_once),
        cmocka_unit_test(garbage_and_large_frames_end_the_connection),
        cmocka_unit_test(a_member_may_not_speak_for_another),
        cmocka_unit_test(one_that_asks_to_join_gets_an_answer_and_no_more),
        cmocka_unit_test(one_that_asks_to_join_proves_the_secret_first),
        cmocka_unit_test(a_snapshot_that_is_not_wanted_is_ended_with_the_reason),
        cmocka_unit_test(the_oldest_silent_stranger_goes_when_there_are_too_many),
        cmocka_unit_test(a_flood_of_refused_strangers_holds_few_files_open),
        cmocka_unit_test(who_does_not_know_the_secret_is_refused),
        cmocka_unit_test(a_node_without_a_secret_refuses_one_that_has_one),
        cmocka_unit_test(a_dialler_that_proves_the_secret_is_welcome_and_its_proof_is_good_once),
        cmocka_unit_test(the_one_that_answers_a_dial_must_prove_the_secret_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
