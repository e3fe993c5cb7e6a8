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
use dataflow_shm::edge::header;
use dataflow_tests::Random;
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
const HOT: [usize; 16] = [
    header::CLOSED_AT,
    header::RECEIVER_GONE,
    header::RECEIVER_READY,
    header::LOST,
    header::DROPPED_AT_CLOSE,
    header::TAIL,
    header::DROPPED_FULL,
    header::DROPPED_MEMORY,
    header::DROPPED_RECEIVER_CLOSED,
    header::DROP_INTENT,
    header::HEAD,
    header::DELIVERED,
    header::RELEASED,
    header::RECEIVER_WAKE,
    header::SENDER_WAKE,
    header::WATCH,
];

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let seed = std::env::args().nth(1).ok_or("the argument is the seed")?;
    let mut random = Random::new(seed.parse()?);
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
            _ => *random.choose(&HOT) as u64,
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
