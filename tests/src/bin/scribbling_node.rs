//! A faulty node: it writes what it likes into the first of the edges that it was given, until it is asked to stop
//! or for its tokens. `args: [SEED]`.
//!
//! It has no library that would find the damage: it speaks with the runtime itself, and writes into the memory of
//! an edge as into a file.

use std::error::Error;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;

use dataflow_shm::EventFd;
use dataflow_wire::frame::{self, FrameReader, Received};
use dataflow_wire::node::{CONTROL_FD_VARIABLE, NODE_PROTOCOL, ToNode, ToRuntime};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// How many words it writes between two looks at its socket.
const WORDS_AT_ONCE: usize = 40;

/// How long it looks.
const PAUSE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 1_000_000,
};

/// The words of an edge's header on which something depends.
const HOT: [u64; 16] = [
    16, 17, 18, 21, 22, 32, 48, 49, 50, 53, 64, 80, 96, 112, 128, 144,
];

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let seed = std::env::args().nth(1).ok_or("the argument is the seed")?;
    let mut random = Random(seed.parse()?);
    let number = std::env::var(CONTROL_FD_VARIABLE)?.parse()?;
    let mut runtime = Runtime {
        socket: dataflow_shm::inherited_socket(number)?,
        reader: FrameReader::new(),
    };
    runtime.say(&ToRuntime::Hello {
        protocol: NODE_PROTOCOL,
        library: "a program of somebody's own".to_owned(),
        pid: std::process::id(),
    })?;
    let mut edges = Vec::new();
    let mut has_begun = false;
    while !has_begun {
        for (message, descriptors) in runtime.hear(None)? {
            match message {
                ToNode::Begin => has_begun = true,
                ToNode::Edge(_) => edges.push(Edge::new(descriptors)?),
                _ => {}
            }
        }
    }
    let edge = edges.first().ok_or("a node without edges")?;
    runtime.say(&ToRuntime::Ready)?;
    loop {
        for _ in 0..WORDS_AT_ONCE {
            edge.scribble(&mut random)?;
        }
        for (message, _) in runtime.hear(Some(&PAUSE))? {
            if let ToNode::Stop { .. } | ToNode::ReleaseRequest { .. } = message {
                return Ok(());
            }
        }
    }
}

/// The conversation.
struct Runtime {
    socket: OwnedFd,
    reader: FrameReader,
}

impl Runtime {
    fn say(&self, message: &ToRuntime) -> Outcome<()> {
        Ok(frame::send(self.socket.as_fd(), message, &[])?)
    }

    /// What has come, after a wait.
    fn hear(&mut self, timeout: Option<&Timespec>) -> Outcome<Vec<(ToNode, Vec<OwnedFd>)>> {
        let mut fds = [PollFd::new(&self.socket, PollFlags::IN)];
        if poll(&mut fds, timeout)? > 0
            && self.reader.receive(self.socket.as_fd())? == Received::End
        {
            return Err("the runtime has ended".into());
        }
        let mut heard = Vec::new();
        while let Some(message) = self.reader.next::<ToNode>()? {
            heard.push(message);
        }
        Ok(heard)
    }
}

/// An edge's memory, and who waits at its other end.
struct Edge {
    memory: File,
    words: u64,
    other_end: EventFd,
}

impl Edge {
    fn new(descriptors: Vec<OwnedFd>) -> Outcome<Edge> {
        let [memory, other_end] = <[OwnedFd; 2]>::try_from(descriptors)
            .map_err(|_| "an edge comes with two descriptors")?;
        let memory = File::from(memory);
        Ok(Edge {
            words: memory.metadata()?.len() / 8,
            memory,
            other_end: EventFd::from_fd(other_end)?,
        })
    }

    fn scribble(&self, random: &mut Random) -> Outcome<()> {
        let word = match random.below(3) {
            0 => random.below(self.words),
            1 => random.below(512).min(self.words - 1),
            _ => HOT[random.below(HOT.len() as u64) as usize],
        };
        let mut bytes = [0; 8];
        self.memory.read_exact_at(&mut bytes, word * 8)?;
        let found = u64::from_le_bytes(bytes);
        let value = match random.below(6) {
            0 => random.next(),
            1 => found ^ 1 << random.below(64),
            2 => found.wrapping_add(random.below(9)).wrapping_sub(4),
            3 => random.below(64) << 3 | random.below(8),
            4 => random.below(64) << 16 | random.below(80),
            _ => u64::MAX - random.below(4),
        };
        self.memory.write_all_at(&value.to_le_bytes(), word * 8)?;
        if random.below(8) == 0 {
            self.other_end.notify();
        }
        Ok(())
    }
}

/// Random numbers that follow from a seed (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = self.0;
        number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^ number >> 31
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}
