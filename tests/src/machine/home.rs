//! One machine: its host, its home, its files.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use dataflow_wire::peers::PeersStatus;

use super::agent::Agent;
use super::file::PeerEntry;
use crate::command::{Command, Finished};
use crate::hosts::{Host, Network};
use crate::project::Project;
use crate::report;

/// Where agents listen. Each host has all ports for itself.
const PORT: u16 = 50051;

/// A machine with the binary under test, in a network.
#[derive(Debug)]
pub struct Machine {
    id: String,
    fingerprint: String,
    // Before the host: the programs that run there end first.
    project: Project,
    host: Host,
}

impl Machine {
    /// A new machine, plugged in, with a key. `test` and `id` together are unique among the tests.
    ///
    /// # Panics
    ///
    /// When it cannot be made.
    pub fn new(network: &Network, test: &str, id: &str) -> Machine {
        let project = Project::new(&format!("{test}-{id}"));
        let shown = project.dataflow(["peers", "id"]).run().expect_code(0);
        Machine {
            id: id.to_owned(),
            fingerprint: shown.output().trim().to_owned(),
            project,
            host: network.host(),
        }
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The fingerprint of its key.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Its place in the network.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Its home, in which its commands run.
    pub fn project(&self) -> &Project {
        &self.project
    }

    /// Where its agent listens, by IPv4.
    pub fn address(&self) -> SocketAddr {
        self.address_on(self.host.v4())
    }

    /// Where its agent listens on this address of its host.
    pub fn address_on(&self, ip: IpAddr) -> SocketAddr {
        (ip, PORT).into()
    }

    /// What others write of it into their files.
    pub fn entry(&self) -> PeerEntry {
        PeerEntry {
            id: self.id.clone(),
            address: self.address(),
            fingerprints: vec![self.fingerprint.clone()],
            capabilities: "",
        }
    }

    /// Its file of peers.
    pub fn file(&self) -> PathBuf {
        self.project.folder().join("peers.yaml")
    }

    /// Writes its file of peers, as most editors do: beside it, and then in its place.
    ///
    /// # Panics
    ///
    /// When it cannot be written.
    pub fn write(&self, text: impl Display) {
        let beside = self.project.folder().join("peers.yaml.new");
        std::fs::write(&beside, text.to_string()).expect("a home can be written");
        std::fs::rename(&beside, self.file()).expect("a file can be renamed");
    }

    /// The binary under test, in its home, to be started on its host.
    pub fn dataflow<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        self.project.dataflow(arguments)
    }

    /// Runs the binary under test to its end, on its host.
    ///
    /// # Panics
    ///
    /// When it does not end.
    pub fn run<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Finished {
        self.host.start(self.dataflow(arguments)).wait()
    }

    /// The command that starts its agent.
    pub fn agent_command(&self) -> Command {
        self.dataflow(["agent", "--json", "--node", &self.id, "--peers"])
            .arg(self.file())
    }

    /// Starts its agent, and waits until it listens.
    ///
    /// # Panics
    ///
    /// When it does not come to that.
    pub fn start(&self) -> Agent {
        self.start_as(self.agent_command())
    }

    /// As [`Machine::start`], with another command.
    ///
    /// # Panics
    ///
    /// As there.
    pub fn start_as(&self, command: Command) -> Agent {
        Agent::started(&self.id, self.host.start(command))
    }

    /// What `dataflow peers` shows.
    ///
    /// # Panics
    ///
    /// When no agent runs here, or it does not answer.
    pub fn status(&self) -> PeersStatus {
        let shown = self.run(["peers", "--json"]).expect_code(0);
        report::read(&shown.output())
    }
}
