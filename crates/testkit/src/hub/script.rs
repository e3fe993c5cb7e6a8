//! Which answers go wrong: the faults that a test has asked for, and how often each place was asked.

use std::collections::BTreeMap;

use super::fault::{Attempts, Fault, Place};
use super::record::Stage;

/// What shall go wrong.
#[derive(Debug, Default)]
pub(super) struct Script {
    rules: Vec<(Place, Attempts, Fault)>,
    asked: BTreeMap<Place, u32>,
}

impl Script {
    /// One thing more goes wrong.
    pub(super) fn add(&mut self, place: Place, attempts: Attempts, fault: Fault) {
        self.rules.push((place, attempts, fault));
    }

    /// Nothing goes wrong any more, and counting begins anew.
    pub(super) fn clear(&mut self) {
        *self = Script::default();
    }

    /// A request comes: what goes wrong with it, in the order in which it was asked for.
    pub(super) fn next(&mut self, stage: Stage, file: Option<&str>, method: &str) -> Vec<Fault> {
        if stage == Stage::Content && method != "GET" {
            return Vec::new();
        }
        let mut places = vec![Place::Stage(stage), Place::Anywhere];
        places.extend(file.map(|file| Place::File(stage, file.to_owned())));
        for place in &places {
            *self.asked.entry(place.clone()).or_default() += 1;
        }
        let is_meant = |place: &Place, attempts: &Attempts| {
            places.contains(place) && attempts.contains(self.asked[place])
        };
        self.rules
            .iter()
            .filter(|(place, attempts, _)| is_meant(place, attempts))
            .map(|(_, _, fault)| fault.clone())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_for_the_attempts_that_it_names() {
        let mut script = Script::default();
        script.add("a".into(), 2.into(), Fault::Mute);
        script.add("a".into(), (3..).into(), Fault::Gzip);
        script.add(Stage::Content.into(), (..).into(), Fault::IgnoredRange);
        script.add(Place::Anywhere, (1..=1).into(), Fault::NoHttp);
        let mut transfer = |file| script.next(Stage::Content, Some(file), "GET");
        assert_eq!(transfer("b"), [Fault::IgnoredRange, Fault::NoHttp]);
        assert_eq!(transfer("a"), [Fault::IgnoredRange]);
        assert_eq!(transfer("a"), [Fault::Mute, Fault::IgnoredRange]);
        assert_eq!(transfer("a"), [Fault::Gzip, Fault::IgnoredRange]);
        assert_eq!(transfer("a"), [Fault::Gzip, Fault::IgnoredRange]);
        assert_eq!(script.next(Stage::Content, Some("a"), "HEAD"), []);
        assert_eq!(script.next(Stage::Resolve, Some("a"), "HEAD"), []);
    }
}
