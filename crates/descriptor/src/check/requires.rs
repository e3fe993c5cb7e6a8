//! `requires`: what a node asks of its machine.

use std::collections::BTreeMap;

use super::fields::Schema;
use super::{Checker, Report};
use crate::limits::REQUIRED_MEMORY_GB_MAX;
use crate::yaml::{Kind, Value, shortened};
use crate::{Code, Requirement};

const SCHEMA: Schema = Schema {
    known: &["memory_gb", "gpu", "labels"],
    reserved: &[],
    foreign: &[
        ("memory", "write `memory_gb`, a number"),
        ("memory_mb", "write `memory_gb`, such as `0.5`"),
        ("gpus", "write `gpu: true`"),
    ],
};

const GB_BYTES: f64 = 1024.0 * 1024.0 * 1024.0;

impl Checker<'_> {
    /// A node's requirement; what is wrong in it keeps its default.
    pub(crate) fn requires(&mut self, value: &Value, owner: &str) -> Requirement {
        let what = format!("`requires` of {owner}");
        let mut requirement = Requirement::default();
        let Some(entries) = self.entries(
            value,
            &what,
            "write `requires: { memory_gb: 8, gpu: true, labels: { room: lab } }`",
        ) else {
            return requirement;
        };
        let fields = self.fields(entries, &what, value.place, &SCHEMA);
        if let Some(value) = fields.get("memory_gb") {
            let remedy = "a node that needs no memory of its own leaves it out";
            requirement.memory_bytes = self
                .memory_gb(value, &what, REQUIRED_MEMORY_GB_MAX, remedy)
                .unwrap_or_default();
        }
        if let Some(gpu) = fields
            .get("gpu")
            .and_then(|value| self.truth(value, &format!("`gpu` of {what}")))
        {
            requirement.gpu = gpu;
        }
        if let Some(value) = fields.get("labels") {
            requirement.labels = self.labels(value, &what);
        }
        requirement
    }

    /// Gigabytes of memory, in bytes: above 0 and at most `most_gb`. `remedy` says what else one may do.
    pub(crate) fn memory_gb(
        &mut self,
        value: &Value,
        owner: &str,
        most_gb: u64,
        remedy: &str,
    ) -> Option<u64> {
        let what = format!("`memory_gb` of {owner}");
        let gb = match value.kind {
            Kind::Integer(number) => number as f64,
            Kind::Number(number) => number,
            _ => {
                let help = value
                    .as_text()
                    .filter(|text| text.parse::<f64>().is_ok())
                    .map(|text| format!("write it without quotes: {text}"));
                self.wrong_type(value, &what, "a number", help);
                return None;
            }
        };
        if gb > 0.0 && gb <= most_gb as f64 {
            return Some((gb * GB_BYTES).ceil() as u64);
        }
        self.report(
            Report::error(
                Code::NumberOutOfRange,
                value.place,
                format!(
                    "{what} cannot be {}",
                    value.scalar_text().unwrap_or_default()
                ),
            )
            .help(format!("it is above 0 and at most {most_gb}; {remedy}")),
        );
        None
    }

    fn labels(&mut self, value: &Value, owner: &str) -> BTreeMap<String, String> {
        let what = format!("`labels` of {owner}");
        let mut labels: BTreeMap<String, (String, &Value)> = BTreeMap::new();
        let Some(entries) = self.entries(value, &what, "write `labels: { room: lab }`") else {
            return BTreeMap::new();
        };
        for (key, value) in entries {
            let Some(name) = self.key_text(key, &what) else {
                continue;
            };
            let value_of = format!("the label `{}`", shortened(name));
            let Some(text) = self.scalar(value, &value_of, "for an empty label write \"\"") else {
                continue;
            };
            if let Some((first_text, first)) = labels.get(name) {
                if *first_text == text {
                    let first = *first;
                    self.duplicate_key(first, key, name, &what);
                } else {
                    let message = format!(
                        "{value_of} is required to be `{}` and `{}`, and no machine has both",
                        shortened(first_text),
                        shortened(&text)
                    );
                    let first_place = first.used_at;
                    self.report(
                        Report::error(Code::ContradictoryRequirements, key.used_at, message)
                            .related(first_place, "the first is here")
                            .help("remove one of the two"),
                    );
                }
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
