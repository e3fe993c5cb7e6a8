//! What subscribers cost others: nothing that they feel; and what statistics cost while there are none and nothing happens.

use std::time::{Duration, Instant};

use dataflow_tests::{Lateness, Project, pulse_node};
use dataflow_wire::client::ClientRequest;

use crate::subscriber::Subscriber;

/// How many there are.
const SUBSCRIBERS: usize = 50;
/// How often each of them is told how it stands.
const OFTEN: Duration = Duration::from_millis(100);
/// How often each of them is to be told before the test ends.
const UPDATES: usize = 30;
/// What 99 of 100 messages, and answers of the runtime, should keep to.
const GOAL: Duration = Duration::from_secs(1);
/// What is asserted: other people's machines are busy.
const LIMIT: Duration = Duration::from_secs(10);

/// How long the runtime is watched at rest.
const REST: Duration = Duration::from_secs(8);
/// The part of a processor that it may take then: the goal is 0.001.
const REST_GOAL: f64 = 0.001;

#[test]
fn fifty_who_look_delay_no_message_and_no_answer() {
    let project = Project::new("fifty");
    project.flow(&format!(
        "
nodes:
  - id: pulse
    path: {node}
    args: [send, every_ms=10]
    outputs: [out]
  - id: feel
    path: {node}
    args: [feel]
    inputs: {{ in: {{ source: pulse/out, queue_size: 16384 }} }}
",
        node = pulse_node().display()
    ));
    let mut up = project.up();
    project.wait_until("messages flow", |status| {
        status.edges[0].counts.delivered > 0
    });
    let subscribers: Vec<Subscriber> = (0..SUBSCRIBERS)
        .map(|_| Subscriber::of(&project, OFTEN))
        .collect();
    let mut talk = project.talk(&mut up).expect("it runs");
    let mut answers = Lateness::default();
    let began = Instant::now();
    while subscribers
        .iter()
        .any(|subscriber| subscriber.updates() < UPDATES)
    {
        let asked = Instant::now();
        talk.ask(&ClientRequest::Status).expect("it runs");
        answers.add_ns(asked.elapsed().as_nanos() as u64);
        assert!(
            began.elapsed() < Duration::from_secs(120),
            "they are not told"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    let took = began.elapsed();
    project.down().expect_code(0);
    up.wait().expect_code(0);
    let mut updates = 0;
    for subscriber in subscribers {
        let (last, told) = subscriber.end();
        updates += told;
        assert_eq!(last.total.restarts.get(), 0);
    }
    let messages = Lateness::read(&project.records(), "feel").expect("it has written them");
    println!("{SUBSCRIBERS} subscribers, {updates} updates in {took:?}; goal: p99 under {GOAL:?}");
    println!("  answers of the runtime: {answers}");
    println!("  messages: {messages}");
    assert!(answers.percentile(99.0) < LIMIT && messages.percentile(99.0) < LIMIT);
    assert!(messages.count() > 100);
}

/// For how long the threads of a process have had a processor.
fn processor_time(pid: u32) -> Duration {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("the process lives");
    let time_ns = |task: std::io::Result<std::fs::DirEntry>| {
        let schedule = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        schedule.split_whitespace().next()?.parse::<u64>().ok()
    };
    Duration::from_nanos(tasks.filter_map(time_ns).sum())
}

#[test]
fn a_dataflow_at_rest_takes_almost_no_time_of_a_processor() {
    let project = Project::new("statistics-rest");
    let readers: String = (0..20)
        .map(|place| {
            format!(
                "
  - id: reader{place}
    path: RUST_NODE
    args: [receive]
    inputs: {{ in: source/out }}"
            )
        })
        .collect();
    project.flow(&format!(
        "
nodes:
  - id: source
    path: RUST_NODE
    args: [send, count=1, then=wait]
    outputs: [out]{readers}
"
    ));
    let up = project.up();
    let status = project.wait_until("everything has been read", |status| {
        let mut edges = status.edges.iter();
        edges.all(|edge| edge.counts.released == 1)
    });
    let before = processor_time(status.pid);
    std::thread::sleep(REST);
    let took = processor_time(status.pid) - before;
    let part = took.as_secs_f64() / REST.as_secs_f64();
    println!(
        "at rest, 21 nodes and 20 edges: {:.4} % of a processor (debug build); goal {} %",
        part * 100.0,
        REST_GOAL * 100.0
    );
    project.down().expect_code(0);
    up.wait().expect_code(0);
    assert!(part < REST_GOAL * 10.0, "{part}");
}
