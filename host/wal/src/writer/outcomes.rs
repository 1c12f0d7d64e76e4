//! What becomes of the records of one group.

use crate::error::{AppendError, Refusal};
use crate::record::{Appended, Prepared};

/// What becomes of a record.
pub(crate) type Outcome = Result<Appended, AppendError>;

/// Records of a group with their places in it.
pub(super) type Group = Vec<(usize, Prepared)>;

/// The outcomes of a group, as far as they are known.
pub(super) struct Outcomes(Vec<Option<Outcome>>);

impl Outcomes {
    pub(super) fn of(length: usize) -> Outcomes {
        let mut outcomes = Vec::with_capacity(length);
        outcomes.resize_with(length, || None);
        Outcomes(outcomes)
    }

    pub(super) fn set(&mut self, index: usize, outcome: Outcome) {
        if let Some(place) = self.0.get_mut(index) {
            *place = Some(outcome);
        }
    }

    pub(super) fn refuse(&mut self, index: usize, prepared: Prepared, refusal: Refusal) {
        let record = prepared.record;
        self.set(index, Err(AppendError { record, refusal }));
    }

    pub(super) fn refuse_all(&mut self, group: Group, refusal: &Refusal) {
        for (index, prepared) in group {
            self.refuse(index, prepared, refusal.clone());
        }
    }

    /// All of them, in the order of the group.
    pub(super) fn finish(self) -> Vec<Outcome> {
        self.0.into_iter().flatten().collect()
    }
}
