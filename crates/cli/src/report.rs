//! How a run ended, as people read it.

use dataflow_ids::{DropReason, End, QueuePolicy, span};
use dataflow_wire::status::{EdgeStatus, NodeReport, Outcome, Report};

use crate::error::Exit;
use crate::text::{self, counted};

/// The exit code of a run that ended like this.
pub(crate) fn exit(report: &Report) -> Exit {
    match report.outcome {
        Outcome::Drained => Exit::Done,
        Outcome::Failed => Exit::Failed,
        Outcome::Forced => Exit::Forced,
    }
}

/// The summary: how and why it ended, what was not consumed, who was killed.
pub(crate) fn lines(report: &Report) -> Vec<String> {
    let mut lines = Vec::new();
    let stop = match report.stop_took {
        Some(took) => format!("; the stop took {}", span::plain(took)),
        None => String::new(),
    };
    lines.push(format!(
        "{} ended after {}: {}{stop}",
        report.name,
        span::plain(report.up_for),
        report.because
    ));
    let unconsumed: Vec<String> = report.edges.iter().filter_map(unconsumed).collect();
    let damaged: Vec<String> = report.edges.iter().filter_map(damaged).collect();
    let sent: u64 = report.edges.iter().map(|edge| edge.counts.sent).sum();
    let end = match report.outcome {
        Outcome::Drained => "drained".to_owned(),
        Outcome::Failed => "failed".to_owned(),
        Outcome::Forced => match report.forced {
            Some(forcer) => format!("forced by {forcer}"),
            None => "forced".to_owned(),
        },
    };
    let consumed = match (sent, unconsumed.is_empty()) {
        _ if !damaged.is_empty() && unconsumed.is_empty() => {
            "what was sent on the damaged edges cannot be told".to_owned()
        }
        (0, true) => "no message was sent".to_owned(),
        (_, true) => format!(
            "everything that was sent was consumed ({} on {})",
            counted(sent, "message"),
            counted(report.edges.len() as u64, "edge")
        ),
        (_, false) => "these messages were sent and not consumed:".to_owned(),
    };
    lines.push(format!("{end}: {consumed}"));
    lines.extend(unconsumed.into_iter().map(|line| format!("  {line}")));
    lines.extend(damaged);
    lines.extend((report.nodes.iter()).filter_map(|node| text::log_losses(&node.node, &node.log)));
    let forced: Vec<&str> = report
        .nodes
        .iter()
        .filter(|node| matches!(node.end, End::Forced { .. }))
        .map(|node| node.node.as_str())
        .collect();
    if !forced.is_empty() {
        lines.push(format!("killed: {}", forced.join(", ")));
    }
    lines
}

/// Each node that failed: what happened, with its last lines, and where to read more.
pub(crate) fn failures(report: &Report) -> Vec<(String, String)> {
    let failure = |node: &NodeReport| {
        let End::Crashed { how } = &node.end else {
            return None;
        };
        let mut what = format!("node `{}` failed: {how}", node.node);
        if node.restarts > 0 {
            what += &format!(", after {}", counted(node.restarts.into(), "restart"));
        }
        for line in &node.last_lines {
            what += &format!("\n  | {line}");
        }
        let help = format!(
            "`dataflow logs {} {}` shows everything it said",
            report.name, node.node
        );
        Some((what, help))
    };
    report.nodes.iter().filter_map(failure).collect()
}

/// An edge that a faulty process has written into, with what was found; its counts stand in no other line.
fn damaged(edge: &EdgeStatus) -> Option<String> {
    let what = edge.damage.as_ref()?;
    Some(format!(
        "damaged: {}/{} → {}/{}: {what}",
        edge.source, edge.output, edge.target, edge.input
    ))
}

/// What was sent on an edge and not consumed, by count and cause; `None` when there is nothing to say.
fn unconsumed(edge: &EdgeStatus) -> Option<String> {
    if edge.damage.is_some() {
        return None;
    }
    let counts = &edge.counts;
    let dropped = DropReason::ALL.map(|reason| {
        let because = match (reason, edge.policy) {
            (DropReason::Full, QueuePolicy::Latest) => "the queue keeps the latest only".to_owned(),
            (DropReason::Full, _) => format!("the queue of {} was full", edge.queue_size),
            (reason, _) => reason.because().to_owned(),
        };
        (counts.dropped_for(reason), format!("dropped ({because})"))
    });
    let left = [
        (counts.lost, "lost (the receiver died with them)".to_owned()),
        (counts.queued, "left unread".to_owned()),
        (counts.held, "still held".to_owned()),
    ];
    let said: Vec<String> = (dropped.into_iter().chain(left))
        .filter(|(count, _)| *count > 0)
        .map(|(count, cause)| format!("{} {cause}", text::count(count)))
        .collect();
    (!said.is_empty()).then(|| {
        format!(
            "{}/{} → {}/{}: {}, of {} sent",
            edge.source,
            edge.output,
            edge.target,
            edge.input,
            said.join(", "),
            text::count(counts.sent),
        )
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dataflow_ids::{DataflowName, EdgeId, Forcer, InputId, NodeId, OutputId};
    use dataflow_wire::status::{EdgeCounts, LogLosses};

    use super::*;

    fn report(outcome: Outcome, counts: EdgeCounts, end: End) -> Report {
        let node = NodeId::new("detector").unwrap();
        Report {
            name: DataflowName::new("vision").unwrap(),
            run: "vision-1".to_owned(),
            up_for: Duration::from_secs(30),
            stop_took: Some(Duration::from_millis(120)),
            outcome,
            because: "stopped by Ctrl-C".to_owned(),
            forced: (outcome == Outcome::Forced).then_some(Forcer::SecondInterrupt),
            nodes: vec![NodeReport {
                node: node.clone(),
                end,
                restarts: 0,
                last_lines: vec!["Traceback".to_owned()],
                log: LogLosses::default(),
            }],
            edges: vec![EdgeStatus {
                edge: EdgeId(0),
                source: NodeId::new("camera").unwrap(),
                output: OutputId::new("image").unwrap(),
                target: node,
                input: InputId::new("image").unwrap(),
                policy: QueuePolicy::DropOldest,
                queue_size: 4,
                blocked: false,
                closed: true,
                drained: true,
                damage: None,
                counts,
            }],
        }
    }

    #[test]
    fn a_run_that_lost_nothing_says_so() {
        let counts = EdgeCounts {
            sent: 1200,
            delivered: 1200,
            released: 1200,
            ..EdgeCounts::default()
        };
        let report = report(Outcome::Drained, counts, End::Drained);
        assert_eq!(
            lines(&report),
            [
                "vision ended after 30.0 s: stopped by Ctrl-C; the stop took 120 ms",
                "drained: everything that was sent was consumed (1,200 messages on 1 edge)",
            ]
        );
        assert_eq!(exit(&report), Exit::Done);
    }

    #[test]
    fn what_was_not_consumed_is_listed_by_name_count_and_cause() {
        let counts = EdgeCounts {
            sent: 10,
            delivered: 6,
            released: 5,
            lost: 1,
            dropped_full: 4,
            ..EdgeCounts::default()
        };
        let report = report(Outcome::Drained, counts, End::Drained);
        assert_eq!(
            lines(&report)[1..],
            [
                "drained: these messages were sent and not consumed:",
                "  camera/image → detector/image: 4 dropped (the queue of 4 was full), \
                 1 lost (the receiver died with them), of 10 sent",
            ]
        );
    }

    #[test]
    fn a_failed_node_is_named_with_its_last_lines_and_a_killed_one_with_who_did_it() {
        let how = "exit code 3".to_owned();
        let failed = report(Outcome::Failed, EdgeCounts::default(), End::Crashed { how });
        assert_eq!(exit(&failed), Exit::Failed);
        assert_eq!(
            failures(&failed),
            [(
                "node `detector` failed: exit code 3\n  | Traceback".to_owned(),
                "`dataflow logs vision detector` shows everything it said".to_owned()
            )]
        );
        let by = Forcer::SecondInterrupt;
        let forced = report(Outcome::Forced, EdgeCounts::default(), End::Forced { by });
        assert_eq!(exit(&forced), Exit::Forced);
        assert_eq!(
            lines(&forced)[1],
            "forced by a second Ctrl-C: no message was sent"
        );
        assert_eq!(lines(&forced)[2], "killed: detector");
    }
}
