//! The Rust test node: one program with many roles. `args: [ROLE, key=value, …]`.
//!
//! A message's first 8 bytes are its number (little endian); every other byte is that number modulo 251. The
//! Python test nodes write and check the same.

use std::collections::{BTreeMap, VecDeque};
use std::error::Error;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use dataflow_node::{Event, Input, Metadata, Node, SendError};
use dataflow_tests::send_hollow_message;

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> Outcome {
    let mut arguments = std::env::args().skip(1);
    let role = arguments.next().ok_or("the first argument is the role")?;
    let settings = Settings(
        arguments
            .map(|argument| {
                let (key, value) = argument.split_once('=').unwrap_or((&argument, ""));
                (key.to_owned(), value.to_owned())
            })
            .collect(),
    );
    let mut record = Record::open()?;
    match role.as_str() {
        "send" => send(&settings, &mut record),
        "receive" => receive(&settings, &mut record),
        "late" => late(&settings, &mut record),
        "relay" => relay(&settings, &mut record),
        "stubborn" => stubborn(&mut record),
        "crash" => crash(&settings, &mut record),
        "hollow" => hollow(&mut record),
        other => Err(format!("no role `{other}`").into()),
    }
}

struct Settings(BTreeMap<String, String>);

impl Settings {
    fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    fn number(&self, key: &str) -> Result<Option<u64>, Box<dyn Error>> {
        Ok(self.text(key).map(str::parse).transpose()?)
    }
}

/// Facts that the test reads, one line each.
struct Record {
    file: File,
    path: PathBuf,
}

impl Record {
    fn open() -> Result<Record, Box<dyn Error>> {
        let folder = std::env::var_os("DATAFLOW_TEST_RECORDS").ok_or("started by no test")?;
        let node = std::env::var_os("DATAFLOW_NODE").ok_or("started by no dataflow")?;
        let path = Path::new(&folder).join(node);
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        Ok(Record { file, path })
    }

    fn fact(&mut self, fact: &str) -> Outcome {
        self.file.write_all(format!("{fact}\n").as_bytes())?;
        Ok(())
    }

    fn input(&mut self, input: &Input) -> Outcome {
        let payload = input.payload();
        let number = number_of(payload);
        let pattern = (number % 251) as u8;
        let whole = payload[8..].iter().all(|byte| *byte == pattern);
        let state = if whole { "whole" } else { "damaged" };
        self.fact(&format!(
            "input {} {number} {} {state}",
            input.id(),
            payload.len()
        ))
    }

    /// Whether this is the first time that a node of this name asks.
    fn first_time(&self) -> bool {
        let once = self.path.with_extension("once");
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(once)
            .is_ok()
    }
}

fn number_of(payload: &[u8]) -> u64 {
    let (number, _) = payload
        .split_first_chunk()
        .expect("a test message has at least 8 bytes");
    u64::from_le_bytes(*number)
}

fn fill(number: u64, payload: &mut [u8]) {
    payload.fill((number % 251) as u8);
    payload[..8].copy_from_slice(&number.to_le_bytes());
}

/// Waits until the test opens the gate (a named pipe) that `settings` name, if they do.
fn wait_at_gate(settings: &Settings) -> Outcome {
    if let Some(gate) = settings.text("gate") {
        File::open(gate)?.read_to_end(&mut Vec::new())?;
    }
    Ok(())
}

/// Sends `count` messages (no end without it) of `bytes` bytes on `output` (`out`), one every `every_ms`;
/// before message `gate_at` it waits at `gate`; after message `crash_after` it exits with 3, in its first
/// incarnation only. With `damage=expected` it goes on when its edge is damaged. `then=wait`: afterwards it waits for the stop; otherwise it ends at once.
fn send(settings: &Settings, record: &mut Record) -> Outcome {
    let output = settings.text("output").unwrap_or("out");
    let count = settings.number("count")?.unwrap_or(u64::MAX);
    let bytes = usize::try_from(settings.number("bytes")?.unwrap_or(24))?;
    let every = settings.number("every_ms")?.map(Duration::from_millis);
    let gate_at = settings.number("gate_at")?.unwrap_or(1);
    let mut node = Node::connect()?;
    record.fact("connected")?;
    let expects_damage = settings.text("damage") == Some("expected");
    let crash_after = settings.number("crash_after")?;
    let crash_now = crash_after.is_some() && record.first_time();
    let first = match crash_after {
        Some(last) if !crash_now => last + 1,
        _ => 1,
    };
    let mut payload = vec![0; bytes];
    let mut sent = first - 1;
    if count == 0 {
        // Nothing else makes it ready, and who ends before that fails the up.
        node.ready();
    }
    for number in first..=count {
        if number == gate_at {
            wait_at_gate(settings)?;
        }
        fill(number, &mut payload);
        match node.send(output, &payload, Metadata::new()) {
            Ok(()) => sent = number,
            Err(SendError::Stopped { .. }) => {
                record.fact("stopped")?;
                break;
            }
            Err(SendError::EdgeDamaged { .. }) if expects_damage => {}
            Err(error) => return Err(error.into()),
        }
        if crash_now && crash_after == Some(number) {
            record.fact(&format!("crashing {number}"))?;
            std::process::exit(3);
        }
        if let Some(every) = every {
            std::thread::sleep(every);
        }
    }
    record.fact(&format!("sent {sent}"))?;
    if settings.text("then") == Some("wait") {
        while let Some(event) = node.recv()? {
            record_event(&event, record)?;
        }
    }
    record.fact("end")
}

fn record_event(event: &Event, record: &mut Record) -> Outcome {
    match event {
        Event::Input(input) => record.input(input),
        Event::InputClosed(input) => record.fact(&format!("event input_closed {input}")),
        Event::AllInputsClosed => record.fact("event all_inputs_closed"),
        Event::Stop => record.fact("event stop"),
    }
}

/// Receives until the end. After message `gate_at` (1) it waits at `gate`, with that message in its hands; it
/// keeps the last `hold` messages; after message `crash_after` it exits with 3, in its first incarnation only;
/// after message `exit_after` it ends by itself; each message takes it `slow_us`. With `quiet` it does not write
/// down the messages.
fn receive(settings: &Settings, record: &mut Record) -> Outcome {
    let gate_at = settings.number("gate_at")?.unwrap_or(1);
    let hold = usize::try_from(settings.number("hold")?.unwrap_or(0))?;
    let crash_after = settings.number("crash_after")?;
    let exit_after = settings.number("exit_after")?;
    let slow = settings.number("slow_us")?.map(Duration::from_micros);
    let quiet = settings.text("quiet").is_some();
    let mut node = Node::connect()?;
    record.fact("connected")?;
    let crash_now = crash_after.is_some() && record.first_time();
    let mut held = VecDeque::new();
    let mut seen = 0;
    while let Some(event) = node.recv()? {
        if !(quiet && matches!(event, Event::Input(_))) {
            record_event(&event, record)?;
        }
        let Event::Input(input) = event else { continue };
        seen += 1;
        held.push_back(input);
        if seen == gate_at {
            wait_at_gate(settings)?;
        }
        if crash_now && crash_after == Some(seen) {
            record.fact(&format!("crashing {seen}"))?;
            std::process::exit(3);
        }
        if let Some(slow) = slow {
            std::thread::sleep(slow);
        }
        while held.len() > hold {
            held.pop_front();
        }
        if exit_after == Some(seen) {
            break;
        }
    }
    record.fact("end")
}

/// Waits at `gate` before it has said anything to the runtime; then it receives. With `gate_at=0` it comes there only once.
fn late(settings: &Settings, record: &mut Record) -> Outcome {
    wait_at_gate(settings)?;
    receive(settings, record)
}

/// Sends every message on (`out`), until it has made `hops` hops (for ever with `hops=endless`). With
/// `quiet` it writes down only how many it saw. It keeps the last `hold` messages.
fn relay(settings: &Settings, record: &mut Record) -> Outcome {
    let hops_max = match settings.text("hops") {
        Some("endless") => u64::MAX,
        _ => settings.number("hops")?.unwrap_or(u64::MAX),
    };
    let quiet = settings.text("quiet").is_some();
    let hold = usize::try_from(settings.number("hold")?.unwrap_or(0))?;
    let mut node = Node::connect()?;
    record.fact("connected")?;
    let mut seen: u64 = 0;
    let mut held = VecDeque::new();
    while let Some(event) = node.recv()? {
        if !(quiet && matches!(event, Event::Input(_))) {
            record_event(&event, record)?;
        }
        let Event::Input(input) = event else { continue };
        seen += 1;
        if seen == 1 {
            record.fact("first")?;
        }
        let hops = input.metadata().get("hops").and_then(|hops| hops.as_i64());
        let hops = hops.unwrap_or(0) + 1;
        if u64::try_from(hops)? <= hops_max {
            node.send("out", input.payload(), Metadata::new().with("hops", hops))?;
        }
        held.push_back(input);
        while held.len() > hold {
            held.pop_front();
        }
    }
    record.fact(&format!("seen {seen}"))?;
    record.fact("end")
}

/// Says that it is ready and never calls the library again, whatever is asked of it.
fn stubborn(record: &mut Record) -> Outcome {
    let node = Node::connect()?;
    node.ready();
    record.fact("ready")?;
    println!("its child runs");
    loop {
        std::thread::park();
    }
}

/// Says that it is ready, waits at `gate`, and exits with `code`, in every incarnation.
fn crash(settings: &Settings, record: &mut Record) -> Outcome {
    let node = Node::connect()?;
    node.ready();
    record.fact("connected")?;
    wait_at_gate(settings)?;
    println!("about to exit");
    let code = settings.number("code")?.unwrap_or(3);
    std::process::exit(i32::try_from(code)?)
}

/// Its first incarnation sends a message that lies in no segment, and dies; the next one sends a message that needs
/// none, and waits for the stop.
fn hollow(record: &mut Record) -> Outcome {
    if record.first_time() {
        send_hollow_message()?;
        record.fact("hollow")?;
        std::process::exit(3);
    }
    let mut node = Node::connect()?;
    let mut payload = [0; 24];
    fill(2, &mut payload);
    node.send("out", payload, Metadata::new())?;
    record.fact("sent")?;
    while let Some(event) = node.recv()? {
        record_event(&event, record)?;
    }
    record.fact("end")
}
