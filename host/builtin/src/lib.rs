//! The built-in sources, sinks, interceptors, selectors and sink processors: one file per type,
//! each opening with its option rows. A row and its constructor stand together in the tables below;
//! nothing else knows which types exist.

pub mod interceptors;
pub mod not_built;
pub mod selectors;
pub mod serializers;
pub mod sink_processors;
pub mod sinks;
pub mod sources;

use flumen_core::option::ComponentRow;

/// The rows of all types of this room, built or not.
pub fn rows() -> impl Iterator<Item = &'static ComponentRow> {
    sources::rows()
        .chain(sinks::rows())
        .chain(interceptors::rows())
        .chain(selectors::rows())
        .chain(sink_processors::rows())
        .chain(serializers::rows())
        .chain(sinks::file_roll::path_manager_rows())
        .chain(not_built::rows())
}
