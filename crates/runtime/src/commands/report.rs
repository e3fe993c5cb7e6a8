//! How a dataflow ended, as a command is told.

use dataflow_wire::client::ClientReply;
use dataflow_wire::status::Report;

use super::say::say;
use crate::process::FramedSocket;

/// What a report may take of a reply for one node's last lines, in bytes. The whole of them is in the log.
const LAST_LINES_BYTES_MAX: usize = 4096;

/// Says how it ended; without the nodes' last lines when they are too much for a reply.
pub(crate) async fn say_report(socket: &FramedSocket, mut report: Box<Report>) {
    for node in &mut report.nodes {
        keep_last(&mut node.last_lines, LAST_LINES_BYTES_MAX);
    }
    let reply = ClientReply::Ended(report);
    if say(socket, &reply).await {
        return;
    }
    if let ClientReply::Ended(mut report) = reply {
        for node in &mut report.nodes {
            node.last_lines.clear();
        }
        say(socket, &ClientReply::Ended(report)).await;
    }
}

/// Keeps the last of these lines, as many as have room.
fn keep_last(lines: &mut Vec<String>, bytes_max: usize) {
    let mut bytes = 0;
    let kept = (lines.iter().rev())
        .take_while(|line| {
            bytes += line.len();
            bytes <= bytes_max
        })
        .count();
    lines.drain(..lines.len() - kept);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_as_far_as_there_is_room() {
        let mut lines = ["aaaa", "bb", "cc"].map(str::to_owned).to_vec();
        keep_last(&mut lines, 4);
        assert_eq!(lines, ["bb", "cc"]);
        keep_last(&mut lines, 1);
        assert!(lines.is_empty());
    }
}
