//! The real agent with many peers, of which only the networks are there.

use std::error::Error;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use dataflow_benches::clock::now_ns;
use dataflow_benches::figures::Latencies;
use dataflow_benches::processes::{binary, processor_ns, resident_bytes};
use dataflow_runtime::network::Identity;

use dataflow_runtime::network::Network;

use crate::network::{Heard, Opened, open, trusting};

/// How long the agent may take until all of its peers are connected.
const PATIENCE: Duration = Duration::from_secs(60);

/// What an agent costs that has nothing to do.
pub(crate) struct AtRest {
    pub(crate) processor_percent: f64,
    pub(crate) resident_bytes: u64,
    pub(crate) shown: Latencies,
}

/// How often a peer's control loop gives a sign of life. Without one it counts as degraded, and is asked more often.
const BEAT_EVERY: Duration = Duration::from_secs(1);

/// The peers, whose control loops live until this is dropped.
struct Others {
    _ends: Sender<()>,
}

impl Others {
    fn live(others: Vec<(Opened, Heard)>) -> Others {
        let (ends, ended) = channel();
        thread::spawn(move || {
            while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(BEAT_EVERY) {
                others.iter().for_each(|(opened, _)| opened.network.beat());
            }
        });
        Others { _ends: ends }
    }
}

/// Ends with the bench.
struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs an agent with so many peers, and looks at it for a while.
pub(crate) fn at_rest(
    peers: usize,
    rest: Duration,
    shown: usize,
) -> Result<AtRest, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    let key = folder.join("identity.pem");
    let fingerprint = Identity::load_or_make(&key)?.fingerprint();
    // An address of its own, so that its port is nobody else's.
    let pid = std::process::id();
    let address = format!("127.84.{}.{}:50051", pid >> 8 & 0xff, pid & 0xff);
    let mut file =
        format!("peers:\n  - {{id: agent, address: '{address}', fingerprint: '{fingerprint}'}}\n");
    let mut others = Vec::new();
    for number in 0..peers {
        let name = format!("peer-{number}");
        let (network, heard) = trusting(open(&name), &name, "agent", &address, fingerprint);
        file += &format!(
            "  - {{id: {name}, address: '{}', fingerprint: '{}'}}\n",
            network.network.address(),
            network.fingerprint
        );
        others.push((network, heard));
    }
    let _others = Others::live(others);
    let peers_file = folder.join("peers.yaml");
    fs::write(&peers_file, file)?;
    let dataflow = |arguments: &[&str]| {
        let mut command = Command::new(binary()?);
        command
            .args(arguments)
            .env("XDG_RUNTIME_DIR", folder)
            .current_dir(folder)
            .stdin(Stdio::null());
        Ok::<Command, Box<dyn Error>>(command)
    };
    let file_name = peers_file.to_str().ok_or("a folder that is no text")?;
    let key_name = key.to_str().ok_or("a folder that is no text")?;
    let started = dataflow(&[
        "agent",
        "--peers",
        file_name,
        "--node",
        "agent",
        "--identity",
        key_name,
    ])?
    .stdout(Stdio::null())
    .stderr(fs::File::create(folder.join("log"))?)
    .spawn()?;
    let agent = Agent(started);
    let deadline = Instant::now() + PATIENCE;
    let look = || {
        let said = dataflow(&["peers", "--json"])?.output()?.stdout;
        let text = String::from_utf8_lossy(&said).into_owned();
        Ok::<_, Box<dyn Error>>((text.matches("\"healthy\"").count(), text))
    };
    loop {
        let (healthy, text) = look()?;
        if healthy >= peers {
            break;
        }
        if Instant::now() > deadline {
            let log = fs::read_to_string(folder.join("log"))?;
            return Err(format!("{healthy} of {peers} are healthy\n{text}\n{log}").into());
        }
        thread::sleep(Duration::from_millis(50));
    }
    let process = agent.0.id();
    let before_ns = processor_ns(process)?;
    let began = Instant::now();
    thread::sleep(rest);
    let share =
        processor_ns(process)?.saturating_sub(before_ns) as f64 / began.elapsed().as_nanos() as f64;
    let (healthy, text) = look()?;
    if healthy < peers {
        return Err(format!("only {healthy} of {peers} stayed healthy at rest\n{text}").into());
    }
    let resident_bytes = resident_bytes(process)?;
    let shown = (0..shown).map(|_| {
        let began = now_ns();
        let said = dataflow(&["peers"])?.output()?;
        if !said.status.success() {
            return Err(String::from_utf8_lossy(&said.stderr).into());
        }
        Ok::<u64, Box<dyn Error>>(now_ns() - began)
    });
    Ok(AtRest {
        processor_percent: 100.0 * share,
        resident_bytes,
        shown: Latencies::new(shown.collect::<Result<_, _>>()?),
    })
}
