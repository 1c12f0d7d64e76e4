//! The wrapper that counts system calls and interferes with them: strace.
//!
//! It counts for each thread and each kind of call apart. So the n-th write is that of the thread
//! that writes the log, mostly, and the n-th rename may be that of the one that makes files ahead.

/// Kinds of calls that change a file or a name or make a change durable, each with how many of
/// them a thread makes in a short run, about.
pub(crate) const CHANGES: [(&str, u64); 6] = [
    (WRITES, 120),
    (SYNCS, 120),
    ("rename,renameat,renameat2", 16),
    ("fsync", 16),
    ("unlink,unlinkat", 4),
    ("fallocate,ftruncate,openat", 40),
];

/// Calls that write to a segment.
pub(crate) const WRITES: &str = "pwrite64,pwritev,pwritev2";

/// Calls that make a segment durable, unless the write does it.
pub(crate) const SYNCS: &str = "fdatasync";

/// Kills the process when a thread is about to make its n-th of these calls.
pub(crate) fn kill_at(calls: &str, number: u64) -> Vec<String> {
    inject(calls, &format!("signal=KILL:when={number}"))
}

/// Runs a program under strace with this injection, and prints nothing of it.
pub(crate) fn inject(calls: &str, what: &str) -> Vec<String> {
    let words = ["strace", "--follow-forks", "-qqq", "--output=/dev/null"];
    let mut wrapper: Vec<String> = words.map(str::to_owned).to_vec();
    wrapper.push(format!("--trace={calls}"));
    wrapper.push(format!("--inject={calls}:{what}"));
    wrapper
}
