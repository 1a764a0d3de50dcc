//! What clients asked for, and what of it is true.

use crate::node::Node;
use crdt::Dot;

/// All operations.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    operations: Vec<Operation>,
}

/// One operation, which counts once however often it is sent.
#[derive(Debug)]
struct Operation {
    amount: i64,
    first_ms: u64,
    /// Under which events it was entered.
    dots: Vec<Dot>,
    /// Two owners had it when the client was told so.
    acknowledged: bool,
}

impl Oracle {
    /// A new operation's number.
    pub(crate) fn begin(&mut self, amount: i64, first_ms: u64) -> usize {
        self.operations.push(Operation {
            amount,
            first_ms,
            dots: Vec::new(),
            acknowledged: false,
        });
        self.operations.len() - 1
    }

    pub(crate) fn count(&self) -> usize {
        self.operations.len()
    }

    /// The amount of an operation, and its age.
    pub(crate) fn asked(&self, operation: usize, now_ms: u64) -> (i64, u64) {
        let Operation {
            amount, first_ms, ..
        } = self.operations[operation];
        (amount, now_ms - first_ms)
    }

    pub(crate) fn entered(&mut self, operation: usize, dot: Dot) {
        self.operations[operation].dots.push(dot);
    }

    pub(crate) fn acknowledged(&mut self, operation: usize) {
        self.operations[operation].acknowledged = true;
    }

    /// How many operations were entered more than once.
    pub(crate) fn copies(&self) -> usize {
        let operations = self.operations.iter();
        operations
            .filter(|operation| operation.dots.len() > 1)
            .count()
    }

    /// Was no more spent than added, of all that is acknowledged or on some disk?
    pub(crate) fn check(&self, nodes: &[Node]) -> Result<i128, String> {
        let (mut added, mut spent) = (0, 0);
        for operation in &self.operations {
            if !operation.acknowledged && !is_there(operation, nodes) {
                continue;
            }
            let amount = i128::from(operation.amount);
            added += amount.max(0);
            spent += (-amount).max(0);
        }
        if spent > added {
            return Err(format!("{spent} was spent of {added}"));
        }
        Ok(added - spent)
    }

    /// The number of an acknowledged operation that no disk has any more.
    pub(crate) fn forgotten(&self, nodes: &[Node]) -> Option<usize> {
        let mut operations = self.operations.iter();
        operations.position(|operation| operation.acknowledged && !is_there(operation, nodes))
    }
}

fn is_there(operation: &Operation, nodes: &[Node]) -> bool {
    let mut clocks = nodes.iter().map(|node| node.vnode().clock());
    clocks.any(|clock| operation.dots.iter().any(|&dot| clock.contains(dot)))
}
