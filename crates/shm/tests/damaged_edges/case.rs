//! The runtime's part: the edge, the processes, and what is true at their end.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use dataflow_ids::{NodeId, QueuePolicy, Sequence};
use dataflow_shm::edge::EdgeKeeper;
use dataflow_shm::{EventFd, SegmentPool, SegmentPoolConfig};

use crate::{ROLE, SEGMENT_BYTES, config, named, segment, setting};

/// Far beyond what any of them needs to end.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The runtime's part in a case.
pub(crate) struct Case {
    pub(crate) keeper: EdgeKeeper,
    pub(crate) policy: QueuePolicy,
    pub(crate) send_waiter: EventFd,
    pub(crate) receive_waiter: EventFd,
    pub(crate) pool: SegmentPool,
    pub(crate) segment: OwnedFd,
    pub(crate) milliseconds: u64,
}

impl Case {
    pub(crate) fn new(policy: QueuePolicy) -> Case {
        let [send_waiter, receive_waiter] = [(); 2].map(|()| EventFd::new().unwrap());
        let keeper = EdgeKeeper::create(
            "damaged-edges",
            &config(policy),
            send_waiter.try_clone().unwrap(),
            receive_waiter.try_clone().unwrap(),
        )
        .unwrap();
        keeper.set_receiver_ready();
        let mut pool = SegmentPool::new(SegmentPoolConfig {
            run: "damaged-edges".to_owned(),
            node: NodeId::new("sender").unwrap(),
            index: segment().node,
            epoch: segment().epoch,
            limit_bytes: SEGMENT_BYTES,
        });
        let new = pool.grow(SEGMENT_BYTES).unwrap().segment;
        assert_eq!((new.segment, new.length), (segment(), SEGMENT_BYTES));
        Case {
            keeper,
            policy,
            send_waiter,
            receive_waiter,
            pool,
            segment: new.fd,
            milliseconds: (setting("DATAFLOW_DAMAGE_SECONDS", 0.5) * 1000.0) as u64,
        }
    }

    pub(crate) fn start(&self, role: &str, seed: u64, wanted: u64) -> Running {
        let descriptors: [BorrowedFd<'_>; 4] = [
            self.keeper.fd(),
            self.send_waiter.as_fd(),
            self.receive_waiter.as_fd(),
            self.segment.as_fd(),
        ];
        // A plain `dup` is inherited.
        let inherited = descriptors.map(|fd| rustix::io::dup(fd).unwrap());
        let numbers = inherited.each_ref().map(|fd| fd.as_raw_fd().to_string());
        let seed = seed + 1000 * setting("DATAFLOW_DAMAGE_SEED", 1.0) as u64;
        let role = format!(
            "{role} {seed} {} {wanted} {} {}",
            self.milliseconds,
            self.policy,
            numbers.join(" ")
        );
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_process", "--nocapture"])
            .env(ROLE, &role)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Running {
            child: Some(child),
            role,
        }
    }

    /// Looks at the edge, as the runtime does, until `process` has ended.
    pub(crate) fn watch_until_over(&self, mut process: Running) -> Said {
        let (ended, is_over) = mpsc::channel();
        let child = process.child.take().unwrap();
        let role = &process.role;
        let pid = child.id();
        thread::spawn(move || ended.send(child.wait_with_output()).unwrap());
        let begun = Instant::now();
        let mut sent = 0;
        loop {
            let counts = self.keeper.read().counts;
            assert!(counts.sent >= sent, "a counter never falls");
            sent = counts.sent;
            self.keeper.segments();
            self.keeper.tokens(Sequence(u64::MAX));
            if let Ok(output) = is_over.recv_timeout(Duration::from_millis(1)) {
                return Said::new(role, &output.unwrap());
            }
            if begun.elapsed() > PATIENCE {
                let pid = rustix::process::Pid::from_raw(pid as i32).unwrap();
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
                panic!("`{role}` hangs");
            }
        }
    }

    /// Everybody has been reaped.
    pub(crate) fn end(&self) {
        self.keeper.repair_receiver();
        self.keeper.repair_sender();
        self.keeper.close();
        self.keeper.receiver_gone();
        let counts = self.keeper.read_settled().counts;
        let damage = self.keeper.damage();
        assert!(counts.balances() || damage.is_some(), "{counts:?}");
        damage.iter().for_each(named);
        assert_eq!((counts.queued, counts.held), (0, 0));
    }
}

/// A process that is killed when this is dropped, unless it is watched until its end.
pub(crate) struct Running {
    child: Option<Child>,
    role: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            child.kill().unwrap();
            // It went on until now: nothing that it met made it end.
            assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
        }
    }
}

/// What a process said at its end.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) done: u64,
    pub(crate) damaged: u64,
}

impl Said {
    pub(crate) fn new(role: &str, output: &Output) -> Said {
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success(),
            "`{role}`: {} (signal {:?})\n{stdout}{}",
            output.status,
            output.status.signal(),
            String::from_utf8_lossy(&output.stderr)
        );
        let line = stdout.lines().find(|line| line.contains("done "));
        let words: Vec<&str> = line.unwrap().split(' ').collect();
        let after = |word: &str| {
            let place = words.iter().position(|other| *other == word).unwrap();
            words[place + 1].parse().unwrap()
        };
        Said {
            done: after("done"),
            damaged: after("damaged"),
        }
    }
}
