//! `flag`: on or off, where either enabling or disabling wins over what happens beside it.
//!
//! An enable-wins flag is a row that is there or not, so disabling leaves nothing behind. A
//! disable-wins flag must remember that it was disabled, or a concurrent enabling would not meet
//! it: each of its writes leaves one version that says 1 or 0.
//!
//! | concurrent | enable wins | disable wins |
//! |---|---|---|
//! | enable, disable | on | off |
//! | enable, enable | on | on |
//! | disable, disable | off | off |
//! | enable, remove | on | on: a removal only forgets what it saw |
//! | disable, remove | off | off |
//!
//! | rows | enable | disable | on if |
//! |---|---|---|---|
//! | enable wins | a version, empty body | removal | there is a version |
//! | disable wins | a version, body 1 | a version, body 0 | there are versions and all say 1 |
//!
//! Source: Shapiro et al., *A comprehensive study of Convergent and Commutative Replicated Data
//! Types* (INRIA RR-7506, 2011), in the form of Almeida et al. (JPDC'18).

use bytes::Bytes;

use crate::kinds::Edit;
use crate::kinds::rules::{Made, Rows, Rules, Said, Twice, Unmade, Update};
use crate::row::Row;

/// Which of two concurrent operations on a flag counts. A property of the bucket or field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wins {
    /// An enabling beats the disablings that did not see it.
    Enable,
    /// A disabling beats the enablings that did not see it.
    Disable,
}

/// A flag whose enabling wins.
pub const ENABLE_WINS: Rules = Rules {
    make: |row, update| switch(row, update, Wins::Enable),
    body: Some(|row| said(row, Wins::Enable)),
    ..Rules::new("flag", Rows::One, Twice::Aliases)
};

/// A flag whose disabling wins.
pub const DISABLE_WINS: Rules = Rules {
    make: |row, update| switch(row, update, Wins::Disable),
    vetoes: true,
    body: Some(|row| said(row, Wins::Disable)),
    ..Rules::new("disable-flag", Rows::One, Twice::Aliases)
};

/// Turns the flag on, over everything that is seen here.
#[must_use]
pub fn enable(row: &Row, wins: Wins) -> Edit {
    let body = match wins {
        Wins::Enable => Bytes::new(),
        Wins::Disable => Bytes::from_static(&ON),
    };
    Edit::put(row, body)
}

/// Turns the flag off, over everything that is seen here.
#[must_use]
pub fn disable(row: &Row, wins: Wins) -> Edit {
    match wins {
        Wins::Enable => Edit::remove(row),
        Wins::Disable => Edit::put(row, Bytes::from_static(&OFF)),
    }
}

/// Is the flag on, as its joined row says? A body that is never written counts as off.
#[must_use]
pub fn is_enabled(row: &Row, wins: Wins) -> bool {
    let mut versions = row.versions().values();
    let some = !row.versions().is_empty();
    match wins {
        Wins::Enable => some,
        Wins::Disable => some && versions.all(|version| version.body[..] == ON),
    }
}

fn switch(row: &Row, update: &Update, wins: Wins) -> Made {
    match update {
        Update::Switch(true) => Ok(Some(enable(row, wins))),
        Update::Switch(false) => Ok(Some(disable(row, wins))),
        _ => Err(Unmade::NotOfKind),
    }
}

fn said(row: &Row, wins: Wins) -> Said {
    Ok(if is_enabled(row, wins) { "on" } else { "off" }.to_owned())
}

const ON: [u8; 1] = [1];
const OFF: [u8; 1] = [0];

#[cfg(test)]
mod tests {
    use super::{Wins, disable, enable, is_enabled};
    use crate::kinds::Edit;
    use crate::{Actor, Dot, Hlc, Row, Version};

    fn write(row: &Row, node: u64, edit: Edit) -> Row {
        let dot = Dot::new(Actor { node, nonce: 0 }, 1);
        let mut after = row.clone();
        after.join(&match edit.body {
            Some(body) => Row::write(dot, Version::new(Hlc::at(0), None, body), edit.context),
            None => Row::delete(edit.context),
        });
        after
    }

    #[test]
    fn a_flag_that_was_never_touched_is_off() {
        assert!(!is_enabled(&Row::default(), Wins::Enable));
        assert!(!is_enabled(&Row::default(), Wins::Disable));
    }

    #[test]
    fn each_operation_is_seen_by_the_next() {
        for wins in [Wins::Enable, Wins::Disable] {
            let on = write(&Row::default(), 1, enable(&Row::default(), wins));
            let off = write(&on, 2, disable(&on, wins));
            let again = write(&off, 3, enable(&off, wins));
            let shown = [&on, &off, &again].map(|row| is_enabled(row, wins));
            assert_eq!(shown, [true, false, true]);
        }
    }

    #[test]
    fn a_disabled_flag_whose_enabling_wins_holds_no_version() {
        let on = write(&Row::default(), 1, enable(&Row::default(), Wins::Enable));
        assert!(
            write(&on, 2, disable(&on, Wins::Enable))
                .versions()
                .is_empty()
        );
    }
}
