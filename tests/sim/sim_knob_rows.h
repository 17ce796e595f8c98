/* sim_knob_rows.h: every knob of a run, one row each. Define SIM_KNOB and include this file.
 *
 * SIM_KNOB(name, neutral, low, high, chance per mille, what it is)
 *
 * A run draws each knob from its seed (swarm testing): with the given chance a value in [low, high], each
 * order of magnitude as likely as the others (nodes: see sim_knobs.c), and the neutral value otherwise. The
 * neutral value of a fault is "never". No include guard: it is included several times.
 */

/* The cluster: see struct replica_options. */
SIM_KNOB(nodes, 3, 1, 7, 600, "replicas")
SIM_KNOB(duration_ms, 8000, 3000, 24000, 700, "simulated time with faults and clients; then all faults end")
SIM_KNOB(faults_at_formation, 0, 1, 1, 150, "1: faults begin before the cluster is formed")
SIM_KNOB(election_timeout_ms, 300, 150, 1200, 500, "election timeout")
SIM_KNOB(heartbeats, 6, 3, 12, 300, "heartbeats in an election timeout")
SIM_KNOB(unreachable_delay_ms, 20, 1, 200, 300, "delay of an election after a connection broke")
SIM_KNOB(parking_ms, 1000, 10, 2000, 500, "how long commands wait for a leader")
SIM_KNOB(command_timeout_ms, 5000, 200, 8000, 500, "when the outcome of a write is given up")
SIM_KNOB(entries_in_flight, 4, 1, 16, 500, "entries of the leader that are not committed")
SIM_KNOB(small_entries, 0, 1, 1, 500, "1: an entry leaves though those on their way are larger")
SIM_KNOB(entry_bytes, 1048576, 64, 65536, 400, "size at which an entry is sealed")
SIM_KNOB(append_bytes, 1048576, 100, 20000, 400, "payload of one APPEND")
SIM_KNOB(inflight_messages, 64, 1, 16, 400, "APPENDs without an answer, for each follower")
SIM_KNOB(cache_bytes, 33554432, 1, 20000, 500, "entries that the core keeps in memory")
SIM_KNOB(unstable_bytes, 67108864, 200, 4000, 300, "entries that wait for the disk or the commit")
SIM_KNOB(checkpoint_log_bytes, 8192, 200, 100000, 800, "log that is applied between two checkpoints")
SIM_KNOB(checkpoint_idle_ms, 2000, 20, 4000, 500, "a checkpoint after so long without writes")
SIM_KNOB(write_buffer_bytes, 8388608, 8000, 200000, 250, "memory of a write buffer")
SIM_KNOB(map_kib, 524288, 200, 1500, 120, "size of the map: what grows is refused when a third is taken")
SIM_KNOB(log_tail_bytes, 4194304, 12000, 200000, 800, "log kept behind the durable map")
SIM_KNOB(scrub_rate, 0, 1000, 10000000, 300, "bytes a second that are read again and checked; 0: none")
SIM_KNOB(digest_interval, 4096, 1, 500, 700, "entries between two digests that members compare")
SIM_KNOB(apply_work_bytes, 4194304, 1, 20000, 300, "work of applying in one turn")
SIM_KNOB(client_pending_bytes, 1048576, 100, 20000, 300, "requests and replies of a client in flight")

/* The clients. */
SIM_KNOB(clients, 4, 1, 12, 800, "clients")
SIM_KNOB(keys, 4, 1, 24, 700, "keys of each kind")
SIM_KNOB(pipeline, 1, 2, 16, 600, "most commands that a client sends at once")
SIM_KNOB(think_ms, 20, 1, 400, 800, "mean pause of a client between two pipelines")
SIM_KNOB(reads_percent, 40, 5, 90, 600, "reads among the commands")
SIM_KNOB(counters_percent, 30, 5, 95, 600, "commands on counters, of which every increment is counted")
SIM_KNOB(expiries_percent, 0, 5, 60, 500, "commands on keys that expire")
SIM_KNOB(groups_percent, 0, 5, 60, 500, "commands on keys that are only written together")
SIM_KNOB(followers_percent, 0, 5, 80, 500, "clients that sent READONLY and ask any node")
SIM_KNOB(value_bytes, 20, 1, 6000, 500, "largest value")
SIM_KNOB(odd_keys, 0, 1, 1, 300, "1: some keys are empty, very long, or bytes of all kinds")
SIM_KNOB(flushes_per_mille, 0, 1, 30, 250, "FLUSHALL among the commands")
SIM_KNOB(client_breaks_per_minute, 0, 5, 400, 400, "clients that close their connection in the middle")
SIM_KNOB(hops_per_mille, 20, 5, 400, 600,
         "pipelines before which a client goes to another node, without a reason")
SIM_KNOB(patience_ms, 12000, 50, 6000, 600, "how long clients wait for an answer before they go elsewhere")
SIM_KNOB(open_loop_percent, 0, 10, 100, 500, "clients that send more before all is answered")
SIM_KNOB(polls_percent, 0, 30, 100, 600, "clients that go on with single reads while they wait for an answer")
SIM_KNOB(slow_clients_percent, 0, 10, 80, 200, "clients that take their replies late")

/* The network. */
SIM_KNOB(delay_us, 300, 20, 60000, 700, "mean delay of a message")
SIM_KNOB(delay_spread, 2, 1, 40, 600, "the longest delay is so many times the mean")
SIM_KNOB(bandwidth_bytes_per_ms, 0, 50, 20000, 200, "of a connection between nodes; 0: no limit")
SIM_KNOB(socket_bytes, 400000, 300, 30000, 300, "that wait between two nodes; more messages are dropped")
SIM_KNOB(unordered, 0, 1, 1, 300, "1: messages overtake each other")
SIM_KNOB(loss_per_mille, 0, 1, 200, 350, "messages that are lost")
SIM_KNOB(duplicates_per_mille, 0, 1, 200, 350, "messages that arrive twice")
SIM_KNOB(slow_way_times, 1, 2, 40, 200, "a third of the ways between two nodes are so many times as slow")
SIM_KNOB(partial_turns_per_mille, 0, 50, 700, 600, "inputs that a turn of the loop leaves for the next")

/* The disks. */
SIM_KNOB(disk_us, 300, 10, 80000, 700, "mean time of a write")
SIM_KNOB(slow_disk_times, 1, 2, 40, 200, "a third of the disks are so many times as slow")
SIM_KNOB(report_us, 50, 1, 100000, 500, "mean time until a write that is done is reported")
SIM_KNOB(cold_data, 0, 1, 1, 300, "1: other threads look keys up first, as where data is larger than memory")

/* Faults, each so often in a simulated minute. */
SIM_KNOB(crashes_per_minute, 0, 3, 120, 600, "kill -9 of a node")
SIM_KNOB(crashes_in_turns_percent, 0, 20, 100, 500, "of these crashes, in the middle of a turn")
SIM_KNOB(down_ms, 300, 1, 6000, 600, "mean time until a node is started again")
SIM_KNOB(crashes_of_all_per_minute, 0, 2, 30, 250, "all nodes killed at once")
SIM_KNOB(shutdowns_per_minute, 0, 3, 80, 300, "SIGTERM to a node")
SIM_KNOB(transfers_per_minute, 0, 3, 200, 300, "leadership handed over")
SIM_KNOB(pauses_per_minute, 0, 3, 120, 600, "SIGSTOP of a node")
SIM_KNOB(pause_ms, 500, 20, 5000, 700, "mean length of a pause")
SIM_KNOB(partitions_per_minute, 0, 3, 80, 500, "the network cut in some way")
SIM_KNOB(partition_ms, 800, 20, 6000, 700, "mean length of a partition")
SIM_KNOB(doomed_leaders_per_minute, 0, 2, 40, 400,
         "a few leaders in a row are cut off with one other node when they send entries")
SIM_KNOB(breaks_per_minute, 0, 3, 300, 400, "a connection between nodes broken with data in flight")
SIM_KNOB(flaps_per_minute, 0, 2, 30, 200, "a link that goes down and up again and again for a while")
SIM_KNOB(weather_percent, 0, 5, 70, 250,
         "each way is down for so much of the time, for about an election timeout")
SIM_KNOB(disk_stalls_per_minute, 0, 3, 80, 350, "a disk that hangs")
SIM_KNOB(disk_stall_ms, 500, 20, 6000, 700, "mean length of a hang")
SIM_KNOB(disk_failures_per_minute, 0, 2, 40, 250, "a write, done or not, or a read that fails")
SIM_KNOB(disk_full_per_minute, 0, 2, 20, 150, "a disk that is full for a while")
SIM_KNOB(clock_jumps_per_minute, 0, 2, 60, 250, "a wall clock that jumps")
SIM_KNOB(clock_jump_ms, 500, 10, 20000, 700, "longest jump")
SIM_KNOB(clock_rate_percent, 0, 1, 30, 250, "how much faster or slower clocks run")

/* Snapshots, and members that come and go: in a third of the seeds. The other seeds are as if these rows were
 * not there (sim_knobs_draw). */
SIM_KNOB(snapshots, 0, 1, 1, 333,
         "1: who needs what is compacted gets the map; 0: clients wait for everybody")
SIM_KNOB(short_tail_bytes, 0, 200, 6000, 850,
         "instead of log_tail_bytes, and checkpoints not less often; 0: that")
SIM_KNOB(chunk_bytes, 262144, 64, 8192, 800, "of a chunk of a snapshot, but the first")
SIM_KNOB(outages_per_minute, 0, 6, 40, 850, "nodes that are away for long")
SIM_KNOB(outage_ms, 2500, 500, 8000, 600, "mean length of that")
SIM_KNOB(stream_breaks_per_minute, 0, 5, 300, 400, "all streams of snapshots broken")
SIM_KNOB(chunk_damage_per_mille, 0, 5, 300, 350, "chunks that are repeated, left out, or altered")
SIM_KNOB(changes_per_minute, 0, 6, 240, 750,
         "RAFT ADD, REMOVE, REPLACE ..., and nodes that join by themselves")
SIM_KNOB(wipes_per_minute, 0, 2, 20, 350, "members whose disk is empty all at once")
SIM_KNOB(spares, 3, 1, 5, 700, "nodes that may join, when members change")
SIM_KNOB(change_crashes_percent, 0, 5, 60, 500, "of changes that a leader takes, it is killed in that turn")
