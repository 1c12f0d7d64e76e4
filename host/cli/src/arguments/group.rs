//! Commands of two words.

use std::ffi::OsString;

use super::{UsageError, asked, wrong};
use crate::flags::VERBS;

/// The words before these commands.
pub(super) const GROUPS: [&str; 2] = ["component", "channel"];

/// The full name of the command of a group whose second word this is; `None` asks for help.
pub(super) fn full_name(group: &str, word: Option<OsString>) -> Result<Option<String>, UsageError> {
    let word = word.unwrap_or_default();
    let word = word.to_string_lossy();
    if matches!(word.as_ref(), "--help" | "-h") {
        return Ok(None);
    }
    let rows = VERBS.iter();
    let mut known = rows.filter_map(|row| row.name.strip_prefix(group)?.strip_prefix(' '));
    if known.clone().any(|name| name == word) {
        return Ok(Some(format!("{group} {word}")));
    }
    if word.is_empty() {
        let names = known.collect::<Vec<_>>().join(", ");
        return wrong(format!("command {group} needs one of the words {names}"));
    }
    let question = asked(&word, &mut known);
    wrong(format!("unknown command {group} {word}{question}"))
}
