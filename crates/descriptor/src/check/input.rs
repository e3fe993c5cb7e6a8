//! `inputs` of a node: their sources and their queues.

use std::collections::BTreeMap;
use std::time::Duration;

use dataflow_ids::{InputId, NodeId, OutputId, QueuePolicy};

use super::fields::{Fields, Schema};
use super::scalar::suggested_name;
use super::{Checker, Report};
use crate::Code;
use crate::diagnostic::Place;
use crate::limits::{HELD_DEFAULT, HELD_MAX, QUEUE_SIZE_DEFAULT, QUEUE_SIZE_MAX, SPIN_MAX};
use crate::yaml::{Kind, Value, shortened};

const SCHEMA: Schema = Schema {
    known: &["source", "queue_size", "queue_policy", "max_held", "spin"],
    reserved: &[],
    foreign: &[
        ("queue", "write `queue_size`"),
        ("size", "write `queue_size`"),
        ("policy", "write `queue_policy`"),
        ("from", "write `source`"),
        ("output", "write `source: node/output`"),
    ],
};

const POLICIES: [(&str, QueuePolicy); 3] = [
    ("drop-oldest", QueuePolicy::DropOldest),
    ("latest", QueuePolicy::Latest),
    ("block", QueuePolicy::Block),
];

const FOREIGN_POLICIES: [(&str, &str); 4] = [
    ("backpressure", "write `block`: the sender waits"),
    ("lossless", "write `block`: the sender waits"),
    (
        "keep-last",
        "write `drop-oldest`, or `latest` for a queue of one",
    ),
    (
        "drop-newest",
        "what is dropped is the oldest: `drop-oldest`",
    ),
];

const SOURCE_FORM: &str =
    "a source is `node/output`, such as `camera/image`, or a timer, such as `timer/33ms`";

/// An input with holes where something was wrong.
pub(crate) struct DraftInput {
    pub(crate) id: InputId,
    /// Where its name is.
    pub(crate) place: Place,
    pub(crate) source: Option<DraftSource>,
}

/// What feeds an input, before the graph is known.
pub(crate) enum DraftSource {
    Timer(Duration),
    Output(DraftEdge),
}

/// An edge, before its source is looked up.
pub(crate) struct DraftEdge {
    pub(crate) node: (NodeId, Place),
    pub(crate) output: (OutputId, Place),
    pub(crate) queue: Queue,
}

/// How an edge queues.
#[derive(Clone, Copy)]
pub(crate) struct Queue {
    pub(crate) policy: QueuePolicy,
    pub(crate) queue_size: u32,
    pub(crate) held_max: u32,
    pub(crate) spin: Duration,
}

impl Checker<'_> {
    pub(crate) fn inputs(&mut self, value: &Value, owner: &str) -> Vec<DraftInput> {
        let what = format!("`inputs` of {owner}");
        let mut inputs: Vec<DraftInput> = Vec::new();
        let mut seen: BTreeMap<InputId, Place> = BTreeMap::new();
        if matches!(value.kind, Kind::Null) {
            return inputs;
        }
        let Some(entries) = self.entries(
            value,
            &what,
            "each input has a name: `inputs: { image: camera/image }`",
        ) else {
            return inputs;
        };
        for (key, value) in entries {
            let Some(id) = self.name(key, &format!("an input of {owner}"), InputId::new) else {
                continue;
            };
            if let Some(first) = seen.get(&id) {
                self.report(
                    Report::error(
                        Code::DuplicateInput,
                        key.used_at,
                        format!("{owner} has the input `{id}` twice"),
                    )
                    .related(*first, "the first is here")
                    .help("an input has one source; give the second another name"),
                );
                continue;
            }
            seen.insert(id.clone(), key.used_at);
            let source = self.input(value, &format!("the input `{id}` of {owner}"), key.place);
            inputs.push(DraftInput {
                id,
                place: key.place,
                source,
            });
        }
        inputs
    }

    fn input(&mut self, value: &Value, what: &str, key_place: Place) -> Option<DraftSource> {
        let fields = match &value.kind {
            Kind::Text(_) => None,
            Kind::Mapping(entries) => Some(self.fields(entries, what, key_place, &SCHEMA)),
            Kind::List(_) => {
                self.wrong_type(
                    value,
                    what,
                    "one source",
                    Some("an input has one source; make an input for each".to_owned()),
                );
                return None;
            }
            _ => {
                self.wrong_type(value, what, "a source", Some(SOURCE_FORM.to_owned()));
                return None;
            }
        };
        let source = match &fields {
            None => Some(value),
            Some(fields) => self.required(fields, "source", what, SOURCE_FORM),
        };
        let queue = match &fields {
            None => Queue {
                policy: QueuePolicy::DropOldest,
                queue_size: QUEUE_SIZE_DEFAULT,
                held_max: HELD_DEFAULT,
                spin: Duration::ZERO,
            },
            Some(fields) => self.queue(fields, what),
        };
        let source = source?;
        let Some(text) = source.as_text() else {
            self.wrong_type(
                source,
                &format!("`source` of {what}"),
                "a text",
                Some(SOURCE_FORM.to_owned()),
            );
            return None;
        };
        if let Some(period) = self.timer(text, source.place) {
            if let Some(fields) = &fields {
                self.timer_without_queue(fields);
            }
            return period.map(DraftSource::Timer);
        }
        let (node, output) = self.source_parts(text, source.place)?;
        Some(DraftSource::Output(DraftEdge {
            node,
            output,
            queue,
        }))
    }

    fn queue(&mut self, fields: &Fields<'_>, what: &str) -> Queue {
        let policy = fields.entry("queue_policy").and_then(|(key, value)| {
            let what = format!("`queue_policy` of {what}");
            Some((
                self.word(value, &what, &POLICIES, &FOREIGN_POLICIES)?,
                key.place,
            ))
        });
        let number = |checker: &mut Self, name: &str, max: u32| {
            let value = fields.get(name)?;
            let number =
                checker.integer(value, &format!("`{name}` of {what}"), 1..=u64::from(max))?;
            Some((u32::try_from(number).ok()?, value.place))
        };
        let queue_size = number(self, "queue_size", QUEUE_SIZE_MAX);
        let held_max = number(self, "max_held", HELD_MAX);
        let spin = fields.get("spin").and_then(|value| {
            self.duration(
                value,
                &format!("`spin` of {what}"),
                Duration::ZERO..=SPIN_MAX,
            )
        });
        let is_latest = matches!(policy, Some((QueuePolicy::Latest, _)));
        if let (Some((QueuePolicy::Latest, policy_place)), Some((size, size_place))) =
            (policy, queue_size)
            && size != 1
        {
            self.report(
                Report::error(
                    Code::LatestQueueSize,
                    size_place,
                    format!("`latest` keeps one message, and `queue_size` is {size}"),
                )
                .related(policy_place, "`latest` is asked for here")
                .help("remove `queue_size`, or write `queue_policy: drop-oldest`"),
            );
        }
        Queue {
            policy: policy.map_or(QueuePolicy::DropOldest, |(policy, _)| policy),
            queue_size: match queue_size {
                _ if is_latest => 1,
                Some((size, _)) => size,
                None => QUEUE_SIZE_DEFAULT,
            },
            held_max: held_max.map_or(HELD_DEFAULT, |(held, _)| held),
            spin: spin.unwrap_or(Duration::ZERO),
        }
    }

    fn timer_without_queue(&mut self, fields: &Fields<'_>) {
        for name in ["queue_size", "queue_policy", "max_held", "spin"] {
            if let Some((key, _)) = fields.entry(name) {
                self.report(
                    Report::warning(
                        Code::NoEffect,
                        key.place,
                        format!("`{name}` does nothing for a timer"),
                    )
                    .help(
                        "a timer has no queue: ticks that were missed become one, and are counted",
                    ),
                );
            }
        }
    }

    /// `node/output`, each part with its place.
    fn source_parts(
        &mut self,
        text: &str,
        place: Place,
    ) -> Option<((NodeId, Place), (OutputId, Place))> {
        let malformed = |message: String| Report::error(Code::MalformedSource, place, message);
        let shown = shortened(text);
        let Some((node, output)) = text.split_once('/') else {
            self.report(
                malformed(format!("the source `{shown}` names no output")).help(SOURCE_FORM),
            );
            return None;
        };
        if output.contains('/') {
            self.report(
                malformed(format!("the source `{shown}` has more than two parts"))
                    .help(SOURCE_FORM),
            );
            return None;
        }
        let node_length = node.chars().count();
        let node_place = self.part_of(place, text, 0, node_length);
        let output_place = self.part_of(place, text, node_length + 1, output.chars().count());
        match (NodeId::new(node), OutputId::new(output)) {
            (Ok(node), Ok(output)) => Some(((node, node_place), (output, output_place))),
            (Err(error), _) | (_, Err(error)) => {
                let help = match (suggested_name(node), suggested_name(output)) {
                    (Some(node), Some(output)) if !text.contains(' ') => {
                        format!("{SOURCE_FORM}; perhaps `{node}/{output}`")
                    }
                    _ => SOURCE_FORM.to_owned(),
                };
                self.report(
                    malformed(format!("the source `{shown}` cannot be read: {error}")).help(help),
                );
                None
            }
        }
    }

    /// The place of a part of a scalar, when the scalar stands in the file as it is; else the scalar's place.
    fn part_of(&self, place: Place, text: &str, from: usize, length: usize) -> Place {
        self.source.part(place, text, from, length).unwrap_or(place)
    }
}
