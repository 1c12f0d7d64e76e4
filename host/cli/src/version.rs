//! `flumen version`.

/// The text, in the manner of Flume's: name and version on the first line.
pub(crate) fn text() -> String {
    format!(
        "Flumen {}\nRuns configurations of Apache Flume 1.11\nBuilt for {} on {}\n",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::OS,
        std::env::consts::ARCH,
    )
}
