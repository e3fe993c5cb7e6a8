//! Whom a stop waits for, and for what.

use std::fmt;
use std::time::Duration;

use dataflow_ids::{NodeId, OutputId, span};
use serde::{Deserialize, Serialize};

/// Somebody that a stop waits for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Waiting {
    /// The node.
    pub node: NodeId,
    /// Its process, while it has one.
    pub pid: Option<u32>,
    /// For how long its user's code has run without a call into the library, if it said so.
    pub busy_for: Option<Duration>,
    /// What is waited for.
    pub what: WaitingFor,
}

/// What a stop waits for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum WaitingFor {
    /// Its process to end.
    Exit,
    /// Its new incarnation to be ready.
    Ready {
        /// What is known of why it is not.
        because: Option<String>,
    },
    /// Messages that it holds, or has not read yet.
    Tokens {
        /// Whose output: `camera/image`.
        source: NodeId,
        /// Which output.
        output: OutputId,
        /// How many it holds.
        held: u64,
        /// How many wait in its queue.
        queued: u64,
    },
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "waiting for {}", self.node)?;
        let mut facts = Vec::new();
        if let Some(pid) = self.pid {
            facts.push(format!("pid {pid}, alive"));
        }
        if let Some(busy_for) = self.busy_for.filter(|busy_for| !busy_for.is_zero()) {
            facts.push(format!("in user code for {}", span::plain(busy_for)));
        }
        if !facts.is_empty() {
            write!(f, " ({})", facts.join(", "))?;
        }
        let plural = |count: u64| if count == 1 { "" } else { "s" };
        match &self.what {
            WaitingFor::Exit => f.write_str(": its process has not ended"),
            WaitingFor::Ready { because: None } => f.write_str(": it is not ready"),
            WaitingFor::Ready {
                because: Some(because),
            } => write!(f, ": it is not ready: {because}"),
            WaitingFor::Tokens {
                source,
                output,
                held,
                queued,
            } => match (*held, *queued) {
                (0, queued) => {
                    write!(
                        f,
                        ": has {queued} message{} of {source}/{output} to read",
                        plural(queued)
                    )
                }
                (held, 0) => write!(
                    f,
                    ": holds {held} message{} of {source}/{output}",
                    plural(held)
                ),
                (held, queued) => write!(
                    f,
                    ": holds {held} message{} of {source}/{output} and has {queued} to read",
                    plural(held)
                ),
            },
        }
    }
}
