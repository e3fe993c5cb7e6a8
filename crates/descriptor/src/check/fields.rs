//! The keys of a mapping: unknown ones, reserved ones, missing ones, and those that stand twice.

use super::{Checker, Report};
use crate::Code;
use crate::diagnostic::Place;
use crate::nearest::nearest;
use crate::yaml::{Kind, Value, shortened};

/// Which keys a mapping takes.
pub(crate) struct Schema {
    /// Keys that mean something.
    pub(crate) known: &'static [&'static str],
    /// Keys whose rooms are not in this build.
    pub(crate) reserved: &'static [&'static str],
    /// Keys that people bring from elsewhere, each with what to write here instead.
    pub(crate) foreign: &'static [(&'static str, &'static str)],
}

/// The known keys of one mapping, each once.
pub(crate) struct Fields<'v> {
    entries: Vec<(&'v str, &'v Value, &'v Value)>,
    reserved_seen: bool,
    place: Place,
}

impl<'v> Fields<'v> {
    /// The value of a key.
    pub(crate) fn get(&self, name: &str) -> Option<&'v Value> {
        self.entry(name).map(|(_, value)| value)
    }

    /// A key and its value.
    pub(crate) fn entry(&self, name: &str) -> Option<(&'v Value, &'v Value)> {
        self.entries
            .iter()
            .find(|(known, _, _)| *known == name)
            .map(|(_, key, value)| (*key, *value))
    }

    /// Whether the mapping has a key whose room is not in this build.
    pub(crate) fn has_reserved(&self) -> bool {
        self.reserved_seen
    }
}

impl Checker<'_> {
    /// The entries of a mapping; anything else is reported. `what` names it: ``the node `camera` ``.
    pub(crate) fn entries<'v>(
        &mut self,
        value: &'v Value,
        what: &str,
        help: &str,
    ) -> Option<&'v [(Value, Value)]> {
        match &value.kind {
            Kind::Mapping(entries) => Some(entries),
            _ => {
                self.wrong_type(value, what, "a mapping", Some(help.to_owned()));
                None
            }
        }
    }

    /// Sorts a mapping's keys. `what` names its owner.
    pub(crate) fn fields<'v>(
        &mut self,
        entries: &'v [(Value, Value)],
        what: &str,
        place: Place,
        schema: &Schema,
    ) -> Fields<'v> {
        let mut fields = Fields {
            entries: Vec::new(),
            reserved_seen: false,
            place,
        };
        for (key, value) in entries {
            let Some(name) = self.key_text(key, what) else {
                continue;
            };
            if schema.reserved.contains(&name) {
                fields.reserved_seen = true;
                self.report(
                    Report::error(
                        Code::NotInThisBuild,
                        key.place,
                        format!("`{name}` is not in this build"),
                    )
                    .help(
                        "it is refused rather than ignored: remove it, or use a build that has it",
                    ),
                );
            } else if !schema.known.contains(&name) {
                self.unknown_key(key, name, what, schema);
            } else if let Some((first, _)) = fields.entry(name) {
                self.duplicate_key(first, key, name, what);
            } else {
                fields.entries.push((name, key, value));
            }
        }
        fields
    }

    /// The text of a key; anything else is reported.
    pub(crate) fn key_text<'v>(&mut self, key: &'v Value, what: &str) -> Option<&'v str> {
        let name = key.as_text();
        if name.is_none() {
            let help = key
                .scalar_text()
                .map(|text| format!("write it in quotes: \"{text}\""));
            self.wrong_type(key, &format!("a key of {what}"), "a text", help);
        }
        name
    }

    pub(crate) fn duplicate_key(&mut self, first: &Value, second: &Value, name: &str, what: &str) {
        self.report(
            Report::error(
                Code::DuplicateKey,
                second.used_at,
                format!("{what} has the key `{}` twice", shortened(name)),
            )
            .related(first.used_at, "the first is here")
            .help("remove one of the two"),
        );
    }

    fn unknown_key(&mut self, key: &Value, name: &str, what: &str, schema: &Schema) {
        let help = if let Some((_, help)) = schema.foreign.iter().find(|(known, _)| *known == name)
        {
            (*help).to_owned()
        } else if let Some(near) = nearest(name, schema.known.iter().copied()) {
            format!("did you mean `{near}`?")
        } else {
            format!("its keys are {}", list(schema.known))
        };
        self.report(
            Report::error(
                Code::UnknownKey,
                key.place,
                format!("{what} has no key `{}`", shortened(name)),
            )
            .help(help),
        );
    }

    /// The value of a key that must be there.
    pub(crate) fn required<'v>(
        &mut self,
        fields: &Fields<'v>,
        name: &str,
        what: &str,
        help: &str,
    ) -> Option<&'v Value> {
        let value = fields.get(name);
        if value.is_none() {
            self.report(
                Report::error(
                    Code::MissingKey,
                    fields.place,
                    format!("{what} has no `{name}`"),
                )
                .help(help),
            );
        }
        value
    }
}

/// ``"`a`, `b` and `c`"``.
pub(crate) fn list<T: AsRef<str>>(words: &[T]) -> String {
    let quoted: Vec<String> = words
        .iter()
        .map(|word| format!("`{}`", word.as_ref()))
        .collect();
    match quoted.split_last() {
        None => "none".to_owned(),
        Some((only, [])) => only.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    }
}
