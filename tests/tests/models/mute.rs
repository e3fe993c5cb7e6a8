//! A Hub that accepts connections and never says a word: whoever asks us for something does not wait for it.

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use dataflow_ids::LifeCycle;
use dataflow_tests::{Asked, CommandsBeside, Project, longest_beside, node, wait_until};
use dataflow_wire::status::ModelState;

/// What is promised.
const PROMISED: Duration = Duration::from_millis(50);
/// What is asserted: ten times that, as everywhere on a machine that others use too, and what commands take there that
/// ask nobody.
const ASSERTED: Duration = Duration::from_millis(500);
const ROUNDS: usize = 20;

/// Accepts, and says nothing until it is dropped.
#[derive(Debug)]
struct MuteHub {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl MuteHub {
    fn start() -> MuteHub {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let address = socket.local_addr().expect("it has an address");
        let (accepted, ends) = <(Arc<AtomicUsize>, Arc<AtomicBool>)>::default();
        let (count, is_over) = (Arc::clone(&accepted), Arc::clone(&ends));
        let thread = std::thread::spawn(move || {
            let mut held = Vec::new();
            while let Ok((mut stream, _)) = socket.accept() {
                if is_over.load(Ordering::Acquire) {
                    break;
                }
                // The question has come.
                let _ = stream.read(&mut [0; 1]);
                held.push(stream);
                count.fetch_add(1, Ordering::AcqRel);
            }
        });
        MuteHub {
            address,
            accepted,
            ends,
            thread: Some(thread),
        }
    }

    fn wait_until_asked(&self, times: usize) {
        wait_until("the Hub is asked", || {
            self.accepted.load(Ordering::Acquire) >= times
        });
    }
}

impl Drop for MuteHub {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Release);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn project(name: &str, hub: &MuteHub) -> Project {
    let mut project = Project::new(name);
    project.set_variable("HF_ENDPOINT", format!("http://{}", hub.address));
    project.flow(
        "
models: { tiny: { repo: acme/tiny } }
nodes:
  - { id: plain, path: /bin/sh, args: [-c, 'echo is here; exec sleep 1000'] }
  - { id: reader, path: /bin/sh, args: [-c, 'echo never'], models: [tiny] }
",
    );
    project
}

/// Prints what something took, and asserts that it is not far from what is promised, each time: a machine that stands
/// still accuses nobody.
fn judge(what: &str, others: &[Asked], asked: Vec<Asked>) {
    let mut took: Vec<Duration> = asked.iter().map(|(_, took)| *took).collect();
    took.sort();
    let (median, worst) = (took[took.len() / 2], took[took.len() - 1]);
    println!(
        "with a mute hub, {what}: median {median:?}, worst {worst:?} (promised: {PROMISED:?})"
    );
    for one in asked {
        let beside = longest_beside(one, others);
        assert!(
            one.1 < ASSERTED + 4 * beside,
            "{what} took {:?}, and a command that asks nobody {beside:?}",
            one.1
        );
    }
}

#[test]
fn commands_answer_at_once_while_a_dataflow_waits_for_a_hub_that_never_replies() {
    let hub = MuteHub::start();
    let project = project("mute", &hub);
    let up = project.up();
    hub.wait_until_asked(1);
    up.wait_for_line(&["plain", "is here"]);
    let status = project.wait_until("it is resolving", |status| {
        status
            .models
            .iter()
            .any(|model| model.view.state == ModelState::Resolving)
    });
    assert_eq!(node(&status, "reader").state, LifeCycle::Downloading);
    let beside = CommandsBeside::start();
    let mut asked = Vec::new();
    for arguments in [
        &["ps"][..],
        &["ps", "--json"],
        &["models", "ls"],
        &["models", "ls", "--json"],
    ] {
        let took = (0..ROUNDS).map(|_| {
            let at = Instant::now();
            let ended = project
                .dataflow(arguments.iter().copied())
                .run()
                .expect_code(0);
            (at, ended.took)
        });
        asked.push((arguments.join(" "), took.collect()));
    }
    let at = Instant::now();
    let down = project.down().expect_code(0);
    asked.push(("down".to_owned(), vec![(at, down.took)]));
    let others = beside.end();
    for (what, took) in asked {
        judge(&what, &others, took);
    }
    up.wait();
    project.report();
}

#[test]
fn down_answers_at_once_each_time() {
    let hub = MuteHub::start();
    let project = project("mute-down", &hub);
    let beside = CommandsBeside::start();
    let took = (0..5).map(|round| {
        let up = project.up();
        hub.wait_until_asked(round + 1);
        let at = Instant::now();
        let down = project.down().expect_code(0);
        up.wait();
        (at, down.took)
    });
    let took = took.collect();
    judge("down", &beside.end(), took);
    project.report();
}

#[test]
fn ctrl_c_ends_a_pull_at_once() {
    let hub = MuteHub::start();
    let project = project("mute-pull", &hub);
    let beside = CommandsBeside::start();
    let took = (0..5).map(|round| {
        let mut pull = project.dataflow(["models", "pull", "acme/tiny"]).start();
        hub.wait_until_asked(round + 1);
        let began = Instant::now();
        pull.interrupt();
        while !pull.has_ended() {
            std::thread::yield_now();
        }
        let took = began.elapsed();
        pull.wait();
        (began, took)
    });
    let took = took.collect();
    judge("Ctrl-C of models pull", &beside.end(), took);
}
