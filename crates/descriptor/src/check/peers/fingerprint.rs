//! `fingerprint` of a peer: one key, or two while one takes the other's place.

use dataflow_ids::{Fingerprint, FingerprintError, PeerId};

use super::Seen;
use crate::Code;
use crate::check::{Checker, Report};
use crate::limits::FINGERPRINTS_MAX;
use crate::yaml::{Kind, Value, shortened};

impl Checker<'_> {
    /// The keys that a peer may show; what is wrong is reported and left out.
    pub(super) fn fingerprints(
        &mut self,
        value: &Value,
        owner: &str,
        id: Option<&PeerId>,
        seen: &mut Seen,
    ) -> Vec<Fingerprint> {
        let what = format!("`fingerprint` of {owner}");
        let help = match id {
            Some(id) => format!(
                "`dataflow peers id` on that machine prints it; without the key, `dataflow peers pin {id}` asks for it and \
                 records it"
            ),
            None => "`dataflow peers id` on that machine prints it".to_owned(),
        };
        let items = match &value.kind {
            Kind::List(items) => items.as_slice(),
            _ => std::slice::from_ref(value),
        };
        if items.is_empty() {
            self.report(
                Report::error(
                    Code::BadFingerprint,
                    value.place,
                    format!("{what} names no key"),
                )
                .help(help),
            );
            return Vec::new();
        }
        if let Some(first_over) = items.get(FINGERPRINTS_MAX) {
            self.report(
                Report::error(
                    Code::TooManyFingerprints,
                    first_over.used_at,
                    format!("{what} names {} keys", items.len()),
                )
                .help(format!(
                    "a peer has at most {FINGERPRINTS_MAX}: the one that it shows, and the one that takes its place"
                )),
            );
            return Vec::new();
        }
        let mut fingerprints = Vec::new();
        for item in items {
            let Some(text) = item.as_text() else {
                self.wrong_type(item, &what, "a text", Some(help.clone()));
                continue;
            };
            let fingerprint: Fingerprint = match text.parse() {
                Ok(fingerprint) => fingerprint,
                Err(error) => {
                    let help = match error {
                        FingerprintError::NoPrefix if is_digits(text) => {
                            format!("write `sha256:{text}`")
                        }
                        _ => help.clone(),
                    };
                    self.report(
                        Report::error(
                            Code::BadFingerprint,
                            item.place,
                            format!("{what} cannot be `{}`: {error}", shortened(text)),
                        )
                        .help(help),
                    );
                    continue;
                }
            };
            if let Some(first) = seen.fingerprints.get(&fingerprint) {
                self.report(
                    Report::error(
                        Code::DuplicateFingerprint,
                        item.used_at,
                        format!("{what} is in the file already"),
                    )
                    .related(*first, "the first is here")
                    .help(
                        "each machine has a key of its own: if its files were copied from another, remove its \
                         `identity.pem` and start its agent again",
                    ),
                );
                continue;
            }
            seen.fingerprints.insert(fingerprint, item.used_at);
            fingerprints.push(fingerprint);
        }
        fingerprints
    }
}

/// Whether the text is a fingerprint but for what it begins with.
fn is_digits(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
