//! Nodes that do not keep to the conversation: refused by name, never believed, and nobody waits for them.

use dataflow_ids::{EdgeId, Epoch, LifeCycle, NodeIndex, SegmentId, Sequence, StopMode};
use dataflow_wire::frame::encode_frame;
use dataflow_wire::node::{NODE_PROTOCOL, ToRuntime};
use dataflow_wire::status::Outcome;

use super::support::Project;
use crate::RunEvent;
use crate::logs::LogStream;

/// A node that says what is in the file `words`, and then lives on and reads nothing.
const YAML: &str = "name: hostile\nnodes:\n  - id: liar\n    path: ./liar.sh\n    outputs: [out]\n";
const SAY: &str = "cat words >&$DATAFLOW_CONTROL_FD; echo said; exec sleep 1000";

fn project(words: &[u8]) -> Project {
    let project = Project::new();
    project.bash("liar.sh", SAY);
    std::fs::write(project.path("words"), words).unwrap();
    project
}

fn hello(protocol: u32) -> Vec<u8> {
    encode_frame(&ToRuntime::Hello {
        protocol,
        library: "a test".to_owned(),
        pid: 1,
    })
    .unwrap()
}

/// The dataflow fails, and the node's log says why.
fn is_refused(words: &[u8], why: &str) {
    let project = project(words);
    let started = project.start(YAML);
    let line = started.wait(|event| match event {
        RunEvent::Log {
            stream: LogStream::Runtime,
            line,
            ..
        } => Some(line.clone()),
        _ => None,
    });
    assert!(line.contains("liar") && line.contains(why), "{line}");
    let report = started.report();
    assert_eq!(report.outcome, Outcome::Failed, "{report:?}");
    assert!(report.because.contains("liar"), "{}", report.because);
}

#[test]
fn bytes_that_are_no_frame_are_refused() {
    is_refused(&[0xff; 64], "frame");
    is_refused(&[0, 0, 0, 0, 0, 1, 0, 0], "garbled");
}

#[test]
fn descriptors_that_do_not_come_are_refused() {
    let mut words = hello(NODE_PROTOCOL);
    words[4] = 2;
    is_refused(&words, "descriptors");
}

#[test]
fn another_version_is_refused_with_both_numbers_and_the_remedy() {
    let later = NODE_PROTOCOL + 1;
    is_refused(
        &hello(later),
        &format!("version {later} of the node protocol and this side version {NODE_PROTOCOL}"),
    );
    // A library of before edges had histograms, which could not map them.
    is_refused(
        &hello(1),
        "install its Python package, from the same release",
    );
}

#[test]
fn who_does_not_begin_with_hello_or_says_it_twice_is_refused() {
    is_refused(&encode_frame(&ToRuntime::Ready).unwrap(), "hello first");
    let twice = [hello(NODE_PROTOCOL), hello(NODE_PROTOCOL)].concat();
    is_refused(&twice, "hello twice");
}

#[test]
fn nobody_speaks_for_others() {
    let say = |frame: ToRuntime| [hello(NODE_PROTOCOL), encode_frame(&frame).unwrap()].concat();
    let segment = |node| SegmentId {
        node: NodeIndex(node),
        epoch: Epoch(1),
        number: 0,
    };
    let length = 4096;
    is_refused(
        &say(ToRuntime::SegmentCreated {
            segment: segment(7),
            length,
        }),
        "belongs to another",
    );
    is_refused(
        &say(ToRuntime::SegmentCreated {
            segment: segment(0),
            length,
        }),
        "without its descriptor",
    );
    is_refused(
        &say(ToRuntime::ReleaseAck {
            edge: EdgeId(3),
            epoch: Epoch(1),
            released_upto: Sequence(9),
            queued: 0,
            held: Vec::new(),
            busy_for: std::time::Duration::ZERO,
        }),
        "not its own",
    );
}

#[test]
fn a_node_that_never_reads_keeps_nobody_waiting() {
    let ready = encode_frame(&ToRuntime::Ready).unwrap();
    let project = project(&[hello(NODE_PROTOCOL), ready].concat());
    let started = project.start(YAML);
    started.wait(|event| match event {
        RunEvent::State { to, .. } if *to == LifeCycle::Ready => Some(()),
        _ => None,
    });
    started.controls.stop(StopMode::Graceful, None);
    let waiting = started.wait(|event| match event {
        RunEvent::Waiting(waiting) => Some(waiting[0].node.clone()),
        _ => None,
    });
    assert_eq!(waiting.as_str(), "liar");
    let client = crate::client::Client::connect(&project.found()[0]);
    let request = dataflow_wire::client::ClientRequest::Status;
    client.unwrap().request(&request).unwrap();
    started.controls.force(dataflow_ids::Forcer::DownForce);
    assert_eq!(started.report().outcome, Outcome::Forced);
}

#[test]
fn what_a_node_warns_of_without_end_is_logged_up_to_a_number_and_the_rest_counted() {
    let warning = encode_frame(&ToRuntime::Warning {
        text: "again".to_owned(),
    })
    .unwrap();
    let words = [hello(NODE_PROTOCOL), warning.repeat(1000)].concat();
    let project = project(&words);
    project.bash("liar.sh", "cat words >&$DATAFLOW_CONTROL_FD; exit 1");
    let started = project.start(YAML);
    let mut warnings = 0;
    let left_out = started.wait(|event| match event {
        RunEvent::Log { line, .. } if line == "again" => {
            warnings += 1;
            None
        }
        RunEvent::Log { line, .. } if line.contains("left out") => Some(line.clone()),
        _ => None,
    });
    assert_eq!(warnings, 100);
    assert!(left_out.contains("900 more warnings"), "{left_out}");
    started.report();
}

/// Starts somebody in a session of its own who never falls silent, and ends.
const FLOOD: &str = "#!/usr/bin/env python3
import os
control = int(os.environ['DATAFLOW_CONTROL_FD'])
words, flood = open('words', 'rb').read(), open('flood', 'rb').read()
heard, begun = os.pipe()
if os.fork() == 0:
    os.setsid()
    os.write(control, words)
    print('begun', flush=True)
    os.write(control, flood[:len(flood) // 4096])
    os.write(begun, b'.')
    while True:
        os.write(control, flood)
os.close(begun)
os.read(heard, 1)
os._exit(1)
";

#[test]
fn who_never_falls_silent_does_not_keep_its_node_from_its_end() {
    let warning = encode_frame(&ToRuntime::Warning {
        text: "again".to_owned(),
    });
    let project = project(&hello(NODE_PROTOCOL));
    let flood = warning.unwrap().repeat(4096);
    std::fs::write(project.path("flood"), flood).unwrap();
    project.program("liar.sh", FLOOD);
    let started = project.start(YAML);
    started.wait_for_line("begun");
    assert_eq!(started.report().outcome, Outcome::Failed);
}

/// Says its words, then announces memory, and lives on. Python, for a descriptor that goes over a socket.
const ANNOUNCE: &str = "#!/usr/bin/env python3
import os, signal, socket, tempfile
signal.signal(signal.SIGTERM, signal.SIG_IGN)
control = socket.socket(fileno=int(os.environ['DATAFLOW_CONTROL_FD']))
control.sendall(open('words', 'rb').read())
memory = tempfile.TemporaryFile()
socket.send_fds(control, [open('segment', 'rb').read()], [memory.fileno()])
while True:
    signal.pause()
";

/// Says hello, and waits until it is handed a descriptor after those of its beginning.
const HEAR: &str = "#!/usr/bin/env python3
import os, socket
control = socket.socket(fileno=int(os.environ['DATAFLOW_CONTROL_FD']))
control.sendall(open('hello', 'rb').read())
heard = 0
while heard < 5:
    data, fds, flags, _ = socket.recv_fds(control, 4096, 8)
    heard += len(fds)
print('handed over', flush=True)
while data:
    data = control.recv(4096)
";

#[test]
fn memory_that_a_refused_node_announces_still_reaches_its_receivers() {
    let refused = ToRuntime::ReleaseAck {
        edge: EdgeId(3),
        epoch: Epoch(1),
        released_upto: Sequence(9),
        queued: 0,
        held: Vec::new(),
        busy_for: std::time::Duration::ZERO,
    };
    let project = project(&[hello(NODE_PROTOCOL), encode_frame(&refused).unwrap()].concat());
    std::fs::write(project.path("hello"), hello(NODE_PROTOCOL)).unwrap();
    let mut segment = encode_frame(&ToRuntime::SegmentCreated {
        segment: SegmentId {
            node: NodeIndex(0),
            epoch: Epoch(1),
            number: 0,
        },
        length: 4096,
    })
    .unwrap();
    // One descriptor comes with it.
    segment[4] = 1;
    std::fs::write(project.path("segment"), segment).unwrap();
    project.program("announce", ANNOUNCE).program("hear", HEAR);
    let started = project.start(
        "name: refused\nnodes:\n  - { id: sender, path: ./announce, outputs: [out] }\n  \
         - { id: receiver, path: ./hear, inputs: { in: sender/out } }\n",
    );
    // Two eventfds with the welcome, two descriptors with the edge, and then the memory.
    started.wait_for_line("handed over");
    started.controls.force(dataflow_ids::Forcer::DownForce);
    started.report();
}

#[test]
fn a_speaker_that_has_left_the_group_of_its_wrapper_is_ended_with_it_before_its_end_is_a_fact() {
    let project = Project::new();
    project.bash("liar.sh", "setsid ./speaker.sh & read line < go; exit 0");
    project.bash(
        "speaker.sh",
        "trap '' TERM; echo $$ > pid; echo there; cat words >&$DATAFLOW_CONTROL_FD; exec sleep 1000",
    );
    let fifo = |name: &str| {
        let fifo = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, project.path(name), fifo, 0o600.into(), 0).unwrap();
    };
    fifo("go");
    fifo("words");
    let started = project.start(YAML);
    started.wait_for_line("there");
    let pid = super::support::read_pid(&project.path("pid"));
    let hello = encode_frame(&ToRuntime::Hello {
        protocol: NODE_PROTOCOL,
        library: "a test".to_owned(),
        pid,
    });
    let ready = encode_frame(&ToRuntime::Ready).unwrap();
    std::fs::write(project.path("words"), [hello.unwrap(), ready].concat()).unwrap();
    started.wait(|event| match event {
        RunEvent::State { to, .. } if *to == LifeCycle::Ready => Some(()),
        _ => None,
    });
    assert!(super::support::is_alive(pid));
    std::fs::write(project.path("go"), "\n").unwrap();
    started.wait(|event| match event {
        RunEvent::State { to, .. } if *to == LifeCycle::Draining => Some(()),
        _ => None,
    });
    assert!(!super::support::is_alive(pid));
    assert_eq!(started.report().outcome, Outcome::Drained);
}
