//! Diagnostics of a description, for people and for programs.

use std::io::{Write, stderr};

use dataflow_descriptor::{Checked, Diagnostic, Excerpt, Part, Place, Severity};
use serde_json::{Value, json};

use crate::style::Style;
use crate::text::counted;

/// Writes every diagnostic of a description to standard error.
pub(crate) fn say(checked: &Checked) {
    say_all(&checked.diagnostics, checked.omitted);
}

/// Writes these diagnostics to standard error, and how many there are beyond them.
pub(crate) fn say_all(diagnostics: &[Diagnostic], omitted: usize) {
    let mut err = stderr().lock();
    let text = text(diagnostics, omitted, Style::of(&err));
    // There is no other place to say that standard error has gone.
    let _ = err.write_all(text.as_bytes());
}

/// All diagnostics, with a blank line between two.
fn text(diagnostics: &[Diagnostic], omitted: usize, style: Style) -> String {
    let paint = |part: Part, text: &str| match part {
        Part::Error | Part::Mark => style.wrong(text),
        Part::Warning => style.doubtful(text),
        Part::Message | Part::Help => style.strong(text),
        Part::Related | Part::Margin => style.faint(text),
    };
    let mut reports: Vec<String> = diagnostics
        .iter()
        .map(|diagnostic| diagnostic.render(&paint) + "\n")
        .collect();
    if omitted > 0 {
        reports.push(format!(
            "and {omitted} more; they often end with the first ones\n"
        ));
    }
    reports.join("\n")
}

/// `2 errors, 1 warning`, or `no problems`.
pub(crate) fn summary(diagnostics: &[Diagnostic]) -> String {
    let mut parts = Vec::new();
    for (severity, noun) in [(Severity::Error, "error"), (Severity::Warning, "warning")] {
        let number = count(diagnostics, severity);
        if number > 0 {
            parts.push(counted(number as u64, noun));
        }
    }
    if parts.is_empty() {
        "no problems".to_owned()
    } else {
        parts.join(", ")
    }
}

/// How many are of this severity.
pub(crate) fn count(diagnostics: &[Diagnostic], severity: Severity) -> usize {
    let of_it = |diagnostic: &&Diagnostic| diagnostic.severity == severity;
    diagnostics.iter().filter(of_it).count()
}

/// All diagnostics as a JSON list.
pub(crate) fn json(diagnostics: &[Diagnostic]) -> Value {
    diagnostics.iter().map(one).collect()
}

fn one(diagnostic: &Diagnostic) -> Value {
    let mut object = json!({
        "code": diagnostic.code.to_string(),
        "severity": diagnostic.severity.as_str(),
        "message": diagnostic.message,
        "file": diagnostic.file.to_string_lossy(),
        "line": null,
        "column": null,
        "length": null,
        "source_line": null,
        "help": diagnostic.help,
        "related": diagnostic
            .related
            .iter()
            .map(|related| {
                let mut object = json!({ "label": related.label });
                put(&mut object, &related.place, &related.excerpt);
                object
            })
            .collect::<Value>(),
    });
    if let Some((place, excerpt)) = &diagnostic.place {
        put(&mut object, place, excerpt);
    }
    object
}

fn put(object: &mut Value, place: &Place, excerpt: &Excerpt) {
    object["line"] = place.line.into();
    object["column"] = place.column.into();
    object["length"] = place.length.into();
    object["source_line"] = excerpt.text.as_str().into();
}

#[cfg(test)]
mod tests {
    use dataflow_descriptor::{Environment, check_text};

    use super::*;

    fn checked() -> Checked {
        let text = "nmae: x\nnodes:\n  - { id: a, path: /bin/sh }\n  - { id: a, path: /bin/sh }\n";
        check_text(text, "flow.yml", "/", &Environment::default())
    }

    #[test]
    fn plain_text_is_what_the_descriptor_says() {
        let checked = checked();
        let expected: Vec<String> = checked
            .diagnostics
            .iter()
            .map(|diagnostic| format!("{diagnostic}\n"))
            .collect();
        assert_eq!(
            text(&checked.diagnostics, checked.omitted, Style::PLAIN),
            expected.join("\n")
        );
        assert_eq!(summary(&checked.diagnostics), "2 errors");
    }

    #[test]
    fn json_has_the_places_of_both_nodes() {
        let diagnostics = json(&checked().diagnostics);
        let duplicate = &diagnostics[1];
        assert_eq!(duplicate["code"], "DF0021");
        assert_eq!(duplicate["severity"], "error");
        assert_eq!(
            (&duplicate["line"], &duplicate["column"]),
            (&4.into(), &11.into())
        );
        assert_eq!(duplicate["source_line"], "  - { id: a, path: /bin/sh }");
        assert_eq!(duplicate["related"][0]["line"], 3);
    }

    /// Every broken file of peers in `descriptor/tests/data/peers` gives the JSON beside it.
    ///
    /// `UPDATE_EXPECT=1 cargo test -p dataflow-cli --bins` renews them.
    #[test]
    fn every_broken_file_of_peers_gives_the_json_beside_it() {
        let data = "../descriptor/tests/data/peers";
        let update = std::env::var_os("UPDATE_EXPECT").is_some_and(|value| value == "1");
        let mut files: Vec<_> = std::fs::read_dir(data)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|it| it == "yaml"))
            .collect();
        files.sort();
        assert!(files.len() >= 30, "{files:?}");
        for path in files {
            let text = std::fs::read_to_string(&path).unwrap();
            // The name without the way here.
            let name = path.file_name().unwrap();
            let checked = dataflow_descriptor::check_peers_text(&text, name);
            let found = format!("{:#}\n", json(&checked.diagnostics));
            let beside = path.with_extension("json");
            if update {
                std::fs::write(&beside, &found).unwrap();
            }
            let expected = std::fs::read_to_string(&beside).unwrap_or_default();
            assert_eq!(expected, found, "{}: UPDATE_EXPECT=1", path.display());
        }
    }
}
