//! `dataflow ps`: how the nodes and edges of what runs stand.

use std::io::{Write, stdout};
use std::path::Path;

use dataflow_ids::QueuePolicy;
use dataflow_runtime::client::{Client, ClientError};
use dataflow_runtime::registry::FoundRun;
use dataflow_wire::client::{ClientReply, ClientRequest};
use dataflow_wire::status::{DataflowStatus, EdgeStatus, NodeStatus};

use crate::arguments::PsArguments;
use crate::error::{CliError, Exit};
use crate::style::Style;
use crate::text::{self, Side, count};
use crate::{json, running};

/// Runs the command.
///
/// # Errors
///
/// [`CliError`] when the dataflow that was named does not run, or a runtime does not answer as it should.
pub(crate) fn run(arguments: &PsArguments) -> Result<Exit, CliError> {
    let which = arguments.dataflow.as_deref();
    let mut statuses = Vec::new();
    for found in running::all(which)? {
        match status(&found) {
            Ok(status) => statuses.push(*status),
            // It has ended between the look and the question.
            Err(ClientError::Unreachable { .. } | ClientError::Ended) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if statuses.is_empty() && which.is_some() {
        return Err(running::none(which)?);
    }
    let here = running::here()?;
    let mut out = stdout();
    // Nobody is left to hear that standard output has gone.
    let _ = if arguments.json {
        writeln!(out, "{:#}", json::plain(&statuses))
    } else if statuses.is_empty() {
        writeln!(out, "no dataflow runs in {} or below", here.display())
    } else {
        let style = Style::of(&out);
        let texts: Vec<String> = statuses
            .iter()
            .map(|status| lines(status, &here, style).join("\n"))
            .collect();
        writeln!(out, "{}", texts.join("\n\n"))
    };
    Ok(Exit::Done)
}

fn status(found: &FoundRun) -> Result<Box<DataflowStatus>, ClientError> {
    match Client::connect(found)?.request(&ClientRequest::Status)? {
        ClientReply::Status(status) => Ok(status),
        _ => Err(ClientError::Unexpected),
    }
}

/// A dataflow: a heading, its nodes, its edges, and whom a stop waits for.
fn lines(status: &DataflowStatus, here: &Path, style: Style) -> Vec<String> {
    let file = status.file.strip_prefix(here).unwrap_or(&status.file);
    let mut lines = vec![format!(
        "{} {} for {} (pid {}, run {}, {})",
        style.strong(status.name.as_str()),
        status.phase,
        text::duration(status.up_for),
        status.pid,
        status.run,
        file.display()
    )];
    lines.push(String::new());
    lines.extend(heading_and_rows(nodes(&status.nodes), style));
    if !status.edges.is_empty() {
        lines.push(String::new());
        lines.extend(heading_and_rows(edges(&status.edges), style));
    }
    if !status.waiting.is_empty() {
        lines.push(String::new());
        lines.extend(status.waiting.iter().map(ToString::to_string));
    }
    lines
}

fn heading_and_rows(mut lines: Vec<String>, style: Style) -> Vec<String> {
    if let Some(heading) = lines.first_mut() {
        *heading = style.faint(heading);
    }
    lines
}

fn nodes(nodes: &[NodeStatus]) -> Vec<String> {
    use Side::{Left, Right};
    let heading = [
        "NODE", "STATE", "FOR", "PID", "RESTARTS", "SENT", "RECEIVED", "BECAUSE",
    ];
    let sides = [Left, Left, Right, Right, Right, Right, Right, Left];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for node in nodes {
        let because = match (&node.because, &node.end) {
            (Some(because), _) => because.clone(),
            (None, Some(end)) => end.to_string(),
            (None, None) => String::new(),
        };
        rows.push(vec![
            node.node.to_string(),
            node.state.to_string(),
            text::duration(node.state_for),
            node.pid.map_or("–".to_owned(), |pid| pid.to_string()),
            node.restarts.to_string(),
            count(node.sent),
            count(node.delivered),
            because,
        ]);
    }
    text::table(&sides, &rows)
}

fn edges(edges: &[EdgeStatus]) -> Vec<String> {
    use Side::{Left, Right};
    let heading = [
        "EDGE",
        "QUEUE",
        "SENT",
        "DELIVERED",
        "DROPPED",
        "LOST",
        "QUEUED",
        "HELD",
        "",
    ];
    let sides = [Left, Left, Right, Right, Right, Right, Right, Right, Left];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for edge in edges {
        let queue = match edge.policy {
            QueuePolicy::Latest => edge.policy.to_string(),
            policy => format!("{policy} {}", edge.queue_size),
        };
        let standing = match (edge.drained, edge.closed, edge.blocked) {
            (true, _, _) => "drained",
            (_, true, _) => "closed",
            (_, _, true) => "sender waits",
            _ => "",
        };
        let counts = &edge.counts;
        rows.push(vec![
            format!(
                "{}/{} → {}/{}",
                edge.source, edge.output, edge.target, edge.input
            ),
            queue,
            count(counts.sent),
            count(counts.delivered),
            count(counts.dropped()),
            count(counts.lost),
            count(counts.queued),
            count(counts.held),
            standing.to_owned(),
        ]);
    }
    text::table(&sides, &rows)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dataflow_ids::{DataflowName, EdgeId, Epoch, InputId, LifeCycle, NodeId, OutputId};
    use dataflow_wire::status::{EdgeCounts, Phase, Waiting, WaitingFor};

    use super::*;

    #[test]
    fn nodes_edges_and_whom_it_waits_for_stand_in_aligned_tables() {
        let node = |id: &str| NodeId::new(id).unwrap();
        let node_status = |id: &str, state, because: Option<&str>| NodeStatus {
            node: node(id),
            state,
            state_for: Duration::from_millis(12_340),
            epoch: Epoch(1),
            pid: (id == "camera").then_some(4711),
            restarts: 0,
            sent: 1200,
            delivered: 0,
            end: None,
            because: because.map(str::to_owned),
        };
        let status = DataflowStatus {
            name: DataflowName::new("vision").unwrap(),
            run: "vision-1".to_owned(),
            file: "/project/vision.yml".into(),
            pid: 4700,
            up_for: Duration::from_secs(192),
            phase: Phase::Stopping,
            nodes: vec![
                node_status("camera", LifeCycle::Running, None),
                node_status("detector", LifeCycle::Backoff, Some("exit code 3")),
            ],
            edges: vec![EdgeStatus {
                edge: EdgeId(0),
                source: node("camera"),
                output: OutputId::new("image").unwrap(),
                target: node("detector"),
                input: InputId::new("image").unwrap(),
                policy: QueuePolicy::Block,
                queue_size: 10,
                blocked: true,
                closed: false,
                drained: false,
                counts: EdgeCounts {
                    sent: 1200,
                    delivered: 1190,
                    queued: 10,
                    ..EdgeCounts::default()
                },
            }],
            waiting: vec![Waiting {
                node: node("detector"),
                pid: None,
                busy_for: None,
                what: WaitingFor::Exit,
            }],
        };
        assert_eq!(
            lines(&status, Path::new("/project"), Style::PLAIN).join("\n"),
            "\
vision stopping for 3 m 12 s (pid 4700, run vision-1, vision.yml)

NODE      STATE       FOR   PID  RESTARTS   SENT  RECEIVED  BECAUSE
camera    running  12.3 s  4711         0  1,200         0
detector  backoff  12.3 s     –         0  1,200         0  exit code 3

EDGE                           QUEUE      SENT  DELIVERED  DROPPED  LOST  QUEUED  HELD
camera/image → detector/image  block 10  1,200      1,190        0     0      10     0  sender waits

waiting for detector: its process has not ended"
        );
    }
}
