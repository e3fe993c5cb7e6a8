//! `capabilities` of a peer: what its machine has, as its owner says.

use std::collections::BTreeMap;

use crate::Code;
use crate::check::fields::Schema;
use crate::check::{Checker, Report};
use crate::diagnostic::Place;
use crate::limits::{CAPABILITY_CPUS_MAX, CAPABILITY_MEMORY_GB_MAX, LABEL_BYTES_MAX, LABELS_MAX};
use crate::peers::PeerCapabilities;
use crate::yaml::{Value, shortened};

const SCHEMA: Schema = Schema {
    known: &["memory_gb", "cpus", "gpu", "labels"],
    reserved: &[],
    foreign: &[
        ("memory", "write `memory_gb`, a number"),
        ("memory_mb", "write `memory_gb`, such as `0.5`"),
        ("ram", "write `memory_gb`, a number"),
        ("ram_gb", "write `memory_gb`, a number"),
        ("cpu", "write `cpus`, the number of logical processors"),
        ("cores", "write `cpus`, the number of logical processors"),
        ("gpus", "write `gpu: true`; nodes share it"),
        ("label", "write `labels: { room: lab }`"),
        ("tags", "write `labels: { room: lab }`"),
    ],
};

/// Where what a peer declares is written.
#[derive(Default)]
pub(super) struct CapabilityPlaces {
    pub(super) memory: Option<Place>,
    pub(super) cpus: Option<Place>,
    pub(super) gpu: Option<Place>,
}

impl Checker<'_> {
    /// What a peer declares; what is wrong in it counts as not said.
    pub(super) fn capabilities(
        &mut self,
        value: &Value,
        owner: &str,
    ) -> (PeerCapabilities, CapabilityPlaces) {
        let what = format!("`capabilities` of {owner}");
        let Some(entries) = self.entries(
            value,
            &what,
            "write `capabilities: { memory_gb: 16, cpus: 8, gpu: true, labels: { room: lab } }`",
        ) else {
            return Default::default();
        };
        let fields = self.fields(entries, &what, value.place, &SCHEMA);
        let place = |name| fields.get(name).map(|value: &Value| value.place);
        let places = CapabilityPlaces {
            memory: place("memory_gb"),
            cpus: place("cpus"),
            gpu: place("gpu"),
        };
        let capabilities = PeerCapabilities {
            memory_bytes: fields.get("memory_gb").and_then(|value| {
                let remedy = "a machine of which nothing is said leaves it out";
                self.memory_gb(value, &what, CAPABILITY_MEMORY_GB_MAX, remedy)
            }),
            cpus: fields.get("cpus").and_then(|value| {
                let range = 1..=u64::from(CAPABILITY_CPUS_MAX);
                let cpus = self.integer(value, &format!("`cpus` of {what}"), range)?;
                u32::try_from(cpus).ok()
            }),
            gpu: fields
                .get("gpu")
                .and_then(|value| self.truth(value, &format!("`gpu` of {what}"))),
            labels: fields
                .get("labels")
                .map(|value| self.labels_of_peer(value, &what))
                .unwrap_or_default(),
        };
        (capabilities, places)
    }

    fn labels_of_peer(&mut self, value: &Value, owner: &str) -> BTreeMap<String, String> {
        let what = format!("`labels` of {owner}");
        let mut labels: BTreeMap<String, (String, &Value)> = BTreeMap::new();
        let Some(entries) = self.entries(value, &what, "write `labels: { room: lab }`") else {
            return BTreeMap::new();
        };
        if let Some((first_over, _)) = entries.get(LABELS_MAX) {
            self.report(
                Report::error(
                    Code::TooManyParts,
                    first_over.used_at,
                    format!("{what} are {}", entries.len()),
                )
                .help(format!(
                    "a peer has at most {LABELS_MAX}: this is the first above"
                )),
            );
            return BTreeMap::new();
        }
        for (key, value) in entries {
            let Some(name) = self.key_text(key, &what) else {
                continue;
            };
            if let Some((_, first)) = labels.get(name) {
                self.duplicate_key(first, key, name, &what);
                continue;
            }
            let value_of = format!("the label `{}`", shortened(name));
            let Some(text) = self.scalar(value, &value_of, "for an empty label write \"\"") else {
                continue;
            };
            if name.len().max(text.len()) > LABEL_BYTES_MAX {
                self.report(
                    Report::error(
                        Code::BadText,
                        key.place,
                        format!("{value_of} or its value is too long"),
                    )
                    .help(format!("each has at most {LABEL_BYTES_MAX} bytes")),
                );
                continue;
            }
            labels.insert(name.to_owned(), (text, key));
        }
        labels
            .into_iter()
            .map(|(name, (text, _))| (name, text))
            .collect()
    }
}
