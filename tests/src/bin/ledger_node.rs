//! The node of the soak: it sends and receives numbered messages with checksums, writes each one that it sees into
//! its ledger, and may kill itself at a named point. `args: [ROLE, key=value, …]`.
//!
//! A `source` sends, a `sink` receives, a `relay` sends a message of its own for each that it receives. A `stream`
//! sends as fast as it can on one output, and `verify` receives from it and writes down only how many were right.
//!
//! - `seed=N`: chance, mixed with the node's name and the number of its incarnations.
//! - `bytes=A..B`: lengths of messages, at least 24. `pause_us=A..B`: between two sends of a source.
//! - `hold=A..B`: how many messages it keeps; chosen anew now and then.
//! - `keep=N`, `each=M`: it keeps N messages to its end, at most M of each incarnation of the sender, and looks at
//!   them again then.
//! - `die=N`: one of N incarnations kills itself, at a point and after a count that chance chooses.
//! - `point=N`: only at this point (its number in `Point::ALL`). `after=N`: the N-th time that it comes there.
//! - `gate=PATH`: it waits there instead of killing itself. `first`: also before it was ever ready.
//! - `count=N`: a source ends after so many messages on each output.

use std::collections::{BTreeMap, VecDeque};
use std::error::Error;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dataflow_node::{Event, Input, Metadata, Node, SendError};
use dataflow_tests::{
    Consumed, Fact, Ledger, MESSAGE_BYTES_MIN, Point, Random, Stamp, ledger_path, read_ledger, tag,
};
use rustix::process::{Signal, getpid, kill_process};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

fn main() -> Outcome {
    let mut arguments = std::env::args().skip(1);
    let role = arguments.next().ok_or("the first argument is the role")?;
    let settings: BTreeMap<String, String> = arguments
        .map(|argument| {
            let (key, value) = argument.split_once('=').unwrap_or((&argument, ""));
            (key.to_owned(), value.to_owned())
        })
        .collect();
    let mut life = Life::begin(&settings)?;
    life.comes_to(Point::BeforeHello)?;
    let mut node = Node::connect()?;
    life.comes_to(Point::BeforeReady)?;
    let ports = node.outputs().iter().map(|output| Port {
        name: output.to_string(),
        tag: tag(&format!("{}/{output}", node.id())),
        sent: 0,
        and_one_partly: false,
    });
    let mut ports: Vec<_> = ports.collect();
    life.epoch = node.epoch().0;
    node.ready();
    life.comes_to(Point::Ready)?;
    match role.as_str() {
        "source" => source(&mut life, &mut node, &mut ports)?,
        "relay" | "sink" => receive(&mut life, &mut node, &mut ports)?,
        "stream" => stream(&mut life, &mut node, &mut ports)?,
        "verify" => verify(&mut life, &mut node)?,
        other => return Err(format!("no role `{other}`").into()),
    }
    for port in &ports {
        life.ledger.write(Fact::Sent {
            output: number_in(&port.name)?,
            count: port.sent,
            and_one_partly: port.and_one_partly,
        })?;
    }
    life.ledger.write(Fact::Ended)?;
    Ok(())
}

/// One of the node's outputs.
struct Port {
    name: String,
    tag: u32,
    sent: u64,
    /// The last one was refused on some of its edges.
    and_one_partly: bool,
}

fn number_in(name: &str) -> Outcome<u16> {
    Ok(name
        .trim_start_matches(|c: char| !c.is_ascii_digit())
        .parse()?)
}

fn range(settings: &BTreeMap<String, String>, key: &str, default: (u64, u64)) -> Outcome<Range> {
    let (first, last) = match settings.get(key) {
        None => default,
        Some(text) => match text.split_once("..") {
            Some((first, last)) => (first.parse()?, last.parse()?),
            None => (text.parse()?, text.parse()?),
        },
    };
    Ok(Range { first, last })
}

#[derive(Clone, Copy)]
struct Range {
    first: u64,
    last: u64,
}

/// This incarnation: what it writes down, its chance, and where it will kill itself.
struct Life {
    ledger: Ledger,
    random: Random,
    epoch: u32,
    bytes: Range,
    pause_us: Range,
    hold: Range,
    count: u64,
    keep: usize,
    keep_each: usize,
    gate: Option<PathBuf>,
    fate: Option<(Point, u64)>,
}

impl Life {
    fn begin(settings: &BTreeMap<String, String>) -> Outcome<Life> {
        let number = |key: &str| {
            settings
                .get(key)
                .map(|text| text.parse::<u64>())
                .transpose()
        };
        let records = std::env::var_os("DATAFLOW_TEST_RECORDS").ok_or("started by no test")?;
        let name = std::env::var("DATAFLOW_NODE")?;
        let path = ledger_path(Path::new(&records), &name);
        let mut ledger = Ledger::open(&path)?;
        let is_first = ledger.is_empty()?;
        let incarnations = if is_first { 0 } else { count_of_lives(&path) };
        let seed = number("seed")?.unwrap_or(0);
        let mut random = Random::new(Random::seed_of(seed ^ u64::from(tag(&name)), incarnations));
        ledger.write(Fact::Began {
            pid: std::process::id(),
        })?;
        let point = number("point")?.map(|point| Point::ALL[point as usize]);
        let fate = match (number("die")?, point) {
            (Some(of), point) if random.one_in(of) => {
                let point = point.unwrap_or_else(|| *random.choose(&Point::ALL));
                // A death before it was ever Ready would fail the `up`, and rightly so.
                let early = matches!(point, Point::BeforeHello | Point::BeforeReady);
                let after = match number("after")? {
                    Some(after) => after,
                    None if early || matches!(point, Point::Ready | Point::Ending) => 1,
                    None => random.between(1, 20),
                };
                (!(early && is_first && !settings.contains_key("first"))).then_some((point, after))
            }
            _ => None,
        };
        Ok(Life {
            ledger,
            random,
            epoch: 0,
            bytes: range(settings, "bytes", (24, 24))?,
            pause_us: range(settings, "pause_us", (0, 0))?,
            hold: range(settings, "hold", (0, 0))?,
            count: number("count")?.unwrap_or(u64::MAX),
            keep: number("keep")?.unwrap_or(0) as usize,
            keep_each: number("each")?.unwrap_or(u64::MAX) as usize,
            gate: settings.get("gate").map(PathBuf::from),
            fate,
        })
    }

    fn chance(&mut self, range: Range) -> u64 {
        self.random.between(range.first, range.last)
    }

    /// The program stands at this point: here it may be its fate to end, or to wait for the test.
    fn comes_to(&mut self, point: Point) -> Outcome {
        let Some((fated, left)) = &mut self.fate else {
            return Ok(());
        };
        if *fated != point {
            return Ok(());
        }
        *left -= 1;
        if *left > 0 {
            return Ok(());
        }
        self.fate = None;
        if let Some(gate) = &self.gate {
            File::open(gate)?.read_to_end(&mut Vec::new())?;
            return Ok(());
        }
        self.ledger.write(Fact::Dying(point))?;
        kill_process(getpid(), Signal::KILL)?;
        Ok(())
    }

    /// Sends the next message of this output; `false` when the node was stopped instead.
    fn send(&mut self, node: &mut Node, port: &mut Port) -> Outcome<bool> {
        let stamp = Stamp {
            sender: port.tag,
            epoch: self.epoch,
            number: port.sent + 1,
        };
        let length = (self.chance(self.bytes) as usize).max(MESSAGE_BYTES_MIN);
        let loan = self.random.one_in(2);
        let sent = if loan {
            node.loan(&port.name, length).and_then(|mut loan| {
                stamp.fill(&mut loan);
                // What goes wrong at this point is told by the ledger's absence.
                let _ = self.comes_to(Point::Loaned);
                loan.send(Metadata::new())
            })
        } else {
            let mut payload = vec![0; length];
            stamp.fill(&mut payload);
            node.send(&port.name, &payload, Metadata::new())
        };
        match sent {
            Ok(()) => {
                port.sent += 1;
                self.comes_to(Point::Sent)?;
                Ok(true)
            }
            Err(SendError::Stopped { written, .. }) => {
                port.and_one_partly = written > 0;
                self.comes_to(Point::Ending)?;
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn count_of_lives(path: &Path) -> u64 {
    let facts = read_ledger(path);
    let began = facts
        .iter()
        .filter(|fact| matches!(fact, Fact::Began { .. }));
    began.count() as u64
}

fn source(life: &mut Life, node: &mut Node, ports: &mut [Port]) -> Outcome {
    for _ in 0..life.count {
        for port in &mut *ports {
            if !life.send(node, port)? {
                return Ok(());
            }
        }
        match life.chance(life.pause_us) {
            0 => {}
            pause => std::thread::sleep(Duration::from_micros(pause)),
        }
    }
    Ok(())
}

fn receive(life: &mut Life, node: &mut Node, ports: &mut [Port]) -> Outcome {
    let mut held = VecDeque::new();
    let mut kept: Vec<(Stamp, Input)> = Vec::new();
    let mut hold = life.chance(life.hold);
    while let Some(event) = node.recv()? {
        let Event::Input(input) = event else {
            life.comes_to(Point::Ending)?;
            continue;
        };
        life.comes_to(Point::Received)?;
        let stamp = Stamp::of(input.payload());
        life.ledger.write(Fact::Consumed(Consumed {
            input: number_in(input.id().as_str())?,
            sequence: input.sequence().0,
            stamp,
        }))?;
        if let Some(stamp) = stamp.filter(|stamp| {
            let of_epoch = kept.iter().filter(|(kept, _)| kept.epoch == stamp.epoch);
            kept.len() < life.keep && of_epoch.count() < life.keep_each
        }) {
            kept.push((stamp, input));
        } else {
            held.push_back(input);
        }
        life.comes_to(Point::Held)?;
        for port in &mut *ports {
            // After its stop a node may still send: nothing is refused here.
            life.send(node, port)?;
        }
        if life.random.one_in(50) {
            hold = life.chance(life.hold);
        }
        while held.len() as u64 > hold {
            held.pop_front();
        }
    }
    let whole = kept
        .iter()
        .filter(|(stamp, input)| Stamp::of(input.payload()) == Some(*stamp));
    if life.keep > 0 {
        let count = whole.count() as u64;
        life.ledger.write(Fact::Verified { count })?;
    }
    Ok(())
}

fn stream(life: &mut Life, node: &mut Node, ports: &mut [Port]) -> Outcome {
    let port = &mut ports[0];
    let mut payload = [0; MESSAGE_BYTES_MIN];
    let metadata = Metadata::new();
    while port.sent < life.count {
        let stamp = Stamp {
            sender: port.tag,
            epoch: life.epoch,
            number: port.sent + 1,
        };
        stamp.fill(&mut payload);
        match node.send(&port.name, payload, &metadata) {
            Ok(()) => port.sent += 1,
            Err(SendError::Stopped { .. }) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn verify(life: &mut Life, node: &mut Node) -> Outcome {
    let mut count = 0;
    let mut sender = None;
    while let Some(event) = node.recv()? {
        let Event::Input(input) = event else { continue };
        count += 1;
        let stamp =
            Stamp::of(input.payload()).ok_or_else(|| format!("message {count} arrived damaged"))?;
        let sender = *sender.get_or_insert((stamp.sender, stamp.epoch));
        let place = (
            input.sequence().0,
            stamp.number,
            (stamp.sender, stamp.epoch),
        );
        if place != (count, count, sender) {
            return Err(format!("message {count} is {place:?}").into());
        }
    }
    life.ledger.write(Fact::Verified { count })?;
    Ok(())
}
