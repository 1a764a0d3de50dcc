//! What whoever runs the tests asks for by environment variables.

use std::env;

/// The number that a variable holds; `None` where it is not set.
///
/// # Panics
/// It holds something else: better no run than one of another length.
#[must_use]
pub fn number(variable: &str) -> Option<u64> {
    let set = env::var(variable).ok()?;
    let parsed = set.parse();
    Some(parsed.unwrap_or_else(|_| panic!("{variable} is a number, not {set:?}")))
}
