/* log_terms.h: the table `terms`, which says where in the log each term starts. The table `memberships` has
 * the same form: index of each membership entry -> its term.
 *
 * Key: the first index of a stretch of entries of one term (integer key). Value, 16 bytes: term, checksum
 * (chain over index and term). It is kept together with `entries` in the same transactions, so that opening a
 * log of millions of entries reads a handful of records.
 *
 * Invariant: when the log holds entries, its first one (base.index + 1) starts a stretch, and every other
 * stretch starts where the term changes.
 *
 * Functions return LMDB results; MDB_CORRUPTED for a damaged record.
 */
#ifndef LOG_TERMS_H
#define LOG_TERMS_H

#include <lmdb.h>
#include <stdint.h>

int log_terms_put(MDB_txn *transaction, MDB_dbi terms, uint64_t first_index, uint64_t term);

/* The stretch in which `index` lies; MDB_NOTFOUND when there is none. */
int log_terms_find(MDB_txn *transaction, MDB_dbi terms, uint64_t index, uint64_t *first_index,
                   uint64_t *term);

/* After entries from `from` on were dropped. */
int log_terms_truncate(MDB_txn *transaction, MDB_dbi terms, uint64_t from);

/* Removes what starts at `to` or before. */
int log_terms_drop(MDB_txn *transaction, MDB_dbi terms, uint64_t to);

/* After entries up to `base` were dropped; the last one left is `last` (== base: none left). */
int log_terms_compact(MDB_txn *transaction, MDB_dbi terms, uint64_t base, uint64_t last);

/* Calls visit() for each stretch, ascending. */
int log_terms_visit(MDB_txn *transaction, MDB_dbi terms,
                    void (*visit)(void *context, uint64_t first_index, uint64_t term), void *context);

#endif
