//! The largest replies that there are: whatever can be sent can be read. Rows of small numbers and short names are what a
//! reader counts as the most for each byte.

use std::time::Duration;

use dataflow_core::Time;
use dataflow_core::stats::{Book, EdgeFacts, EdgeSpec};
use dataflow_ids::stats::{ActorRow, Counter, EdgeKey, Keeper, NodeKey, Statistics};
use dataflow_ids::{EdgeId, Epoch, LifeCycle, NodeId, NodeIndex, QueuePolicy};
use dataflow_wire::client::{ClientReply, PART_BYTES_MAX, Parts, in_frames, in_parts};
use dataflow_wire::frame::{FRAME_BODY_BYTES_MAX, FrameReader, FrameWriter};
use dataflow_wire::status::{
    DataflowStatus, EdgeCounts, EdgeStatus, LogLosses, NodeStatus, Outcome, Phase, Report,
};

/// The largest dataflow.
const NODES: u32 = 1000;
const EDGES: u32 = 10_000;

fn nodes() -> Vec<NodeStatus> {
    let node = |node| NodeStatus {
        node: NodeId::new(format!("n{node}")).unwrap(),
        state: LifeCycle::Running,
        state_for: Duration::from_secs(1),
        epoch: Epoch(1),
        pid: Some(node + 1),
        restarts: 0,
        sent: 1,
        delivered: 1,
        end: None,
        because: None,
        waits: Vec::new(),
        log: LogLosses::default(),
    };
    (0..NODES).map(node).collect()
}

fn edges() -> Vec<EdgeStatus> {
    let edge = |edge| EdgeStatus {
        edge: EdgeId(edge),
        source: NodeId::new(format!("n{}", edge % NODES)).unwrap(),
        output: "o".parse().unwrap(),
        target: NodeId::new(format!("n{}", (edge + 1) % NODES)).unwrap(),
        input: "i".parse().unwrap(),
        policy: QueuePolicy::Block,
        queue_size: 1,
        blocked: false,
        closed: false,
        drained: false,
        damage: None,
        counts: EdgeCounts {
            sent: 1,
            ..EdgeCounts::default()
        },
    };
    (0..EDGES).map(edge).collect()
}

/// How a reply comes out at the other end of a socket.
fn over_the_wire(reply: &ClientReply) -> ClientReply {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let frames = in_frames(reply).unwrap();
    let sends = std::thread::spawn(move || {
        let mut writer = FrameWriter::new(usize::MAX);
        for frame in frames {
            writer.enqueue_encoded(frame).unwrap();
        }
        writer.flush(&ours).unwrap();
    });
    let (mut reader, mut parts) = (FrameReader::new(), Parts::default());
    let reply = loop {
        if let Some((reply, _)) = reader.next::<ClientReply>().unwrap() {
            if let Some(reply) = parts.take(reply).unwrap() {
                break reply;
            }
        } else {
            reader.receive(&theirs).unwrap();
        }
    };
    sends.join().unwrap();
    reply
}

#[test]
fn the_status_of_the_largest_dataflow_is_read_whatever_its_names_are() {
    let status = ClientReply::Status(Box::new(DataflowStatus {
        name: "f".parse().unwrap(),
        run: "f".into(),
        file: "/f".into(),
        pid: 1,
        up_for: Duration::from_secs(1),
        phase: Phase::Running,
        nodes: nodes(),
        edges: edges(),
        models: Vec::new(),
        waiting: Vec::new(),
    }));
    let frames = in_frames(&status).unwrap();
    assert_eq!(frames.len(), 1);
    assert!(
        frames[0].bytes() > FRAME_BODY_BYTES_MAX / 4,
        "it is no large one"
    );
    assert!(over_the_wire(&status) == status);
}

#[test]
fn the_report_of_the_largest_dataflow_is_read_whatever_its_names_are() {
    let report = ClientReply::Ended(Box::new(Report {
        name: "f".parse().unwrap(),
        run: "f".into(),
        up_for: Duration::from_secs(1),
        stop_took: None,
        outcome: Outcome::Drained,
        because: String::new(),
        forced: None,
        nodes: Vec::new(),
        edges: edges(),
    }));
    assert!(over_the_wire(&report) == report);
}

/// So many nodes and as many edges, all of which have sent a little.
fn statistics(count: u32) -> Statistics {
    let mut book = Book::new(Keeper(1), 8);
    let at = Time(Duration::from_secs(1));
    let run = book.add_dataflow(
        at,
        "h".parse().unwrap(),
        "f".to_owned(),
        "f".parse().unwrap(),
    );
    let key = NodeKey {
        run,
        node: NodeIndex(0),
    };
    book.add_node(at, key, &"n".parse().unwrap()).unwrap();
    let key = EdgeKey {
        run,
        edge: EdgeId(0),
    };
    let spec = EdgeSpec {
        key,
        source: NodeIndex(0),
        output: "o".parse().unwrap(),
        target: NodeIndex(0),
        input: "i".parse().unwrap(),
        policy: QueuePolicy::Block,
        queue_size: 1,
    };
    book.add_edge(spec).unwrap();
    let mut facts = EdgeFacts::default();
    facts.counters.sent = Counter::new(1);
    for histogram in [
        &mut facts.histograms.latency,
        &mut facts.histograms.queue_wait,
        &mut facts.histograms.handling,
    ] {
        histogram.buckets[12..20].fill(100);
    }
    book.edge_read(key, &facts).unwrap();
    let mut statistics = book.publish(at).statistics();
    let (node, edge) = (statistics.nodes[0].clone(), statistics.edges[0].clone());
    statistics.nodes = (0..count)
        .map(|index| {
            let mut node = node.clone();
            node.key.node = NodeIndex(index);
            node
        })
        .collect();
    statistics.edges = (0..count)
        .map(|index| {
            let mut edge = edge.clone();
            edge.key.edge = EdgeId(index);
            edge
        })
        .collect();
    statistics
}

#[test]
fn the_statistics_of_an_agent_with_as_many_nodes_and_edges_as_a_dozen_dataflows_are_read() {
    let whole = ClientReply::Statistics(Box::new(statistics(130_000)));
    let mut parts = Parts::default();
    let mut count = 0;
    let mut read = None;
    for part in in_parts(&whole).unwrap() {
        count += 1;
        read = parts.take(part).unwrap();
    }
    assert!(
        count * PART_BYTES_MAX > 8 * FRAME_BODY_BYTES_MAX,
        "it is no large one: {count} parts"
    );
    assert!(read == Some(whole));
}

#[test]
fn more_rows_than_any_runtime_has_are_refused_before_they_take_memory() {
    let mut statistics = statistics(1);
    statistics.actors = vec![ActorRow::none(""); 400_001];
    let whole = ClientReply::Statistics(Box::new(statistics));
    let mut parts = Parts::default();
    let refused = in_parts(&whole)
        .unwrap()
        .find_map(|part| parts.take(part).err())
        .unwrap();
    assert!(
        refused.to_string().contains("at most 400000 rows"),
        "{refused}"
    );
}
