//! The files of Wasm components: read, told apart by their digests, and named in a plan.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use flumen_config::plan::{Component, Plan};
use flumen_core::{Fault, Side};
use flumen_wasm::{COMPONENT, Digest, TYPE_NAME, read_component};

/// How the name of a component begins that is inside the binary, and not a file.
pub const EXAMPLE_SCHEME: &str = "example:";

/// Components inside the binary: their names with their bytes.
pub type Examples = &'static [(&'static str, &'static [u8])];

/// The file that a component of the plan names; `None` when it is no guest or inside the binary.
pub(crate) fn file_of(component: &Component) -> Option<PathBuf> {
    let named = named(component)?;
    (!named.starts_with(EXAMPLE_SCHEME)).then(|| PathBuf::from(named))
}

/// What a guest's `component` says.
fn named(component: &Component) -> Option<&str> {
    if component.row.name != TYPE_NAME {
        return None;
    }
    component.settings.text(COMPONENT).ok()
}

/// The bytes of a component by its path, or by its name with [`EXAMPLE_SCHEME`].
///
/// # Errors
/// A configuration fault that names what is not there.
pub(crate) fn read(named: &str, examples: Examples) -> Result<Cow<'static, [u8]>, Fault> {
    let Some(name) = named.strip_prefix(EXAMPLE_SCHEME) else {
        return read_component(Path::new(named)).map(Cow::Owned);
    };
    let mut known = examples.iter();
    match known.find(|(own, _)| *own == name) {
        Some((_, bytes)) => Ok(Cow::Borrowed(*bytes)),
        None => {
            let names: Vec<&str> = examples.iter().map(|(name, _)| *name).collect();
            let message = format!(
                "there is no component {named}; inside this binary are: {}",
                match names.is_empty() {
                    true => "none".to_owned(),
                    false => names.join(", "),
                }
            );
            Err(Fault::configuration(message))
        }
    }
}

/// The bytes of a guest of the plan, which are those that the plan was made for.
///
/// # Errors
/// As [`read`], or a transient fault when the file has changed since.
pub(crate) fn read_planned(
    component: &Component,
    examples: Examples,
) -> Result<Cow<'static, [u8]>, Fault> {
    let named = component.settings.text(COMPONENT)?;
    let bytes = read(named, examples)?;
    let is_other = component
        .content
        .as_ref()
        .is_some_and(|content| *content != Digest::of(&bytes).to_string());
    if is_other {
        let message = format!("component {named} changed while it was being loaded");
        return Err(Fault::transient(Side::Operator, message));
    }
    Ok(bytes)
}

/// Fills in which version each guest of a plan is. What cannot be read stays unknown: loading it
/// says why. Reads files.
pub(crate) fn identify(plan: &mut Plan, examples: Examples) {
    for component in plan.components_mut() {
        let Some(named) = named(component) else {
            continue;
        };
        let digest = read(named, examples).map(|bytes| Digest::of(&bytes).to_string());
        component.content = digest.ok();
    }
}

/// Whether the file of a component is still the version that the plan was made for. Reads the file.
pub(crate) fn is_current(component: &Component, examples: Examples) -> bool {
    let read = named(component).map(|named| read(named, examples));
    match read {
        Some(Ok(bytes)) => component.content == Some(Digest::of(&bytes).to_string()),
        Some(Err(_)) => component.content.is_none(),
        None => true,
    }
}
