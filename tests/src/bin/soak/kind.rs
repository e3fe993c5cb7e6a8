//! The kinds of cycles.

use clap::ValueEnum;
use dataflow_tests::Random;

use crate::tally::Tally;
use crate::{chaos, node_kills, oddities, runtime_kills, standstills, stops, volume};

/// What a cycle does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Kind {
    /// SIGKILL of nodes, at named points and at any moment
    NodeKills,
    /// Stops under load
    Stops,
    /// Kills, pauses, nodes parked and restarted, and stops of every kind, all at once
    Chaos,
    /// SIGKILL of the runtime
    RuntimeKills,
    /// SIGSTOP of nodes for 10 s, then SIGCONT
    Standstills,
    /// Messages with `block`, as fast as they go
    Messages,
    /// Messages held for a minute, floods of output, workers, closed descriptors
    Oddities,
}

impl Kind {
    /// With how many tickets each takes part when chance chooses. Long cycles have few.
    const WEIGHTS: [(Kind, u64); 7] = [
        (Kind::NodeKills, 30),
        (Kind::Stops, 60),
        (Kind::Chaos, 60),
        (Kind::RuntimeKills, 30),
        (Kind::Standstills, 1),
        (Kind::Messages, 2),
        (Kind::Oddities, 3),
    ];

    pub(crate) fn any(random: &mut Random) -> Kind {
        let tickets: Vec<Kind> = Kind::WEIGHTS
            .iter()
            .flat_map(|(kind, weight)| std::iter::repeat_n(*kind, *weight as usize))
            .collect();
        *random.choose(&tickets)
    }

    /// As it is typed.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::NodeKills => "node-kills",
            Kind::Stops => "stops",
            Kind::Chaos => "chaos",
            Kind::Oddities => "oddities",
            Kind::RuntimeKills => "runtime-kills",
            Kind::Standstills => "standstills",
            Kind::Messages => "messages",
        }
    }

    /// How much of `count` one cycle does, when so many run at a time.
    pub(crate) fn share(self, count: u64, jobs: u64) -> u64 {
        match self {
            Kind::NodeKills => node_kills::DEATHS,
            Kind::Stops | Kind::Chaos | Kind::Oddities => 1,
            Kind::RuntimeKills => runtime_kills::KILLS,
            Kind::Standstills => standstills::NODES,
            Kind::Messages => count.div_ceil(jobs.max(1)).min(volume::MESSAGES_MAX),
        }
    }

    /// Does one cycle; about `left` of what it counts, when that is less than a whole cycle.
    ///
    /// # Panics
    ///
    /// When something does not hold.
    pub(crate) fn cycle(self, seed: u64, left: u64) -> Tally {
        let mut random = Random::new(seed);
        match self {
            Kind::NodeKills => node_kills::cycle(&mut random, left),
            Kind::Stops => stops::cycle(&mut random),
            Kind::Chaos => chaos::cycle(&mut random),
            Kind::Oddities => oddities::cycle(&mut random),
            Kind::RuntimeKills => runtime_kills::cycle(&mut random, left),
            Kind::Standstills => standstills::cycle(&mut random, left),
            Kind::Messages => volume::cycle(&mut random, left),
        }
    }
}
