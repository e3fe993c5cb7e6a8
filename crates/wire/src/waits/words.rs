//! What a node waits for in one line, as people read it.

use std::fmt;

use dataflow_ids::{LifeCycle, span};

use super::{Blocker, Lacks, ModelWait, NodeWait, Owed};
use crate::status::ModelState;

/// How many receivers are named that owe messages. All of them are in the status.
const OWED_NAMED_MAX: usize = 4;

impl fmt::Display for NodeWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NodeWait::Place {} => f.write_str("waiting for a place"),
            NodeWait::Start {} => f.write_str("waiting for its turn to start"),
            NodeWait::Models { models } => write_models(f, models),
            NodeWait::Library {} => f.write_str("starting: its library has not connected yet"),
            NodeWait::FirstCall {} => {
                f.write_str("starting: connected, and not ready before its first recv or send")
            }
            NodeWait::Room {
                chain,
                left_out,
                state,
                is_circle,
            } => {
                write_chain(f, chain, *left_out)?;
                match is_circle {
                    true => f.write_str(": a circle, in which nobody can go on"),
                    false => f.write_str(standing(*state)),
                }
            }
            NodeWait::Exit { busy_for } => {
                f.write_str("waiting for its process to end")?;
                match busy_for {
                    Some(busy_for) => write!(f, " (in user code for {})", span::plain(*busy_for)),
                    None => Ok(()),
                }
            }
            NodeWait::Tokens { owed } => write_owed(f, owed),
            NodeWait::Backoff { starts_in } => {
                write!(f, "in backoff, starts again in {}", span::plain(*starts_in))
            }
            NodeWait::Person {} => f.write_str("parked until `dataflow restart` starts it again"),
            NodeWait::Peer { peer: Some(peer) } => write!(f, "waiting for peer {peer}"),
            NodeWait::Peer { peer: None } => f.write_str("waiting for its peer"),
        }
    }
}

fn write_models(f: &mut fmt::Formatter<'_>, models: &[ModelWait]) -> fmt::Result {
    let word = match models {
        [] => return f.write_str("waiting for its models"),
        [_] => "model",
        _ => "models",
    };
    let models: Vec<String> = models.iter().map(ToString::to_string).collect();
    write!(f, "waiting for {word} {}", models.join(", "))
}

fn write_chain(f: &mut fmt::Formatter<'_>, chain: &[Blocker], left_out: u64) -> fmt::Result {
    for (place, blocker) in chain.iter().enumerate() {
        let is_last = place + 1 == chain.len();
        let node = &blocker.node;
        match place {
            0 => write!(f, "blocked by {node}")?,
            _ if is_last && left_out > 0 => {
                let others = if left_out == 1 { "other" } else { "others" };
                write!(
                    f,
                    ", which is blocked by {left_out} {others}, the last of them by {node}"
                )?;
            }
            _ => write!(f, ", which is blocked by {node}")?,
        }
        if is_last {
            write!(f, " ({blocker})")?;
        }
    }
    Ok(())
}

fn write_owed(f: &mut fmt::Formatter<'_>, owed: &[Owed]) -> fmt::Result {
    f.write_str("draining")?;
    for it in owed.iter().take(OWED_NAMED_MAX) {
        write!(f, ", {it}")?;
    }
    match owed.len().saturating_sub(OWED_NAMED_MAX) {
        0 => Ok(()),
        1 => f.write_str(", and one more receiver has some"),
        more => write!(f, ", and {more} more receivers have some"),
    }
}

/// What is to be said of the last of a chain: nothing if it simply takes its time.
fn standing(state: LifeCycle) -> &'static str {
    match state {
        LifeCycle::Declared | LifeCycle::Placed => ", which was not started yet",
        LifeCycle::Downloading => ", which waits for its models",
        LifeCycle::Starting => ", which is starting",
        LifeCycle::Stopping => ", which is stopping",
        LifeCycle::Backoff => ", which is in backoff",
        LifeCycle::Parked => ", which is parked",
        LifeCycle::Lost => ", whose peer is lost",
        LifeCycle::Ready
        | LifeCycle::Running
        | LifeCycle::Draining
        | LifeCycle::Finished
        | LifeCycle::Failed => "",
    }
}

impl fmt::Display for ModelWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.model)?;
        // Wide enough for any number of bytes.
        let percent = (u128::from(self.bytes_done) * 100).checked_div(u128::from(self.bytes_total));
        match (self.state, percent) {
            (ModelState::Fetching, Some(percent)) => write!(f, " {percent} %")?,
            (ModelState::Resolving, _) => f.write_str(" (resolving)")?,
            _ => {}
        }
        match &self.because {
            Some(because) => write!(f, " ({because})"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.lacks {
            Lacks::Readiness => return f.write_str(self.lacks.because()),
            Lacks::Queue => f.write_str(self.lacks.because())?,
            Lacks::Slots => return write!(f, "{} held", messages(self.held)),
            Lacks::Memory => {
                f.write_str(self.lacks.because())?;
                if self.held > 0 {
                    write!(f, ", {} held", messages(self.held))?;
                }
                if self.queued > 0 {
                    write!(f, ", {} queued", messages(self.queued))?;
                }
            }
        }
        match self.oldest {
            Some(oldest) => write!(f, ", oldest {}", span::plain(oldest)),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Owed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let node = &self.node;
        match (self.held, self.queued) {
            (0, queued) => write!(f, "{} queued for {node}", messages(queued)),
            (held, 0) => write!(f, "{} held by {node}", messages(held)),
            (held, queued) => {
                write!(
                    f,
                    "{} held by {node} and {queued} queued for it",
                    messages(held)
                )
            }
        }
    }
}

fn messages(count: u64) -> String {
    format!("{count} message{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dataflow_ids::{InputId, ModelName, NodeId, OutputId};

    use super::*;

    fn node(id: &str) -> NodeId {
        NodeId::new(id).unwrap()
    }

    fn blocker(id: &str, lacks: Lacks) -> Blocker {
        Blocker {
            node: node(id),
            input: InputId::new("in").unwrap(),
            source: node("planner"),
            output: OutputId::new("out").unwrap(),
            lacks,
            queued: 10,
            held: 0,
            oldest: Some(Duration::from_millis(3_270)),
        }
    }

    fn room(chain: &[Blocker], left_out: u64, state: LifeCycle) -> String {
        let chain = chain.to_vec();
        let is_circle = false;
        NodeWait::Room {
            chain,
            left_out,
            state,
            is_circle,
        }
        .to_string()
    }

    fn model(name: &str, state: ModelState, bytes_done: u64, because: Option<&str>) -> ModelWait {
        ModelWait {
            model: ModelName::new(name).unwrap(),
            state,
            bytes_done,
            bytes_total: 1000,
            because: because.map(str::to_owned),
        }
    }

    fn owed(id: &str, held: u64, queued: u64) -> Owed {
        Owed {
            node: node(id),
            input: InputId::new("in").unwrap(),
            output: OutputId::new("out").unwrap(),
            held,
            queued,
        }
    }

    #[test]
    fn models_stand_with_how_far_they_are() {
        let says = |models: &[ModelWait]| {
            let models = models.to_vec();
            NodeWait::Models { models }.to_string()
        };
        assert_eq!(
            says(&[model("detector", ModelState::Fetching, 430, None)]),
            "waiting for model detector 43 %"
        );
        assert_eq!(
            says(&[
                model("a", ModelState::Resolving, 0, None),
                model("b", ModelState::Waiting, 0, Some("process 4711 fetches it")),
            ]),
            "waiting for models a (resolving), b (process 4711 fetches it)"
        );
        let huge = ModelWait {
            bytes_done: u64::MAX,
            bytes_total: u64::MAX,
            ..model("huge", ModelState::Fetching, 0, None)
        };
        assert_eq!(says(&[huge]), "waiting for model huge 100 %");
    }

    #[test]
    fn who_blocks_stands_with_the_facts_of_the_one_that_all_wait_for() {
        let logger = blocker("logger", Lacks::Queue);
        let disk = blocker("disk", Lacks::Queue);
        assert_eq!(
            room(std::slice::from_ref(&logger), 0, LifeCycle::Running),
            "blocked by logger (queue full, oldest 3.2 s)"
        );
        assert_eq!(
            room(&[logger.clone(), disk.clone()], 0, LifeCycle::Running),
            "blocked by logger, which is blocked by disk (queue full, oldest 3.2 s)"
        );
        assert_eq!(
            room(&[logger.clone(), disk.clone()], 1, LifeCycle::Backoff),
            "blocked by logger, which is blocked by 1 other, the last of them by disk (queue full, oldest 3.2 s), \
             which is in backoff"
        );
        let circle = NodeWait::Room {
            chain: vec![logger, disk],
            left_out: 0,
            state: LifeCycle::Running,
            is_circle: true,
        };
        assert_eq!(
            circle.to_string(),
            "blocked by logger, which is blocked by disk (queue full, oldest 3.2 s): a circle, in which nobody can go \
             on"
        );
    }

    #[test]
    fn what_a_sender_lacks_is_told_apart() {
        let says = |lacks, queued, held| {
            let blocker = Blocker {
                queued,
                held,
                ..blocker("logger", lacks)
            };
            room(&[blocker], 0, LifeCycle::Running)
        };
        assert_eq!(
            says(Lacks::Readiness, 0, 0),
            "blocked by logger (not ready yet)"
        );
        assert_eq!(
            says(Lacks::Slots, 1, 70),
            "blocked by logger (70 messages held)"
        );
        assert_eq!(
            says(Lacks::Memory, 1, 3),
            "blocked by logger (memory full, 3 messages held, 1 message queued, oldest 3.2 s)"
        );
    }

    #[test]
    fn what_is_owed_stands_with_who_owes_it() {
        let says = |owed: &[Owed]| {
            let owed = owed.to_vec();
            NodeWait::Tokens { owed }.to_string()
        };
        assert_eq!(says(&[]), "draining");
        assert_eq!(
            says(&[owed("detector", 2, 0)]),
            "draining, 2 messages held by detector"
        );
        assert_eq!(
            says(&[owed("detector", 1, 3), owed("logger", 0, 1)]),
            "draining, 1 message held by detector and 3 queued for it, 1 message queued for logger"
        );
        let many: Vec<Owed> = (0..6).map(|it| owed(&format!("n{it}"), 1, 0)).collect();
        assert_eq!(
            says(&many),
            "draining, 1 message held by n0, 1 message held by n1, 1 message held by n2, 1 message held by n3, and 2 \
             more receivers have some"
        );
    }
}
