//! What is left to read for a node, from how the edges to it stand.

/// One edge to a node, at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InputReading {
    /// Whether its sender has ended for good.
    pub is_closed: bool,
    /// Messages in its queue.
    pub queued: u64,
}

/// All edges to a node, at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inputs {
    /// There is none: the node reads nothing but timers, or nothing at all.
    None,
    /// More may come.
    Open,
    /// Nothing more comes, and something waits to be read.
    Closed,
    /// Nothing more comes, and nothing waits. What is held is read.
    AllRead,
}

impl Inputs {
    /// How these edges stand together.
    #[must_use]
    pub fn of(edges: impl IntoIterator<Item = InputReading>) -> Inputs {
        edges.into_iter().fold(Inputs::None, |so_far, edge| {
            match (so_far, edge.is_closed, edge.queued) {
                (Inputs::Open, ..) | (_, false, _) => Inputs::Open,
                (Inputs::Closed, ..) | (_, true, 1..) => Inputs::Closed,
                (Inputs::None | Inputs::AllRead, true, 0) => Inputs::AllRead,
            }
        })
    }

    /// Whether there are inputs, and nothing more comes over any of them.
    #[must_use]
    pub fn are_closed(self) -> bool {
        matches!(self, Inputs::Closed | Inputs::AllRead)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(is_closed: bool, queued: u64) -> InputReading {
        InputReading { is_closed, queued }
    }

    #[test]
    fn nothing_is_read_to_its_end_before_everything_is() {
        let (open, left, read) = (edge(false, 0), edge(true, 1), edge(true, 0));
        assert_eq!(Inputs::of([]), Inputs::None);
        assert_eq!(Inputs::of([read]), Inputs::AllRead);
        assert_eq!(Inputs::of([read, read]), Inputs::AllRead);
        for edges in [[read, left], [left, read], [left, left]] {
            assert_eq!(Inputs::of(edges), Inputs::Closed);
        }
        for edges in [[open, read], [left, open], [read, edge(false, 3)]] {
            assert_eq!(Inputs::of(edges), Inputs::Open);
        }
    }

    #[test]
    fn who_has_no_inputs_has_none_that_are_closed() {
        assert!(!Inputs::None.are_closed());
        assert!(!Inputs::Open.are_closed());
        assert!(Inputs::Closed.are_closed() && Inputs::AllRead.are_closed());
    }
}
