/* raft_assert.h: assertions that are always on, in release builds too.
 *
 * What it is: one macro for "a caller of this library, or this library itself, is wrong". A broken
 * invariant of the consensus core must end the process before it can promise anything more.
 *
 * What it is not: a way to treat bad messages from the network; those are ignored.
 */
#ifndef RAFT_ASSERT_H
#define RAFT_ASSERT_H

#include <assert.h>

#ifdef NDEBUG
#error "assertions of the consensus core stay on in every build"
#endif

#define raft_assert(condition) assert(condition)

#endif
