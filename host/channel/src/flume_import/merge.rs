//! All log files of a channel as one sequence, in the order in which Flume wrote.
//!
//! Flume gives each transaction to one of its folders, and the files of a folder follow one another;
//! so each folder is in order by itself, and the folders are merged by the order of writing.

use std::slice::Iter;

use super::error::ImportError;
use super::folders::{FlumeChannel, LogFile};
use super::reader::{Item, LogReader, Stretch, Summary, What};

/// Something in the merged sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A record of this folder, which is a number from 0.
    Record { folder: usize, summary: Summary },
    /// A record that Flume's integrity tool has removed.
    Removed,
    /// Bytes that are no record. What comes next of this folder stands behind them.
    Damaged {
        folder: usize,
        file: u32,
        stretch: Stretch,
    },
}

/// The merged sequence.
#[derive(Debug)]
pub(super) struct Merge<'f> {
    folders: Vec<Folder<'f>>,
}

#[derive(Debug)]
struct Folder<'f> {
    files: Iter<'f, LogFile>,
    reader: Option<LogReader>,
    next: Option<Summary>,
}

impl<'f> Merge<'f> {
    pub(super) fn new(channel: &'f FlumeChannel) -> Self {
        let folders = channel.logs.iter().map(|files| Folder {
            files: files.iter(),
            reader: None,
            next: None,
        });
        Self {
            folders: folders.collect(),
        }
    }

    /// What comes next. What is no record comes as soon as its folder is looked at.
    pub(super) fn next_found(&mut self) -> Result<Option<Found>, ImportError> {
        for (number, folder) in self.folders.iter_mut().enumerate() {
            if folder.next.is_some() {
                continue;
            }
            match folder.advance()? {
                None => {}
                Some((_, Item::Record(summary))) => folder.next = Some(summary),
                Some((_, Item::Removed)) => return Ok(Some(Found::Removed)),
                Some((file, Item::Damaged(stretch))) => {
                    return Ok(Some(Found::Damaged {
                        folder: number,
                        file,
                        stretch,
                    }));
                }
            }
        }
        let folders = self.folders.iter_mut().enumerate();
        let heads = folders.filter_map(|(number, folder)| {
            let order = folder.next.as_ref().map(order)?;
            Some((order, number, folder))
        });
        let first = heads.min_by_key(|(order, number, _)| (*order, *number));
        Ok(first.and_then(|(_, number, folder)| {
            folder.next.take().map(|summary| Found::Record {
                folder: number,
                summary,
            })
        }))
    }
}

impl Folder<'_> {
    /// The next item of the folder with the number of its file.
    fn advance(&mut self) -> Result<Option<(u32, Item)>, ImportError> {
        loop {
            if let Some(reader) = &mut self.reader {
                if let Some(item) = reader.next_item()? {
                    return Ok(Some((reader.number(), item)));
                }
                self.reader = None;
            }
            match self.files.next() {
                None => return Ok(None),
                Some(log) => self.reader = Some(LogReader::open(log)?),
            }
        }
    }
}

/// As Flume orders: Flume 1.2 gave the same number twice, so the transaction decides then, and within
/// it what it did comes before its end.
fn order(summary: &Summary) -> (u64, u64, u8) {
    let kind = match summary.what {
        What::Take(_) => 0,
        What::Put => 1,
        What::Rollback => 2,
        What::CommitPuts | What::CommitTakes => 3,
    };
    (summary.write_order, summary.transaction, kind)
}
