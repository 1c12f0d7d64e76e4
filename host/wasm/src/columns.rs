//! The batch as a guest sees it: columns, copied out of the host's batch in a few strokes.

use flumen_core::EventBatch;
use flumen_core::batch::{BatchError, HeaderView};
use flumen_core::limits::{BATCH_BODY_BYTES_MAX, BATCH_EVENTS_MAX};

use crate::bindings::types::{Column, HeaderColumn};

/// A column would take more bytes than the guest's memory could hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ColumnTooLarge;

impl std::fmt::Display for ColumnTooLarge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a column of the batch is larger than the memory of the instance may be")
    }
}

impl std::error::Error for ColumnTooLarge {}

/// Events that are lent to a guest for one call. Parts stand one behind the other.
#[expect(unreachable_pub, reason = "the generated bindings name it with `pub`")]
pub struct GuestBatch {
    parts: Vec<EventBatch>,
    len: u32,
    /// No column gets larger: it would not fit the guest anyway, and a constant header of many
    /// bytes over many rows would not fit the host.
    bytes_max: usize,
}

impl GuestBatch {
    /// # Errors
    /// [`BatchError`] when the parts together are more than one batch could be.
    pub(crate) fn new(parts: Vec<EventBatch>, bytes_max: usize) -> Result<Self, BatchError> {
        let events: usize = parts.iter().map(EventBatch::len).sum();
        let bytes: u64 = parts.iter().map(EventBatch::body_bytes).sum();
        if bytes > BATCH_BODY_BYTES_MAX as u64 {
            return Err(BatchError::TooManyBodyBytes);
        }
        match u32::try_from(events) {
            Ok(len) if events <= BATCH_EVENTS_MAX => Ok(Self {
                parts,
                len,
                bytes_max,
            }),
            _ => Err(BatchError::TooManyEvents),
        }
    }

    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    pub(crate) fn bodies(&self) -> Result<Column, ColumnTooLarge> {
        let bytes: u64 = self.parts.iter().map(EventBatch::body_bytes).sum();
        if bytes > self.bytes_max as u64 {
            return Err(ColumnTooLarge);
        }
        let mut column = ColumnBuilder::with_capacity(bytes as usize, self.len as usize);
        for part in &self.parts {
            column.append_bodies(part);
        }
        Ok(column.finish())
    }

    pub(crate) fn body(&self, row: u32) -> Option<Vec<u8>> {
        let mut row = row as usize;
        for part in &self.parts {
            match part.body(row) {
                Some(body) => return Some(body.to_vec()),
                None => row -= part.len(),
            }
        }
        None
    }

    pub(crate) fn header(&self, name: &str) -> Result<Option<HeaderColumn>, ColumnTooLarge> {
        let mut column = ColumnBuilder::with_capacity(0, self.len as usize);
        let mut rows = Rows::All;
        let mut row = 0;
        for part in &self.parts {
            let view = part.header(name);
            for index in 0..part.len() {
                match view.as_ref().and_then(|view| view.get(index)) {
                    Some(value) => {
                        if column.data.len() + value.len() > self.bytes_max {
                            return Err(ColumnTooLarge);
                        }
                        column.push(value.as_bytes());
                        rows.present(row);
                    }
                    None => rows.absent(row),
                }
                row += 1;
            }
        }
        Ok((!column.ends.is_empty()).then(|| HeaderColumn {
            name: name.to_owned(),
            rows: rows.finish(),
            values: column.finish(),
        }))
    }

    /// The names that at least one event has, in the order of the first part that has them.
    pub(crate) fn header_names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for part in &self.parts {
            for (name, view) in part.headers() {
                if !names.iter().any(|own| own == name) && has_value(part, &view) {
                    names.push(name.to_owned());
                }
            }
        }
        names
    }

    pub(crate) fn headers(&self) -> Result<Vec<HeaderColumn>, ColumnTooLarge> {
        let mut room = self.bytes_max;
        let mut headers = Vec::new();
        for name in self.header_names() {
            let Some(header) = self.header(&name)? else {
                continue;
            };
            let bytes = header.values.data.len();
            room = room.checked_sub(bytes).ok_or(ColumnTooLarge)?;
            headers.push(header);
        }
        Ok(headers)
    }
}

fn has_value(part: &EventBatch, view: &HeaderView<'_>) -> bool {
    match view.constant() {
        Some(_) => !part.is_empty(),
        None => view.iter().any(|value| value.is_some()),
    }
}

/// Which rows have a header.
enum Rows {
    /// All so far.
    All,
    /// These.
    Some(Vec<u32>),
}

impl Rows {
    fn present(&mut self, row: u32) {
        if let Rows::Some(rows) = self {
            rows.push(row);
        }
    }

    fn absent(&mut self, row: u32) {
        if let Rows::All = self {
            *self = Rows::Some((0..row).collect());
        }
    }

    fn finish(self) -> Option<Vec<u32>> {
        match self {
            Rows::All => None,
            Rows::Some(rows) => Some(rows),
        }
    }
}

/// Values end to end, whose sum the caller keeps below what 32 bits hold.
struct ColumnBuilder {
    data: Vec<u8>,
    ends: Vec<u32>,
}

impl ColumnBuilder {
    fn with_capacity(bytes: usize, values: usize) -> Self {
        Self {
            data: Vec::with_capacity(bytes),
            ends: Vec::with_capacity(values),
        }
    }

    fn push(&mut self, value: &[u8]) {
        self.data.extend_from_slice(value);
        self.ends.push(offset(self.data.len()));
    }

    fn append_bodies(&mut self, part: &EventBatch) {
        let Some((stretch, places)) = part.contiguous() else {
            part.bodies().for_each(|body| self.push(body));
            return;
        };
        if stretch.len() as u64 == part.body_bytes() {
            let base = self.data.len();
            self.data.extend_from_slice(stretch);
            self.ends
                .extend(places.map(|place| offset(base + place.end)));
        } else {
            // Delimiters stand between the bodies.
            places.for_each(|place| self.push(stretch.get(place).unwrap_or_default()));
        }
    }

    fn finish(self) -> Column {
        Column {
            data: self.data,
            ends: self.ends,
        }
    }
}

/// A position within a column, which is bounded far below what 32 bits hold.
fn offset(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use flumen_core::batch::{BatchBuilder, Existing, HeaderName};

    use super::*;

    fn packed(bodies: &[&str]) -> EventBatch {
        let mut builder = BatchBuilder::new();
        for body in bodies {
            builder.push(body.as_bytes()).unwrap();
        }
        builder.finish().unwrap()
    }

    fn lines() -> EventBatch {
        EventBatch::from_delimited(b"one\n\nthree\n".to_vec().into(), b'\n', vec![3, 4, 10])
            .unwrap()
    }

    fn guest(parts: Vec<EventBatch>) -> GuestBatch {
        GuestBatch::new(parts, 1 << 20).unwrap()
    }

    #[test]
    fn bodies_of_every_layout_come_out_end_to_end() {
        let expected = (b"onethree".to_vec(), vec![3, 3, 8]);
        let all = packed(&["x", "one", "", "y", "three"]);
        let layouts = [
            vec![packed(&["one", "", "three"])],
            vec![lines()],
            vec![all.select(&[1, 2, 4]).unwrap()],
            vec![packed(&["one"]), lines().slice(1..3)],
            vec![lines().slice(0..1), all.slice(2..3), all.slice(4..5)],
        ];
        for parts in layouts {
            let batch = guest(parts);
            let column = batch.bodies().unwrap();
            assert_eq!((column.data, column.ends), expected);
            assert_eq!(batch.body(2), Some(b"three".to_vec()));
            assert_eq!(batch.body(3), None);
        }
    }

    #[test]
    fn headers_name_their_rows_only_when_some_have_none() {
        let name = HeaderName::new("h").unwrap();
        let set = |batch: EventBatch, values: [Option<&str>; 3]| {
            batch.with_header(&name, values, Existing::Replace).unwrap()
        };
        let full = set(lines(), [Some("a"), Some(""), Some("c")]);
        let header = guest(vec![full.clone()]).header("h").unwrap().unwrap();
        assert_eq!(header.rows, None);
        assert_eq!(header.values.ends, [1, 1, 2]);
        let sparse = set(lines(), [None, Some("b"), None]);
        let batch = guest(vec![full, sparse.clone(), lines()]);
        let header = batch.header("h").unwrap().unwrap();
        assert_eq!(header.rows, Some(vec![0, 1, 2, 4]));
        assert_eq!(header.values.data, b"acb");
        assert_eq!(batch.header_names(), ["h"]);
        assert_eq!(batch.header("other").unwrap().map(|h| h.name), None);
        let without = guest(vec![sparse.slice(0..1)]);
        assert!(without.header_names().is_empty());
        assert!(without.headers().unwrap().is_empty());
    }

    #[test]
    fn a_constant_header_cannot_blow_the_host_up() {
        let value = "x".repeat(1 << 19).into();
        let name = HeaderName::new("h").unwrap();
        let batch = lines()
            .with_constant_header(&name, &value, Existing::Replace)
            .unwrap();
        assert_eq!(guest(vec![batch]).headers().err(), Some(ColumnTooLarge));
        let small = GuestBatch::new(vec![lines()], 7).unwrap();
        assert_eq!(small.bodies().err(), Some(ColumnTooLarge));
    }
}
