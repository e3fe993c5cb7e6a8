//! I-12: no load, download or stall on this machine makes a live peer unreachable. Two agents watch each other while
//! four downloads run flat out, gigabytes are hashed, the `DownloadActor` blocks its thread, a dataflow sends without a
//! pause, and the memory that there may be is nearly full.
//!
//! In a binary of its own, so that no other test runs beside it: what is measured here is who has the processor.

mod agents;
mod flow;
#[path = "../liveness/load.rs"]
mod load;
mod memory;

use std::fmt;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use dataflow_runtime::models::{ActorFault, FetchLimits, HubFetcher, ModelService, Models};
use dataflow_tests::Lateness;
use dataflow_wire::status::ModelState;

use agents::{Agent, Part, open, watched_by};
use load::Load;

/// What 99 of 100 probes should keep to.
const GOAL: Duration = Duration::from_millis(250);
/// What is asserted: other people's machines are busy.
const LIMIT: Duration = Duration::from_millis(2500);

/// Where the network of an agent lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Arrangement {
    /// As in a real agent: on a thread of its own.
    Apart,
    /// Where the `DownloadActor` is.
    WithDownloads,
}

/// What the two agents felt of each other.
struct Felt {
    /// The answers that each had.
    round_trips: [Lateness; 2],
    /// Every change of the state of one, as the other one says it.
    transitions: Vec<String>,
}

impl Felt {
    fn is_alive(&self) -> bool {
        let in_time = |round_trips: &Lateness| {
            round_trips.count() > 20 && round_trips.percentile(99.0) < LIMIT
        };
        self.round_trips.iter().all(in_time) && self.transitions.is_empty()
    }
}

impl fmt::Display for Felt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [here, there] = &self.round_trips;
        writeln!(f, "goal: p99 under {GOAL:?}, no transition")?;
        writeln!(f, "  round trips of probes from the loaded agent: {here}")?;
        writeln!(f, "  round trips of probes to the loaded agent:   {there}")?;
        write!(f, "  transitions: {:?}", self.transitions)
    }
}

/// Two agents watch each other for `block`, during which the `DownloadActor` of one is blocked; under a load if there is
/// to be one.
fn watch(arrangement: Arrangement, block: Duration, with_load: bool) -> Felt {
    let place = tempfile::tempdir().expect("a temporary folder can be made");
    let folder = place.path();
    let slow = load::slow_hub();
    let settings = load::settings(&slow, &folder.join("cache"));
    let (to_here, from_models) = channel();
    let models = ModelService::start(move || {
        // What this closure starts belongs to the thread of the `DownloadActor`.
        if arrangement == Arrangement::WithDownloads {
            to_here
                .send(open("loaded", Part::Shared))
                .expect("it is waited for");
        }
        HubFetcher::new(settings, FetchLimits::default(), load::pool()).expect("its threads start")
    })
    .expect("its thread starts");
    let loaded = match arrangement {
        Arrangement::Apart => open("loaded", Part::Own),
        Arrangement::WithDownloads => from_models.recv().expect("it sends it"),
    };
    let other = open("other", Part::Own);
    let entries = [loaded.entry(), other.entry()];
    let (loaded, other) = (
        Agent::start(loaded, &entries, LIMIT),
        Agent::start(other, &entries, LIMIT),
    );
    for agent in [&loaded, &other] {
        watched_by(agent);
    }

    let load = with_load.then(|| {
        let flow = flow::Flow::begin(folder);
        let load = Load::begin(load::hub(), &folder.join("caches"));
        (flow, load, memory::fill())
    });
    loaded.begin_to_count();
    other.begin_to_count();
    let began = Instant::now();
    models.strike(ActorFault::Block(block));
    // Who wants something now is heard when the actor is free again.
    let mut wanted = models.want(load::order("acme/slow"));
    let waiting = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("an event loop");
    waiting.block_on(async {
        while wanted.view().state == ModelState::Waiting {
            assert!(wanted.changed().await, "the service has gone");
        }
    });
    assert!(began.elapsed() >= block, "it was not blocked");
    // Before one of them hears that the other one ends.
    let transitions = [loaded.transitions(), other.transitions()].concat();
    let round_trips = [loaded, other].map(Agent::end);
    if let Some((flow, load, memory)) = load {
        drop(memory);
        memory::say(&format!("{}", load.end()));
        let messages = flow.end();
        memory::say(&format!("{messages} messages from node to node meanwhile"));
    }
    Felt {
        round_trips,
        transitions,
    }
}

#[test]
fn no_load_download_or_stall_makes_a_live_peer_unreachable() {
    // `make soak` takes longer.
    let soaks = std::env::var_os("DATAFLOW_SOAK").is_some();
    let block = Duration::from_secs(if soaks { 300 } else { 30 });
    let felt = watch(Arrangement::Apart, block, true);
    memory::say(&felt.to_string());
    assert!(felt.is_alive(), "{felt}");
}

/// So the test above can fail. The block alone is enough for that.
#[test]
fn with_the_network_where_the_download_actor_is_that_test_fails() {
    let felt = watch(Arrangement::WithDownloads, 4 * LIMIT, false);
    memory::say(&format!("with downloads: {felt}"));
    assert!(!felt.transitions.is_empty(), "{felt}");
}
