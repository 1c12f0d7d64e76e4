//! The batch that the host hands in.

use std::cell::OnceCell;
use std::slice;

use crate::bindings::types::Column;
use crate::edits::EditsBuilder;
use crate::header::Header;
use crate::host::BatchSource;

/// A batch of events, held by the host. Never empty.
///
/// A column crosses the border when it is asked for, as one copy of memory, and not before: a
/// component pays for what it looks at. Bodies cross once per batch, headers once per call of
/// [`Batch::header`]; ask for a header before the loop over the events, not inside it.
///
/// The host is trusted: it owns this component's memory. A column that breaks the interface's rules
/// reads as empty values, never as memory that is not its own.
pub struct Batch<'a> {
    source: BatchSource<'a>,
    len: usize,
    bodies: OnceCell<Column>,
}

impl<'a> Batch<'a> {
    /// For the export macros alone.
    #[cfg(target_arch = "wasm32")]
    #[doc(hidden)]
    pub fn of_host(batch: &'a crate::bindings::types::Batch) -> Self {
        Batch::new(batch)
    }

    pub(crate) fn new(source: BatchSource<'a>) -> Self {
        Batch {
            len: source.len() as usize,
            source,
            bodies: OnceCell::new(),
        }
    }

    /// How many events. Rows are counted from 0.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn body_column(&self) -> &Column {
        self.bodies.get_or_init(|| self.source.bodies())
    }

    /// The bodies in order.
    pub fn bodies(&self) -> Bodies<'_> {
        Bodies::of(self.body_column())
    }

    /// The body of an event, `None` past the last.
    pub fn body(&self, row: usize) -> Option<&[u8]> {
        self.body_column().get(row)
    }

    /// All bodies end to end, with the end of each (exclusive): for one pass over all of them.
    /// Nothing stands between two bodies, so a match may begin in one and end in the next.
    pub fn body_bytes(&self) -> (&[u8], &[u32]) {
        let column = self.body_column();
        (&column.data, &column.ends)
    }

    /// One body, without fetching the others: for samples and for very large bodies.
    pub fn fetch_body(&self, row: usize) -> Option<Vec<u8>> {
        self.source.body(u32::try_from(row).ok()?)
    }

    /// A header over all events, `None` when no event has it. Each call fetches it anew.
    pub fn header(&self, name: &str) -> Option<Header> {
        let column = self.source.header(name)?;
        Some(Header::new(column, self.len))
    }

    /// All headers. Each call fetches them anew.
    pub fn headers(&self) -> Vec<Header> {
        let columns = self.source.headers();
        columns
            .into_iter()
            .map(|column| Header::new(column, self.len))
            .collect()
    }

    /// The names of all headers.
    pub fn header_names(&self) -> Vec<String> {
        self.source.header_names()
    }

    /// Starts an answer that changes some of these events.
    pub fn edit(&self) -> EditsBuilder {
        EditsBuilder::new(self.len)
    }
}

/// The bodies of a batch in order. See [`Batch::bodies`].
#[derive(Clone, Debug)]
pub struct Bodies<'a> {
    data: &'a [u8],
    ends: slice::Iter<'a, u32>,
    start: usize,
}

impl<'a> Bodies<'a> {
    fn of(column: &'a Column) -> Self {
        Bodies {
            data: &column.data,
            ends: column.ends.iter(),
            start: 0,
        }
    }
}

impl<'a> Iterator for Bodies<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let end = *self.ends.next()? as usize;
        let body = self.data.get(self.start..end).unwrap_or_default();
        self.start = end;
        Some(body)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.ends.size_hint()
    }
}

impl ExactSizeIterator for Bodies<'_> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fake::FakeBatch;
    use crate::testing::{TestBatch, TestEvent};

    #[test]
    fn bodies_come_in_order_and_by_row() {
        let events = TestBatch::of(["ab", "", "c"]);
        let batch = Batch::new(FakeBatch(&events));
        assert_eq!(batch.len(), 3);
        let bodies: Vec<&[u8]> = batch.bodies().collect();
        assert_eq!(bodies, [b"ab".as_slice(), b"", b"c"]);
        assert_eq!(batch.bodies().len(), 3);
        assert_eq!(batch.body(0), Some(b"ab".as_slice()));
        assert_eq!(batch.body(1), Some(b"".as_slice()));
        assert_eq!(batch.body(3), None);
        assert_eq!(batch.fetch_body(2), Some(b"c".to_vec()));
        assert_eq!(
            batch.body_bytes(),
            (b"abc".as_slice(), [2, 2, 3].as_slice())
        );
    }

    #[test]
    fn a_header_is_read_by_row_whether_all_events_have_it_or_some() {
        let events = TestBatch::from_iter([
            TestEvent::new("a").with_header("all", "x"),
            TestEvent::new("b")
                .with_header("all", "")
                .with_header("some", "s"),
            TestEvent::new("c").with_header("all", "z"),
        ]);
        let batch = Batch::new(FakeBatch(&events));
        let all = batch.header("all").unwrap();
        assert_eq!(
            all.iter().collect::<Vec<_>>(),
            [Some("x"), Some(""), Some("z")]
        );
        assert_eq!(
            (all.get(0), all.get(2), all.get(3)),
            (Some("x"), Some("z"), None)
        );
        let some = batch.header("some").unwrap();
        assert_eq!(some.iter().collect::<Vec<_>>(), [None, Some("s"), None]);
        assert_eq!((some.get(0), some.get(1)), (None, Some("s")));
        assert!(batch.header("none").is_none());
        assert_eq!(batch.header_names(), ["all", "some"]);
        assert_eq!(batch.headers().len(), 2);
    }

    #[test]
    fn ends_that_do_not_fit_read_as_empty() {
        let column = Column {
            data: b"abc".to_vec(),
            ends: vec![2, 1, 9],
        };
        let bodies: Vec<&[u8]> = Bodies::of(&column).collect();
        assert_eq!(bodies, [b"ab".as_slice(), b"", b""]);
        assert_eq!(column.get(1), None);
    }
}
