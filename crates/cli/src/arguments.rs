//! What can be typed: commands, arguments, and their help.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use dataflow_descriptor::duration_from_text;
use dataflow_runtime::logs::LOG_BYTES_MAX;

use crate::metrics::MetricsArguments;
use crate::models::arguments::ModelsArguments;
use crate::models::rate::LimitRate;
use crate::peers::arguments::PeersArguments;
use crate::top::arguments::TopArguments;

/// One MiB, in bytes.
pub(crate) const MB: u64 = 1024 * 1024;
/// What `--log-mb` is without it.
const LOG_MB_DEFAULT: u64 = LOG_BYTES_MAX / MB;
/// The most that `--log-mb` can be: 1 TiB.
const LOG_MB_MAX: u64 = 1024 * 1024;

/// Runs dataflows: graphs of ordinary programs that pass messages to each other through shared memory.
#[derive(Debug, Parser)]
#[command(
    name = "dataflow",
    version,
    after_help = "Examples:
  dataflow up dataflows/quickstart.yml        run a dataflow, here, until it ends or Ctrl-C
  dataflow up -d flow.yml                     run it in the background
  dataflow ps                                 how it stands
  dataflow top                                what it does at this moment
  dataflow logs -f                            what its nodes say
  dataflow restart detector                   start one node again; what is queued for it is kept
  dataflow down                               stop it; nothing that was sent is lost
  dataflow models pull flow.yml               fetch the models that it needs
  dataflow agent --peers peers.yaml --node a  be the peer `a` of that file, as a service
  dataflow peers                              how the other machines stand

Exit codes: 0 done, 1 a node failed, 2 the input is wrong, 3 something was forced.
Environment: NO_COLOR, DATAFLOW_FORCE_AFTER (as --force-after), DATAFLOW_LOG_MB (as --log-mb),
DATAFLOW_LIMIT_RATE (as --limit-rate), DATAFLOW_METRICS (as --metrics), DATAFLOW_PEERS, DATAFLOW_PEER, DATAFLOW_IDENTITY (as --peers, --node and
--identity of `dataflow agent`),
DATAFLOW_LOG or RUST_LOG (what the runtime itself logs to standard error, `warn` by default)."
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a dataflow
    Up(UpArguments),
    /// Stop a dataflow: everything that was sent is consumed first
    Down(DownArguments),
    /// Park a node: it stops, what is queued for it is kept, and its outputs stay open
    Stop(StopArguments),
    /// Start a node again, also one that is parked
    Restart(RestartArguments),
    /// Show the nodes and edges of what runs
    Ps(PsArguments),
    /// Show what runs, as it runs: rates, latencies, queues, processors, memory
    Top(TopArguments),
    /// Show what the nodes said, also after the end
    Logs(LogsArguments),
    /// Fetch models from the Hub, and see to those that are in the cache
    Models(ModelsArguments),
    /// Run the runtime as a service, on a machine that is a peer
    Agent(AgentArguments),
    /// Show the peers of this machine's agent, and see to their keys
    Peers(PeersArguments),
    /// Check a description, and report everything that is wrong with it
    Check(CheckArguments),
    /// Draw the graph of a description, or of the machines
    Graph(GraphArguments),
}

impl Command {
    /// What is logged when nobody has said what.
    pub(crate) fn log_default(&self) -> &'static str {
        match self {
            // Nobody stays with it: what it logs tells when which peer was lost, and for how long. That the sending of a
            // packet failed is said so too, with the peer that it was meant for.
            Command::Agent(_) => "warn,dataflow_runtime::agent=info,quinn_udp=error",
            // What is logged would stand in the middle of the table.
            Command::Top(_) => "off",
            _ => "warn",
        }
    }
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dataflow up flow.yml                      until it ends; Ctrl-C stops it, a second Ctrl-C forces it
  dataflow up --build flow.yml              run the `build` command of each node first
  dataflow up -d flow.yml                   return when every node is ready
  dataflow up --force-after 10s flow.yml    a stop kills what still lives after 10 s
  dataflow up --no-agent flow.yml           in a process of its own, though an agent runs on this machine
  dataflow up --metrics 127.0.0.1:9090 flow.yml    with figures for Prometheus at http://127.0.0.1:9090/metrics

When an agent runs on this machine (`dataflow agent`), it runs the dataflow, with this command's environment.
A third Ctrl-C then leaves an agent that does not answer; it ends the dataflow as soon as it can.
While it runs attached, the nodes' lines appear as `node | text`. Exit codes: 0 it ended well, 1 a node
failed, 2 the description is wrong or the dataflow runs already, 3 something was forced.")]
pub(crate) struct UpArguments {
    /// The description, a YAML file
    pub(crate) file: PathBuf,
    /// Run in the background: return when every node is ready, or one has failed
    #[arg(short, long)]
    pub(crate) detach: bool,
    /// Run the `build` command of each node first
    #[arg(long)]
    pub(crate) build: bool,
    /// Do not use the agent of this machine: a process of its own runs the dataflow
    #[arg(long)]
    pub(crate) no_agent: bool,
    #[command(flatten)]
    pub(crate) force_after: ForceAfter,
    /// What the log of one node may take on the disk, in MiB: its oldest lines make room for later ones
    #[arg(
        long, value_name = "N", env = "DATAFLOW_LOG_MB", default_value_t = LOG_MB_DEFAULT,
        value_parser = clap::value_parser!(u64).range(1..=LOG_MB_MAX)
    )]
    pub(crate) log_mb: u64,
    #[command(flatten)]
    pub(crate) limit_rate: LimitRate,
    #[command(flatten)]
    pub(crate) metrics: MetricsArguments,
    /// Write one JSON object a line: every log line, state change, and at the end the report
    #[arg(long)]
    pub(crate) json: bool,
    /// This process is the runtime that `up -d` has started
    #[arg(long, hide = true, requires = "json", conflicts_with_all = ["detach", "build"])]
    pub(crate) background: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dataflow down                        the one dataflow that runs in this folder or below
  dataflow down vision                 the one of that name
  dataflow down --now                  do not wait until what is queued has been read; it is listed
  dataflow down --force-after 10s      kill what still lives after 10 s
  dataflow down --force                kill it now

A stop waits for facts, never for a time: it ends when every message is released or its holder is gone,
and says for whom it waits. Exit codes: 0 drained, 1 a node failed, 2 nothing to stop, 3 forced.")]
pub(crate) struct DownArguments {
    /// The dataflow's name, or its YAML file; needed when several run
    pub(crate) dataflow: Option<String>,
    /// Stop ahead of what is queued; the report lists what was left unread
    #[arg(long, conflicts_with = "force")]
    pub(crate) now: bool,
    /// Kill every process of it; reported as forced, with exit code 3
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) force_after: ForceAfter,
    /// Write one JSON object a line: who is waited for, and at the end the report
    #[arg(long)]
    pub(crate) json: bool,
}

/// The only time that ever kills, and only because a person has set it.
#[derive(Debug, Args)]
pub(crate) struct ForceAfter {
    /// Kill what still lives this long after a stop began, as 10s, 500ms or 2min; without it: never
    #[arg(long, value_name = "TIME", env = "DATAFLOW_FORCE_AFTER", value_parser = duration_from_text)]
    pub(crate) force_after: Option<Duration>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dataflow stop detector                 park it; `dataflow restart detector` starts it again
  dataflow stop detector --flow vision   when several dataflows run here
  dataflow stop detector --no-wait       tell it, and return
  dataflow stop detector --force         kill its process now

The node is told to stop with what it has in hand. What is queued for it is kept, and who sends to it with
`queue_policy: block` waits. Until its process has ended it is said who is waited for; only --force kills.
A parked node ends with the dataflow: with `down`, or when its inputs have closed and nothing is queued for it.
Exit codes: 0 it is parked, 1 it has ended or was started again meanwhile, 2 there is no such node, 3 forced.")]
pub(crate) struct StopArguments {
    #[command(flatten)]
    pub(crate) node: NodeArguments,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dataflow restart detector                 with new code, new weights, a new configuration
  dataflow restart detector --flow vision   when several dataflows run here
  dataflow restart detector --no-wait       tell it, and return
  dataflow restart detector --force         kill its process now, and start it again

A node that runs is told to stop with what it has in hand, and the next incarnation goes on with what is queued.
A parked node, and one that waits for its restart, start at once. It does not count for the node's restart policy.
Exit codes: 0 it is ready again, 1 it has ended or was parked meanwhile, 2 there is no such node, 3 forced.")]
pub(crate) struct RestartArguments {
    #[command(flatten)]
    pub(crate) node: NodeArguments,
}

/// One node of a running dataflow, and how it is told something.
#[derive(Debug, Args)]
pub(crate) struct NodeArguments {
    /// The node's name
    pub(crate) node: String,
    /// The dataflow's name, or its YAML file; needed when several run
    #[arg(long, value_name = "NAME|FILE")]
    pub(crate) flow: Option<String>,
    /// Kill its process instead of telling it to stop
    #[arg(long)]
    pub(crate) force: bool,
    /// Return when the node is told, and do not wait until it is so
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// Write one JSON object a line: who is waited for, and at the end how the node stands
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dataflow ps                 everything that runs in this folder or below
  dataflow ps vision          the one of that name
  dataflow ps --json          a list of objects

SENT and RECEIVED count messages. On an edge, sent = delivered + dropped + queued, and
delivered = released + held + lost.")]
pub(crate) struct PsArguments {
    /// The dataflow's name, or its YAML file
    pub(crate) dataflow: Option<String>,
    /// Write a list of JSON objects
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dataflow logs                         the newest run in this folder or below
  dataflow logs flow.yml camera -n 20   the last 20 lines of one node
  dataflow logs -f                      and go on until the run ends
  dataflow logs vision --run RUN        an earlier run; the last 10 are kept

Log files are JSON lines in .dataflow/runs/RUN/NODE.log beside the YAML file. When a node's log has come to its
limit (`up --log-mb`), its oldest lines are thrown away, and this says how many.")]
pub(crate) struct LogsArguments {
    /// The dataflow's name, or its YAML file; without it, the newest run
    pub(crate) dataflow: Option<String>,
    /// Only these nodes
    pub(crate) nodes: Vec<String>,
    /// Go on until the run ends
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Begin with the last N lines
    #[arg(short = 'n', long, value_name = "N")]
    pub(crate) lines: Option<usize>,
    /// A run other than the newest, as `dataflow up` and `dataflow ps` name it
    #[arg(long)]
    pub(crate) run: Option<String>,
    /// Write one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dataflow agent --peers peers.yaml --node gpu-a                          until Ctrl-C or SIGTERM
  dataflow agent --peers peers.yaml --node gpu-a --listen 0.0.0.0:50051   behind an address that is not its own
  systemctl --user enable --now dataflow-agent                            as a service, with the unit of this project

It is one peer of the file: it reaches the others over QUIC (UDP), watches them, and lets in only those whose key the
file names. `dataflow peers` shows them. The file may change while it runs; a wrong one changes nothing, and is said.
While it runs, `dataflow up` runs dataflows on it. One agent runs for a user on a machine.

Ctrl-C or SIGTERM stops it: first what runs on it, as `dataflow down` does, without a limit of time; a second Ctrl-C
forces that. Exit codes: 0 stopped, 1 it could not listen or go on, 2 the file, the key or the id is wrong, or an agent
runs already.")]
pub(crate) struct AgentArguments {
    /// The file that says who the peers are
    #[arg(long, value_name = "FILE", env = "DATAFLOW_PEERS")]
    pub(crate) peers: PathBuf,
    /// Which of them this machine is
    #[arg(long, value_name = "ID", env = "DATAFLOW_PEER")]
    pub(crate) node: String,
    /// The file of this machine's key, made if there is none; else $DATAFLOW_IDENTITY, else
    /// ~/.config/dataflow/identity.pem
    #[arg(long, value_name = "FILE")]
    pub(crate) identity: Option<PathBuf>,
    /// Where to listen, as `IP:PORT` or `[v6]:PORT`, when that is not its address in the file
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<SocketAddr>,
    #[command(flatten)]
    pub(crate) metrics: MetricsArguments,
    /// Write one JSON object a line: ready, every change of a peer, every reload, every dataflow
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dataflow check flow.yml
  dataflow check --json flow.yml
  dataflow check --peers peers.yaml flow.yml    and whether its nodes have a place on these machines

Exit codes: 0 it can run (there may be warnings), 2 it cannot.")]
pub(crate) struct CheckArguments {
    /// The description, a YAML file
    pub(crate) file: PathBuf,
    /// A file of peers: `peer:` names one of them, and what `requires:` asks for some of them may have
    #[arg(long, value_name = "FILE")]
    pub(crate) peers: Option<PathBuf>,
    /// Write one JSON object with all diagnostics
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dataflow graph flow.yml
  dataflow graph --format mermaid flow.yml
  dataflow graph --format dot flow.yml | dot -Tsvg > flow.svg
  dataflow graph --peers                    the machines, as the agent of this one sees them
  dataflow graph --peers peers.yaml         the machines of a file, without an agent")]
pub(crate) struct GraphArguments {
    /// The description, a YAML file
    #[arg(required_unless_present = "peers", conflicts_with = "peers")]
    pub(crate) file: Option<PathBuf>,
    /// Draw the peers instead: those of this machine's agent, or those of a file
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    pub(crate) peers: Option<Option<PathBuf>>,
    /// How to draw it
    #[arg(long, value_enum, default_value_t = GraphFormat::Ascii)]
    pub(crate) format: GraphFormat,
}

/// How a graph is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum GraphFormat {
    /// Lines of text
    Ascii,
    /// For Markdown
    Mermaid,
    /// For Graphviz
    Dot,
    /// For programs
    Json,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definitions_agree_with_each_other() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_has_examples() {
        let arguments = Arguments::command();
        let commands = arguments.get_subcommands();
        for command in
            commands.flat_map(|command| std::iter::once(command).chain(command.get_subcommands()))
        {
            let help = command.get_after_help().map(ToString::to_string);
            assert!(
                help.is_some_and(|help| help.starts_with("Examples:")),
                "{}",
                command.get_name()
            );
        }
    }
}
