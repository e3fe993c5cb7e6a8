//! What subscribers cost others: nothing that they feel; and what statistics cost while there are none and nothing happens.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dataflow_ids::LifeCycle;
use dataflow_tests::{Lateness, Project, pulse_node};
use dataflow_wire::client::ClientRequest;

use crate::subscriber::Subscriber;

/// How many there are.
const SUBSCRIBERS: usize = 50;
/// How often each of them is told how it stands.
const OFTEN: Duration = Duration::from_millis(100);
/// How often each of them is to be told before the test ends.
const UPDATES: usize = 30;
/// How often the runtime is asked while nobody is told anything.
const ALONE: usize = 300;
/// What 99 of 100 messages, and answers of the runtime, should keep to.
const GOAL: Duration = Duration::from_secs(1);
/// What is asserted: so many times as long as without them on the same machine a moment before, or as somebody who asked
/// nobody was late meanwhile, and this more.
const TIMES: u32 = 5;
const MORE: Duration = Duration::from_millis(300);

/// The beat of messages, and of who asks nobody.
const BEAT: Duration = Duration::from_millis(10);

/// How long the runtime is watched at rest.
const REST: Duration = Duration::from_secs(8);
/// How often it is, at most: what others do on the machine adds to what it takes, and never takes away from it.
const RESTS_MAX: usize = 5;
/// The part of a processor that it may take then.
const REST_GOAL: f64 = 0.001;
/// What is asserted: builds for tests are slower.
const REST_MAX: f64 = 0.003;
/// How often one of its threads may go on in a second, which is the same on every machine.
const TURNS_MAX: f64 = 15.0;

/// How late somebody is who has a beat and asks nobody, until it is over: what the machine does to everybody.
fn beside(is_over: &AtomicBool) -> Lateness {
    let mut lateness = Lateness::default();
    let mut due = Instant::now();
    while !is_over.load(Ordering::Acquire) {
        due += BEAT;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        lateness.add_ns(due.elapsed().as_nanos() as u64);
    }
    lateness
}

/// How late messages and answers of the runtime are while so many look, and how late is who asks nobody.
fn lateness(name: &str, subscribers: usize) -> [Lateness; 3] {
    let project = Project::new(name);
    project.flow(&format!(
        "
nodes:
  - id: pulse
    path: {node}
    args: [send, every_ms={beat_ms}]
    outputs: [out]
  - id: feel
    path: {node}
    args: [feel]
    inputs: {{ in: {{ source: pulse/out, queue_size: 16384 }} }}
",
        node = pulse_node().display(),
        beat_ms = BEAT.as_millis()
    ));
    let mut up = project.up();
    project.wait_until("messages flow", |status| {
        status.edges[0].counts.delivered > 0
    });
    let subscribers: Vec<Subscriber> = (0..subscribers)
        .map(|_| Subscriber::of(&project, OFTEN))
        .collect();
    let mut talk = project.talk(&mut up).expect("it runs");
    let mut answers = Lateness::default();
    let is_over = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&is_over);
    let nobody = std::thread::spawn(move || beside(&told));
    let began = Instant::now();
    let is_told = || {
        let mut subscribers = subscribers.iter();
        subscribers.all(|subscriber| subscriber.updates() >= UPDATES)
    };
    while !is_told() || answers.count() < ALONE {
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
    is_over.store(true, Ordering::Release);
    let nobody = nobody.join().expect("it only sleeps");
    let (looked, mut updates) = (subscribers.len(), 0);
    for subscriber in subscribers {
        let (last, told) = subscriber.end();
        updates += told;
        assert_eq!(last.total.restarts.get(), 0);
    }
    let messages = Lateness::read(&project.records(), "feel").expect("it has written them");
    println!("{looked} subscribers, {updates} updates in {took:?}; goal: p99 under {GOAL:?}");
    println!("  answers of the runtime: {answers}");
    println!("  messages: {messages}");
    println!("  who asks nobody: {nobody}");
    assert!(messages.count() > 100);
    [messages, answers, nobody]
}

#[test]
fn fifty_who_look_delay_no_message_and_no_answer() {
    let [messages_alone, answers_alone, _] = lateness("nobody", 0);
    let [messages, answers, nobody] = lateness("fifty", SUBSCRIBERS);
    for (alone, beside) in [(messages_alone, messages), (answers_alone, answers)] {
        let p99 = |lateness: &Lateness| lateness.percentile(99.0);
        let limit = p99(&alone).max(p99(&nobody)) * TIMES + MORE;
        assert!(
            p99(&beside) < limit,
            "{beside}, without them {alone}, and who asked nobody {nobody}"
        );
    }
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

/// How often the threads of a process have waited for something, and so gone on.
fn turns(pid: u32) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("the process lives");
    let waits = |task: std::io::Result<std::fs::DirEntry>| {
        let status = std::fs::read_to_string(task.ok()?.path().join("status")).ok()?;
        let mut lines = status.lines();
        let count = lines.find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        count.trim().parse::<u64>().ok()
    };
    tasks.filter_map(waits).sum()
}

/// The part of a processor that a process takes for a while, and how often in a second one of its threads goes on.
fn at_rest(pid: u32) -> (f64, f64) {
    let before = (processor_time(pid), turns(pid));
    let began = Instant::now();
    std::thread::sleep(REST);
    let took = processor_time(pid) - before.0;
    let turns = (turns(pid) - before.1) as f64;
    let span_s = began.elapsed().as_secs_f64();
    (took.as_secs_f64() / span_s, turns / span_s)
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
    let status = project.wait_until("everything has been read, and all run", |status| {
        let mut edges = status.edges.iter();
        let mut nodes = status.nodes.iter();
        edges.all(|edge| edge.counts.released == 1)
            && nodes.all(|node| node.state == LifeCycle::Running)
    });
    let mut is_met = false;
    for _ in 0..RESTS_MAX {
        let (part, turns) = at_rest(status.pid);
        println!(
            "at rest, 21 nodes and 20 edges: {:.4} % of a processor (debug build), {turns:.1} turns a second; goal {} %",
            part * 100.0,
            REST_GOAL * 100.0
        );
        is_met = part < REST_MAX && turns < TURNS_MAX;
        if is_met {
            break;
        }
    }
    project.down().expect_code(0);
    up.wait().expect_code(0);
    assert!(
        is_met,
        "more than {REST_MAX} of a processor, or {TURNS_MAX} turns a second, each time"
    );
}
