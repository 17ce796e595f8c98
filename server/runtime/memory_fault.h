/* memory_fault.h: a last word when memory cannot be read.
 *
 * LMDB maps its files into memory and believes what stands in its own pages: one that was altered or cut
 * short, or that the disk does not give any more, ends the process by a signal. That cannot be prevented, but
 * it can be said what the usual cause is.
 */
#ifndef MEMORY_FAULT_H
#define MEMORY_FAULT_H

/* SIGBUS: a line on standard error, and exit code 6 (REPLICA_EXIT_CORRUPT), for it is a mapped file that
 * could not be read. SIGSEGV: a line; then the process ends by the signal, for it may as well be a bug of
 * ours, and leaves a core. A signal that somebody looks after already, as sanitizers do, stays theirs. */
void memory_fault_explain(void);

#endif
