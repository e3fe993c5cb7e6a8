//! What the ends of its nodes make of a dataflow: its outcome and its exit code (section 14 of the design).

use dataflow_ids::End;

/// How a dataflow ended, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Every node ended well and every token was acknowledged.
    Drained,
    /// A node failed.
    Failed,
    /// Something was killed on a person's word, whatever else happened.
    Forced,
}

impl Outcome {
    /// The outcome that follows from the ends of all nodes.
    #[must_use]
    pub fn of<'a>(ends: impl IntoIterator<Item = &'a End>) -> Outcome {
        ends.into_iter()
            .map(|end| match end {
                End::Drained => Outcome::Drained,
                End::Crashed { .. } => Outcome::Failed,
                End::Forced { .. } => Outcome::Forced,
            })
            .max()
            .unwrap_or(Outcome::Drained)
    }

    /// The exit code of the command that ran the dataflow. (2, for wrong input, means that none ran.)
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Outcome::Drained => 0,
            Outcome::Failed => 1,
            Outcome::Forced => 3,
        }
    }
}

#[cfg(test)]
mod tests {
    use dataflow_ids::Forcer;

    use super::*;

    #[test]
    fn a_forced_node_outweighs_a_crashed_one_and_that_outweighs_drained_ones() {
        let crashed = End::Crashed {
            how: "exit code 3".into(),
        };
        let forced = End::Forced {
            by: Forcer::SecondInterrupt,
        };
        let code = |ends: &[&End]| Outcome::of(ends.iter().copied()).exit_code();
        assert_eq!(code(&[]), 0);
        assert_eq!(code(&[&End::Drained, &End::Drained]), 0);
        assert_eq!(code(&[&End::Drained, &crashed, &End::Drained]), 1);
        assert_eq!(code(&[&forced, &crashed, &End::Drained]), 3);
        assert_eq!(code(&[&crashed, &forced]), 3);
    }
}
