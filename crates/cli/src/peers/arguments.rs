//! What can be typed after `dataflow peers`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  dataflow peers                 how the peers of this machine's agent stand
  dataflow peers --json          the same, for programs
  dataflow peers check           everything that is wrong with the file of peers
  dataflow peers id              the fingerprint of this machine's key, for the files of the others
  dataflow peers pin node1       ask node1 for its key, compare, and record it in the file

Marks: ● healthy, ◐ degraded (not connected at this moment, or slow), ✗ unreachable, ⛔ rejected (it is there, and it is
not what the file says). Every peer of the file is shown, whatever its state.
Exit codes: 0 shown, 1 the agent does not answer, 2 no agent runs here."
)]
pub(crate) struct PeersArguments {
    #[command(subcommand)]
    pub(crate) command: Option<PeersCommand>,
    /// Write one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PeersCommand {
    /// Check a file of peers, and report everything that is wrong with it
    Check(CheckArguments),
    /// Print the fingerprint of this machine's key; the key is made if there is none
    Id(IdArguments),
    /// Ask a peer for its key, show it, and record it in the file of peers
    Pin(PinArguments),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dataflow peers check                          the file of the agent that runs here, else ./peers.yaml
  dataflow peers check peers.yaml
  dataflow peers check peers.yaml --node gpu-a  and what it says about this machine, which is gpu-a: it is listed, no
                                                other entry leads here, and it has what it declares
  dataflow peers check --json peers.yaml

Exit codes: 0 it can be used (there may be warnings), 2 it cannot.")]
pub(crate) struct CheckArguments {
    /// The file of peers; else that of the agent that runs here, else ./peers.yaml
    pub(crate) file: Option<PathBuf>,
    /// Which of the peers this machine is
    #[arg(long, value_name = "ID")]
    pub(crate) node: Option<String>,
    /// Write one JSON object with all diagnostics
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dataflow peers id
  dataflow peers id --identity /etc/dataflow/identity.pem
  dataflow peers id --json

The fingerprint is the SHA-256 of the public key. It is no secret: write it into `fingerprint` of this machine's entry
in the files of the others, or let them ask for it with `dataflow peers pin`. The key itself stays on this machine.")]
pub(crate) struct IdArguments {
    /// The file of the key; else $DATAFLOW_IDENTITY, else ~/.config/dataflow/identity.pem
    #[arg(long, value_name = "FILE")]
    pub(crate) identity: Option<PathBuf>,
    /// Write one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dataflow peers pin node1                        ask, show, and record it once you have said yes
  dataflow peers pin --all                        every peer of the file, one after the other
  dataflow peers pin node1 --rotate               keep the key that is recorded as a second one, until node1 has changed
  dataflow peers pin --all --yes --peers p.yaml   without a question: only on a network where nobody can sit in between

The agent of that peer must run. Compare what it shows with what `dataflow peers id` prints on that machine: whoever sits
in between would show another one. Only the entry's `fingerprint` is changed in the file; agents that use it see it at
once. Exit codes: 0 recorded or recorded before, 1 a peer did not answer or you said no, 2 the file or the peer is wrong.")]
pub(crate) struct PinArguments {
    /// The peer's id
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub(crate) peer: Option<String>,
    /// Every peer of the file
    #[arg(long)]
    pub(crate) all: bool,
    /// The file of peers; else that of the agent that runs here, else ./peers.yaml
    #[arg(long, value_name = "FILE")]
    pub(crate) peers: Option<PathBuf>,
    /// Record without a question
    #[arg(long)]
    pub(crate) yes: bool,
    /// Keep the key that is recorded as a second one
    #[arg(long)]
    pub(crate) rotate: bool,
    /// Write one JSON object a line, for each peer
    #[arg(long, requires = "yes")]
    pub(crate) json: bool,
}
