//! What the system says of a process: its memory, its open files, its threads.

/// Bytes of memory that this process has.
pub(crate) fn resident_bytes() -> u64 {
    status_bytes("VmRSS:")
}

/// The most bytes of memory that this process had since [`forget_peak`], or since it began.
pub(crate) fn peak_bytes() -> u64 {
    status_bytes("VmHWM:")
}

/// Begins a new peak, and says whether the system lets it.
pub(crate) fn forget_peak() -> bool {
    std::fs::write("/proc/self/clear_refs", "5").is_ok()
}

pub(crate) fn open_files() -> u64 {
    entries("/proc/self/fd")
}

pub(crate) fn threads() -> u64 {
    entries("/proc/self/task")
}

fn entries(folder: &str) -> u64 {
    std::fs::read_dir(folder).map_or(0, |entries| entries.count() as u64)
}

fn status_bytes(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}
