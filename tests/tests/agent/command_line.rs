//! Verbs, flags and exit codes.
