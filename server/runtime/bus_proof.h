/* bus_proof.h: proofs that a node knows the cluster's secret, without telling it.
 *
 * HMAC-SHA256 under the secret over a fixed text, the role, both nonces and both node ids. Each role has its
 * own, so that no proof can be sent back to the one who made it, and each connection has fresh nonces, so
 * that none can be used twice.
 */
#ifndef BUS_PROOF_H
#define BUS_PROOF_H

#include "bus_message.h"

#include <stdbool.h>
#include <stddef.h>

enum bus_proof_role {
    BUS_PROOF_MARK =
        'M', /* in the dialler's hello: "I have a secret too"; can be replayed, so proves nothing else */
    BUS_PROOF_ACCEPTOR = 'A', /* in the acceptor's hello */
    BUS_PROOF_DIALLER = 'D',  /* in PROOF */
};

struct bus_proof_subject {
    uint64_t dialler, acceptor; /* node ids */
    uint8_t dialler_nonce[BUS_NONCE_BYTES];
    uint8_t acceptor_nonce[BUS_NONCE_BYTES]; /* zero in a MARK */
};

void bus_proof_make(const uint8_t *secret, size_t secret_bytes, enum bus_proof_role role,
                    const struct bus_proof_subject *subject, uint8_t proof[BUS_PROOF_BYTES]);
/* In constant time. */
bool bus_proof_check(const uint8_t *secret, size_t secret_bytes, enum bus_proof_role role,
                     const struct bus_proof_subject *subject, const uint8_t proof[BUS_PROOF_BYTES]);
/* True if nothing but zeros: what a node without a secret sends. */
bool bus_proof_is_absent(const uint8_t proof[BUS_PROOF_BYTES]);

#endif
