/* raft_message.h: what a message from the network must look like before the core acts on it.
 *
 * What it is: checks that need nothing but the message itself: numbers in range, entries
 * consecutive and with terms that do not go back. What fails here cannot come from a correct peer.
 *
 * What it is not: the comparison with the own log and term; the handlers do that.
 */
#ifndef RAFT_MESSAGE_H
#define RAFT_MESSAGE_H

#include <stdbool.h>

#include "raft.h"

/* Terms and indices beyond this are refused from the network: a wild number must neither overflow
 * nor leave the cluster in a term that it can never surpass. */
#define RAFT_NUMBER_MAX (UINT64_MAX / 4)

bool raft_message_is_well_formed(const struct raft_message *message);

/* Entry ids compare by term first: the more up-to-date log (thesis 3.6.1). */
static inline int raft_entry_id_compare(struct raft_entry_id a, struct raft_entry_id b)
{
    if (a.term != b.term)
        return a.term < b.term ? -1 : 1;
    if (a.index != b.index)
        return a.index < b.index ? -1 : 1;
    return 0;
}

#endif
