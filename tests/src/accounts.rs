//! Every message accounted for: the ledgers of the nodes united with the counts of the report.
//!
//! An edge's sequences have no gaps in what was sent, so a ledger says exactly which messages its node has seen.
//! What it has not seen must be named by the report: dropped, or lost.

use std::collections::BTreeMap;
use std::path::Path;

use dataflow_ids::{End, QueuePolicy};
use dataflow_wire::status::{EdgeStatus, Report};

use crate::ledger::{Consumed, Fact, Point, ledger_path, read_ledger};
use crate::message::tag;
use crate::report::{Damage, assert_balanced};

/// What was counted on all edges of one run, after it has been checked, or of many together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accounts {
    /// Edges that were checked.
    pub edges: u64,
    /// Messages sent, once for each edge.
    pub sent: u64,
    /// Messages that the ledgers of the receivers name, each once, whole and in order.
    pub consumed: u64,
    /// Messages that the report lists as dropped.
    pub dropped: u64,
    /// Of those, the ones on a `block` edge whose receiver has not died: it ended without reading them.
    pub unread: u64,
    /// Messages that the report lists as lost: in the hands of a process that died.
    pub lost: u64,
    /// Tokens that came back.
    pub released: u64,
    /// Messages that were copied out for a process which died before it wrote them down: at most one a death.
    pub unwritten: u64,
    /// Restarts, and ends by a death.
    pub deaths: u64,
    /// Where nodes have killed themselves.
    pub points: BTreeMap<Point, u64>,
}

impl Accounts {
    /// Adds what was counted in another run.
    pub fn add(&mut self, other: &Accounts) {
        self.edges += other.edges;
        self.sent += other.sent;
        self.consumed += other.consumed;
        self.dropped += other.dropped;
        self.unread += other.unread;
        self.lost += other.lost;
        self.released += other.released;
        self.unwritten += other.unwritten;
        self.deaths += other.deaths;
        for (point, count) in &other.points {
            *self.points.entry(*point).or_default() += count;
        }
    }
}

/// The number in the name of an input or output: 3 in `i3`.
fn port(name: &str) -> u16 {
    name.trim_start_matches(|letter: char| !letter.is_ascii_digit())
        .parse()
        .unwrap_or_else(|_| panic!("`{name}` has no number"))
}

/// Checks that a ledger names no message of one input twice, in another order, or damaged, and that sequences and
/// the sender's own numbers agree; gives how many it names.
fn check_order(edge: &str, sender: u32, ledger: impl IntoIterator<Item = Consumed>) -> u64 {
    let mut count = 0;
    let mut last_sequence = 0;
    // The sender's incarnation, and the sequence before its first message.
    let mut incarnation: Option<(u32, u64)> = None;
    for message in ledger {
        let sequence = message.sequence;
        let stamp = message
            .stamp
            .unwrap_or_else(|| panic!("{edge}: message {sequence} is damaged"));
        assert_eq!(
            stamp.sender, sender,
            "{edge}: message {sequence} is another's"
        );
        assert!(
            sequence > last_sequence,
            "{edge}: message {sequence} comes after {last_sequence}"
        );
        assert!(
            (1..=sequence).contains(&stamp.number),
            "{edge}: message {sequence} has number {} in its incarnation",
            stamp.number
        );
        let before = sequence - stamp.number;
        match incarnation {
            Some((epoch, known)) if epoch == stamp.epoch => assert_eq!(
                before, known,
                "{edge}: message {sequence} is number {} of incarnation {epoch}, which began after {known}",
                stamp.number
            ),
            Some((epoch, _)) => {
                assert!(
                    stamp.epoch > epoch && before >= last_sequence,
                    "{edge}: message {sequence} is of incarnation {} and comes after {last_sequence} of {epoch}",
                    stamp.epoch
                );
                incarnation = Some((stamp.epoch, before));
            }
            None => incarnation = Some((stamp.epoch, before)),
        }
        last_sequence = sequence;
        count += 1;
    }
    count
}

fn consumed(ledger: &[Fact], input: u16) -> impl Iterator<Item = Consumed> {
    ledger.iter().filter_map(move |fact| match fact {
        Fact::Consumed(consumed) if consumed.input == input => Some(*consumed),
        _ => None,
    })
}

/// Checks the ledgers of a run that has left no report, because it was killed; gives how many messages they name.
///
/// # Panics
///
/// When a message has arrived twice, damaged, or in another order.
pub fn check_ledgers(records: &Path) -> u64 {
    let mut seen = 0;
    for entry in std::fs::read_dir(records).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|ending| ending != "ledger") {
            continue;
        }
        let ledger = read_ledger(&path);
        let mut inputs: BTreeMap<u16, Vec<Consumed>> = BTreeMap::new();
        for fact in ledger {
            if let Fact::Consumed(consumed) = fact {
                inputs.entry(consumed.input).or_default().push(consumed);
            }
        }
        for (input, messages) in inputs {
            let edge = format!("{} i{input}", path.display());
            let sender = messages[0].stamp.map_or(0, |stamp| stamp.sender);
            seen += check_order(&edge, sender, messages);
        }
    }
    seen
}

/// Checks the report of a run whose nodes are ledger nodes, in whose `records` the ledgers lie.
///
/// # Panics
///
/// When a message is not accounted for, or has arrived twice, damaged, or in another order.
pub fn check_accounts(report: &Report, records: &Path) -> Accounts {
    assert_balanced(report, Damage::MustNotBe);
    let mut all = Accounts::default();
    let mut ledgers = BTreeMap::new();
    let mut deaths_of = BTreeMap::new();
    for node in &report.nodes {
        let deaths = u64::from(node.restarts) + u64::from(node.end != End::Drained);
        let ledger = read_ledger(&ledger_path(records, node.node.as_str()));
        for fact in &ledger {
            if let Fact::Dying(point) = fact {
                *all.points.entry(*point).or_default() += 1;
            }
        }
        all.deaths += deaths;
        // One that was told by a signal to end, before it was ready, has ended well and has not come to its end.
        let has_ended = ledger.last() == Some(&Fact::Ended);
        let unended = u64::from(node.end == End::Drained && !has_ended);
        deaths_of.insert(node.node.as_str(), deaths + unended);
        ledgers.insert(node.node.as_str(), ledger);
    }
    for edge in &report.edges {
        let (source, target) = (edge.source.as_str(), edge.target.as_str());
        let sums = check_edge(
            edge,
            &ledgers[source],
            deaths_of[source],
            &ledgers[target],
            deaths_of[target],
            report.forced.is_some(),
        );
        all.add(&sums);
    }
    all
}

fn check_edge(
    edge: &EdgeStatus,
    sender: &[Fact],
    sender_deaths: u64,
    receiver: &[Fact],
    receiver_deaths: u64,
    forced: bool,
) -> Accounts {
    let counts = &edge.counts;
    let from = format!("{}/{}", edge.source, edge.output);
    let name = format!("{from} → {}/{}", edge.target, edge.input);
    assert!(edge.drained || forced, "{name} is not drained: {edge:#?}");
    let input = port(edge.input.as_str());
    let seen = check_order(&name, tag(&from), consumed(receiver, input));
    let last = consumed(receiver, input).last().map_or(0, |it| it.sequence);
    assert!(
        last <= counts.sent,
        "{name}: {last} arrived, and no more than {} were sent",
        counts.sent
    );
    assert!(
        seen <= counts.delivered,
        "{name}: {seen} were seen of {counts:?}"
    );
    // A small message has come back when it is given to the node: one that dies before it writes it down leaves
    // it nowhere else.
    let unseen = counts.delivered - seen;
    assert!(
        unseen <= counts.lost + receiver_deaths,
        "{name}: {unseen} of {counts:?} were not seen, and {receiver_deaths} processes died"
    );
    if receiver_deaths == 0 {
        assert_eq!(
            (unseen, counts.lost),
            (0, 0),
            "{name}: nobody died: {counts:?}"
        );
    }
    let mut unread = 0;
    if edge.policy == QueuePolicy::Block {
        assert_eq!(
            (counts.dropped_full, counts.dropped_memory),
            (0, 0),
            "{name} blocks: {counts:?}"
        );
        if receiver_deaths == 0 {
            unread = counts.dropped_receiver_closed;
        }
    }
    if sender_deaths == 0 {
        let output = port(edge.output.as_str());
        let (mut least, mut most) = (0, 0);
        for fact in sender {
            if let Fact::Sent {
                output: of,
                count,
                and_one_partly,
            } = fact
                && *of == output
            {
                least += count;
                most += count + u64::from(*and_one_partly);
            }
        }
        assert!(
            (least..=most).contains(&counts.sent),
            "{name}: its sender counted {least}, or {most}: {counts:?}"
        );
    }
    Accounts {
        edges: 1,
        sent: counts.sent,
        consumed: seen,
        dropped: counts.dropped(),
        unread,
        lost: counts.lost,
        released: counts.released,
        unwritten: unseen.saturating_sub(counts.lost),
        ..Accounts::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Stamp;

    fn message(sequence: u64, epoch: u32, number: u64) -> Consumed {
        Consumed {
            input: 0,
            sequence,
            stamp: Some(Stamp {
                sender: tag("a/o0"),
                epoch,
                number,
            }),
        }
    }

    fn check(messages: &[Consumed]) -> u64 {
        check_order("a/o0 → b/i0", tag("a/o0"), messages.iter().copied())
    }

    #[test]
    fn gaps_and_new_incarnations_are_in_order() {
        assert_eq!(check(&[]), 0);
        let messages = [
            message(1, 1, 1),
            message(4, 1, 4),
            message(6, 3, 1),
            message(7, 3, 2),
        ];
        assert_eq!(check(&messages), 4);
    }

    #[test]
    #[should_panic(expected = "message 4 comes after 4")]
    fn a_double_is_found() {
        check(&[message(4, 1, 4), message(4, 1, 4)]);
    }

    #[test]
    #[should_panic(expected = "message 3 comes after 4")]
    fn another_order_is_found() {
        check(&[message(4, 1, 4), message(3, 1, 3)]);
    }

    #[test]
    #[should_panic(expected = "number 3 of incarnation 1")]
    fn a_message_of_another_number_is_found() {
        check(&[message(3, 1, 3), message(4, 1, 3)]);
    }

    #[test]
    #[should_panic(expected = "comes after 4 of 2")]
    fn an_older_incarnation_after_a_newer_is_found() {
        check(&[message(4, 2, 1), message(5, 1, 5)]);
    }

    #[test]
    #[should_panic(expected = "is damaged")]
    fn a_damaged_message_is_found() {
        check(&[Consumed {
            stamp: None,
            ..message(1, 1, 1)
        }]);
    }
}
