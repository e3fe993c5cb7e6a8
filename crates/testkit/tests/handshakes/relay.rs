//! Stands between an agent and whoever comes to it, and lets through what a test wants: a machine that translates
//! addresses, or one that falls silent in the middle of a handshake.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long a socket is waited on before it is looked whether the relay is still needed.
const LOOK: Duration = Duration::from_millis(10);

#[derive(Debug)]
struct Way {
    /// What who comes does not see: the socket that the agent hears from.
    outside: UdpSocket,
    agent: SocketAddr,
    /// Packets from the agent that are still let through; `None` stands for all.
    answers_left: Option<usize>,
}

/// A relay for one caller.
#[derive(Debug)]
pub(crate) struct Relay {
    address: SocketAddr,
    way: Arc<Mutex<Way>>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

fn outside(from: &str) -> UdpSocket {
    let socket = UdpSocket::bind((from, 0)).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket
}

impl Relay {
    /// A relay to this agent, which hears it from the address `from`.
    pub(crate) fn new(agent: SocketAddr, from: &str, answers: Option<usize>) -> Relay {
        let inside = UdpSocket::bind("127.0.0.1:0").unwrap();
        inside.set_read_timeout(Some(LOOK)).unwrap();
        let address = inside.local_addr().unwrap();
        let way = Arc::new(Mutex::new(Way {
            outside: outside(from),
            agent,
            answers_left: answers,
        }));
        let ended = Arc::new(AtomicBool::new(false));
        let thread = {
            let (way, ended) = (Arc::clone(&way), Arc::clone(&ended));
            std::thread::spawn(move || carry(&inside, &way, &ended))
        };
        Relay {
            address,
            way,
            ended,
            thread: Some(thread),
        }
    }

    /// Where the caller finds the agent.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on the agent hears from another port.
    pub(crate) fn moves(&self) {
        self.way.lock().unwrap().outside = outside("127.0.0.1");
    }

    /// From now on another agent is there.
    pub(crate) fn leads_to(&self, agent: SocketAddr) {
        self.way.lock().unwrap().agent = agent;
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn carry(inside: &UdpSocket, way: &Mutex<Way>, ended: &AtomicBool) {
    let mut packet = [0; 2048];
    let mut caller = None;
    inside.set_nonblocking(false).unwrap();
    while !ended.load(Ordering::Relaxed) {
        if let Ok((length, from)) = inside.recv_from(&mut packet) {
            caller = Some(from);
            let way = way.lock().unwrap();
            let _ = way.outside.send_to(&packet[..length], way.agent);
        }
        let mut way = way.lock().unwrap();
        while let Ok((length, _)) = way.outside.recv_from(&mut packet) {
            let through = match &mut way.answers_left {
                None => true,
                Some(0) => false,
                Some(left) => {
                    *left -= 1;
                    true
                }
            };
            if let (true, Some(caller)) = (through, caller) {
                let _ = inside.send_to(&packet[..length], caller);
            }
        }
    }
}
