//! Whether what a file of peers says can count for this machine.

use dataflow_descriptor::{CheckedPeers, Diagnostic, Peers, Severity};
use dataflow_ids::PeerId;

/// What counts from now on.
#[derive(Debug, Clone, PartialEq)]
pub struct AcceptedPeers {
    /// The peers; this machine is one of them.
    pub peers: Peers,
    /// What is doubtful, a line each.
    pub warnings: Vec<String>,
}

/// Judges a file that was checked, for the machine `this`.
///
/// # Errors
///
/// Everything that is wrong, as `dataflow peers check` says it, without a line end after the last.
pub fn judge_peers(checked: CheckedPeers, this: &PeerId) -> Result<AcceptedPeers, String> {
    let CheckedPeers {
        peers,
        diagnostics,
        omitted,
    } = checked;
    let Some(peers) = peers else {
        let mut reports: Vec<String> = diagnostics.iter().map(Diagnostic::to_string).collect();
        if omitted > 0 {
            reports.push(format!("and {omitted} more"));
        }
        return Err(reports.join("\n\n"));
    };
    if peers.peer(this.as_str()).is_none() {
        let file = dataflow_descriptor::harmless_text(&peers.file.to_string_lossy());
        let mut listed: Vec<&str> = peers.peers.iter().map(|peer| peer.id.as_str()).collect();
        const SHOWN_MAX: usize = 8;
        let more = listed.len().saturating_sub(SHOWN_MAX);
        listed.truncate(SHOWN_MAX);
        let more = match more {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        return Err(format!(
            "{file}: this machine, `{this}`, is not in the file; it lists {}{more}",
            listed.join(", ")
        ));
    }
    let warnings = diagnostics.iter().map(line).collect();
    Ok(AcceptedPeers { peers, warnings })
}

/// A diagnostic in one line.
fn line(diagnostic: &Diagnostic) -> String {
    let file = dataflow_descriptor::harmless_text(&diagnostic.file.to_string_lossy());
    let place = match &diagnostic.place {
        Some((place, _)) => format!("{file}:{}:{}", place.line, place.column),
        None => file,
    };
    debug_assert_eq!(diagnostic.severity, Severity::Warning);
    format!("{place}: {}", diagnostic.message)
}
