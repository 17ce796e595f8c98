/* free_pages.h: what can be had of the pages that are free inside an LMDB file.
 *
 * LMDB keeps them in table 0: id of the transaction that freed them -> how many, and which (descending). A
 * write transaction may use those that were freed before the oldest transaction that anybody reads. It
 * takes one page from anywhere, but several that belong together (a large value, a long list of free pages)
 * only where they lie side by side; and it takes them from the low end of a stretch, so that stretches
 * shrink and are never cut in two. So while fewer than `usable` pages (below) were taken in pieces of at
 * most `run`, there is a place for the next piece.
 */
#ifndef FREE_PAGES_H
#define FREE_PAGES_H

#include <lmdb.h>
#include <stdint.h>

struct free_pages {
    uint64_t usable; /* by the next write transaction, in pieces of at most `run` pages */
    uint64_t later;  /* the same, once today's readers have gone on and another transaction was committed */
};

/* Counts in a read transaction of its own. The one thread that writes, between its transactions. An LMDB
 * result. */
int free_pages_count(MDB_env *environment, uint64_t run, struct free_pages *pages);

#endif
