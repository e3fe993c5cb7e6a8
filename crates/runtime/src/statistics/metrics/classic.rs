//! The same page in the text format that was before OpenMetrics (`text/plain; version=0.0.4`), for readers who ask for
//! that one only.

/// What a counter's and an info's samples have at the end of their names, and in this format their families too.
const SUFFIXES: [(&str, &str, &str); 2] =
    [("counter", "_total", "counter"), ("info", "_info", "gauge")];

/// A page of OpenMetrics, in the older format: the samples are the same, what is said about them is not.
pub(super) fn from_openmetrics(page: &str) -> String {
    let mut classic = String::with_capacity(page.len());
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let kind = lines.peek().and_then(|next| next.strip_prefix("# TYPE "));
            let Some(((name, said), (_, kind))) = help
                .split_once(' ')
                .zip(kind.and_then(|kind| kind.split_once(' ')))
            else {
                continue;
            };
            let changed = SUFFIXES.iter().find(|(from, ..)| *from == kind);
            let (suffix, kind) = changed.map_or(("", kind), |(_, suffix, to)| (*suffix, *to));
            lines.next();
            classic.push_str(&format!(
                "# HELP {name}{suffix} {said}\n# TYPE {name}{suffix} {kind}\n"
            ));
        } else if !line.starts_with('#') {
            classic.push_str(line);
            classic.push('\n');
        }
    }
    classic
}
