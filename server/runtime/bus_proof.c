/* bus_proof.c: HMAC-SHA256 by OpenSSL. */
#include "bus_proof.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

static const char purpose[] = "kvd bus proof 1";

enum { SUBJECT_BYTES = sizeof purpose + 1 + 8 + 8 + 2 * BUS_NONCE_BYTES };

static uint8_t *put_number(uint8_t *to, uint64_t value)
{
    for (int i = 0; i < 8; i++) {
        *to++ = (uint8_t)(value >> (8 * i));
    }
    return to;
}

void bus_proof_make(const uint8_t *secret, size_t secret_bytes, enum bus_proof_role role,
                    const struct bus_proof_subject *subject, uint8_t proof[BUS_PROOF_BYTES])
{
    uint8_t text[SUBJECT_BYTES], *at = text;
    unsigned size = 0;

    memcpy(at, purpose, sizeof purpose);
    at += sizeof purpose;
    *at++ = (uint8_t)role;
    at = put_number(at, subject->dialler);
    at = put_number(at, subject->acceptor);
    memcpy(at, subject->dialler_nonce, BUS_NONCE_BYTES);
    memcpy(at + BUS_NONCE_BYTES, subject->acceptor_nonce, BUS_NONCE_BYTES);
    if (HMAC(EVP_sha256(), secret, (int)secret_bytes, text, sizeof text, proof, &size) == NULL ||
        size != BUS_PROOF_BYTES) {
        abort(); /* out of memory, or an OpenSSL without SHA-256 */
    }
}

bool bus_proof_check(const uint8_t *secret, size_t secret_bytes, enum bus_proof_role role,
                     const struct bus_proof_subject *subject, const uint8_t proof[BUS_PROOF_BYTES])
{
    uint8_t expected[BUS_PROOF_BYTES];

    bus_proof_make(secret, secret_bytes, role, subject, expected);
    return CRYPTO_memcmp(expected, proof, BUS_PROOF_BYTES) == 0;
}

bool bus_proof_is_absent(const uint8_t proof[BUS_PROOF_BYTES])
{
    uint8_t any = 0;

    for (size_t i = 0; i < BUS_PROOF_BYTES; i++) {
        any |= proof[i];
    }
    return any == 0;
}
