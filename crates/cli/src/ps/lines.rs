//! How a dataflow stands, as lines of text: a heading and tables.

use std::path::Path;

use dataflow_descriptor::harmless_text;
use dataflow_ids::{QueuePolicy, span};
use dataflow_wire::status::{DataflowStatus, EdgeStatus, ModelStatus, NodeStatus};

use super::ask::Answer;
use crate::models::view;
use crate::style::Style;
use crate::text::{self, Side, count};

impl Answer {
    pub(super) fn lines(&self, here: &Path, style: Style) -> Vec<String> {
        match self {
            Answer::Status(status) => lines(status, here, style),
            Answer::Silent { run, why } => {
                let file = run.file.strip_prefix(here).unwrap_or(&run.file);
                vec![format!(
                    "{} {} (pid {}, run {}, {}): {why}",
                    style.strong(run.name.as_str()),
                    style.wrong("does not answer"),
                    run.pid,
                    run.run,
                    file.display()
                )]
            }
        }
    }
}

/// A dataflow: a heading, its nodes, its edges, and whom a stop waits for.
fn lines(status: &DataflowStatus, here: &Path, style: Style) -> Vec<String> {
    let file = status.file.strip_prefix(here).unwrap_or(&status.file);
    let mut lines = vec![format!(
        "{} {} for {} (pid {}, run {}, {})",
        style.strong(status.name.as_str()),
        status.phase,
        span::plain(status.up_for),
        status.pid,
        status.run,
        file.display()
    )];
    lines.push(String::new());
    lines.extend(heading_and_rows(nodes(&status.nodes), style));
    lines.extend(waits(&status.nodes));
    if !status.models.is_empty() {
        lines.push(String::new());
        lines.extend(heading_and_rows(models(&status.models), style));
        lines.extend(model_details(&status.models, style));
    }
    if !status.edges.is_empty() {
        lines.push(String::new());
        lines.extend(heading_and_rows(edges(&status.edges), style));
    }
    let losses = status.nodes.iter();
    let losses: Vec<String> = losses
        .filter_map(|node| text::log_losses(&node.node, &node.log))
        .collect();
    if !losses.is_empty() {
        lines.push(String::new());
        lines.extend(losses);
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
            span::plain(node.state_for),
            node.pid.map_or("–".to_owned(), |pid| pid.to_string()),
            node.restarts.to_string(),
            count(node.sent),
            count(node.delivered),
            harmless_text(&because),
        ]);
    }
    text::table(&sides, &rows)
}

/// What each node waits for that waits for something.
fn waits(nodes: &[NodeStatus]) -> Vec<String> {
    let waits = |node: &NodeStatus| {
        let waits = node.waits_in_words()?;
        Some(harmless_text(&format!("{}: {waits}", node.node)))
    };
    let mut lines: Vec<String> = nodes.iter().filter_map(waits).collect();
    if !lines.is_empty() {
        lines.insert(0, String::new());
    }
    lines
}

fn models(models: &[ModelStatus]) -> Vec<String> {
    use Side::{Left, Right};
    let heading = [
        "MODEL",
        "STATE",
        "THERE",
        "SIZE",
        "RATE",
        "LEFT",
        "REPOSITORY",
        "COMMIT",
    ];
    let sides = [Left, Left, Right, Right, Right, Right, Left, Left];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for model in models {
        let view = &model.view;
        let none = || "–".to_owned();
        let is_known = view.files_total > 0;
        let known = |text: String| if is_known { text } else { none() };
        rows.push(vec![
            model.model.to_string(),
            view::state(view.state).to_owned(),
            known(format!(
                "{} %",
                view::percent(view.bytes_done, view.bytes_total)
            )),
            known(text::bytes(view.bytes_total)),
            view.bytes_per_second
                .map_or_else(none, |rate| format!("{}/s", text::bytes(rate))),
            view.time_left.map_or_else(none, span::rough),
            harmless_text(&format!("{}@{}", model.repo, model.revision)),
            view.commit.as_deref().map_or_else(none, view::commit),
        ]);
    }
    text::table(&sides, &rows)
}

/// What a table has no room for: the files that are transferred, what is waited for, and why one cannot be had.
fn model_details(models: &[ModelStatus], style: Style) -> Vec<String> {
    let mut lines = Vec::new();
    for model in models {
        let (name, view) = (&model.model, &model.view);
        let files = view::in_transfer(view).map(|file| {
            format!(
                "{name}: {}: {}",
                harmless_text(&file.path),
                view::of_file(file)
            )
        });
        lines.extend(files);
        if let Some(because) = &view.because {
            lines.push(format!("{name}: {}", harmless_text(because)));
        }
        if let Some(failure) = &view.failure {
            lines.push(style.wrong(&format!("{name}: {}", harmless_text(&failure.what))));
            lines.push(format!("{name}: {}", harmless_text(&failure.remedy)));
        }
    }
    if !lines.is_empty() {
        lines.insert(0, String::new());
    }
    lines
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
        let standing = match (&edge.damage, edge.drained, edge.closed, edge.blocked) {
            (Some(_), _, _, _) => "damaged",
            (_, true, _, _) => "drained",
            (_, _, true, _) => "closed",
            (_, _, _, true) => "sender waits",
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

    use dataflow_ids::{
        DataflowName, EdgeId, Epoch, InputId, LifeCycle, ModelName, NodeId, OutputId, RepoKind,
    };
    use dataflow_wire::status::{EdgeCounts, LogLosses, ModelState, Phase, Waiting, WaitingFor};
    use dataflow_wire::waits::{ModelWait, NodeWait};

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
            waits: match state {
                LifeCycle::Backoff => vec![NodeWait::Backoff {
                    starts_in: Duration::from_millis(1_250),
                }],
                _ => vec![NodeWait::Models {
                    models: vec![ModelWait {
                        model: ModelName::new("detector").unwrap(),
                        state: ModelState::Fetching,
                        bytes_done: 43,
                        bytes_total: 100,
                        because: Some("a server said \u{1b}[31mred".to_owned()),
                    }],
                }],
            },
            log: LogLosses::default(),
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
            models: vec![ModelStatus {
                model: ModelName::new("detector").unwrap(),
                repo: "acme/tiny-detector".to_owned(),
                kind: RepoKind::Model,
                revision: "main".to_owned(),
                view: view::tests::view(),
            }],
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
                damage: None,
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

camera: waiting for model detector 43 % (a server said �[31mred)
detector: in backoff, starts again in 1.2 s

MODEL     STATE     THERE    SIZE       RATE  LEFT  REPOSITORY               COMMIT
detector  fetching   42 %  1.0 GB  12.0 MB/s  48 s  acme/tiny-detector@main  0123456789ab

detector: model.safetensors: 43 %, 430.0 MB of 1.0 GB

EDGE                           QUEUE      SENT  DELIVERED  DROPPED  LOST  QUEUED  HELD
camera/image → detector/image  block 10  1,200      1,190        0     0      10     0  sender waits

waiting for detector: its process has not ended"
        );
    }
}
