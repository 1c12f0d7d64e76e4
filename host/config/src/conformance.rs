//! What must hold for any text at all: the oracle that the tests and the fuzz target share.

use flumen_core::option::Catalogue;

use crate::{Dialect, Document, Lookups, PlanDiff, check_all, to_toml};

/// Reads, checks and converts a text.
///
/// # Panics
/// When a problem takes more than one line, a plan differs from itself, or an agent that has a plan
/// does not have an equal one in the converted text. Of an agent with errors nothing is asked,
/// except that its native text does not take the plan of another one away. As a defect, when
/// anything on the way panics.
pub fn exercise(dialect: Dialect, text: &str, lookups: &dyn Lookups, catalogue: &Catalogue) {
    let document = Document::parse(dialect, "any", text).resolve(lookups);
    let checked = check_all(&document, catalogue);
    for problem in &checked.problems {
        assert_eq!(problem.to_string().lines().count(), 1, "{problem:?}");
    }
    for plan in checked.plans.values() {
        assert!(PlanDiff::between(plan, plan).is_empty(), "{plan:?}");
    }
    let native = to_toml(&document, catalogue);
    let back = Document::parse(Dialect::Toml, "back", &native).resolve(lookups);
    let plans = check_all(&back, catalogue);
    for (agent, plan) in &checked.plans {
        let converted = plans.plans.get(agent);
        assert_eq!(Some(plan), converted, "{native}\n{:?}", plans.problems);
    }
}
