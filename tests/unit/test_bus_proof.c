/* test_bus_proof.c: a proof holds for one role, one pair of nonces, one pair of nodes and one secret. */
#include "bus_proof.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t secret[] = "a secret of some length";

static struct bus_proof_subject make_subject(void)
{
    return (struct bus_proof_subject){
        .dialler = 1, .acceptor = 2, .dialler_nonce = "0123456789abcde", .acceptor_nonce = "fedcba987654321"};
}

static bool check(const struct bus_proof_subject *subject, const uint8_t *proof)
{
    return bus_proof_check(secret, sizeof secret, BUS_PROOF_DIALLER, subject, proof);
}

static void a_proof_is_checked_against_everything_that_it_is_about(void **state)
{
    struct bus_proof_subject subject = make_subject(), other;
    uint8_t proof[BUS_PROOF_BYTES];

    (void)state;
    bus_proof_make(secret, sizeof secret, BUS_PROOF_DIALLER, &subject, proof);
    assert_true(check(&subject, proof));
    assert_false(bus_proof_check(secret, sizeof secret, BUS_PROOF_ACCEPTOR, &subject, proof));
    assert_false(bus_proof_check(secret, sizeof secret, BUS_PROOF_MARK, &subject, proof));
    assert_false(bus_proof_check(secret, sizeof secret - 2, BUS_PROOF_DIALLER, &subject, proof));
    other = subject;
    other.dialler = 3;
    assert_false(check(&other, proof));
    other = subject;
    other.acceptor = 3;
    assert_false(check(&other, proof));
    other = subject;
    other.dialler = subject.acceptor;
    other.acceptor = subject.dialler;
    assert_false(check(&other, proof));
    other = subject;
    other.dialler_nonce[15] ^= 1;
    assert_false(check(&other, proof));
    other = subject;
    other.acceptor_nonce[0] ^= 1;
    assert_false(check(&other, proof));
    for (size_t i = 0; i < BUS_PROOF_BYTES; i++) {
        proof[i] ^= 1;
        assert_false(check(&subject, proof));
        proof[i] ^= 1;
    }
}

static void no_proof_is_all_zeros(void **state)
{
    uint8_t proof[BUS_PROOF_BYTES] = {0};

    (void)state;
    assert_true(bus_proof_is_absent(proof));
    proof[BUS_PROOF_BYTES - 1] = 1;
    assert_false(bus_proof_is_absent(proof));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_proof_is_checked_against_everything_that_it_is_about),
        cmocka_unit_test(no_proof_is_all_zeros),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
