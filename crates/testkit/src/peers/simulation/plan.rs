//! What a seed chooses: machines, how they watch each other, the paths between them, and what goes wrong when.

use std::net::SocketAddr;
use std::time::Duration;

use dataflow_core::Time;
use dataflow_core::peers::{HealthCheck, recovery_bound};
use dataflow_ids::{Fingerprint, PeerId};

use super::path::Path;
use super::troubles::Trouble;
use crate::simulation::Draw;

/// When the first thing may go wrong.
const CALM: Duration = Duration::from_secs(20);
/// A packet is sent again after three times what it takes, and this.
const RESEND_LEAST: Duration = Duration::from_millis(2);

/// Names, in no order.
const NAMES: [&str; 5] = ["node-c", "node-a", "node-e", "node-b", "node-d"];

/// All that a seed chooses before anything happens.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) health_check: HealthCheck,
    /// The machines of the file; a further one, if there is one, has the name and key of the first.
    pub(super) machines: usize,
    /// Names by place; the one of the second agent comes last.
    pub(super) names: Vec<PeerId>,
    /// Paths from each place to each.
    pub(super) paths: Vec<Vec<Path>>,
    /// After so long a packet that has not arrived is sent again, for the first time.
    pub(super) resend: Duration,
    /// Whether a machine says that nobody listens on a port.
    pub(super) refuses: bool,
    /// Whether an agent that was started anew can tell others that it has forgotten their connections.
    pub(super) resets_survive: bool,
    /// What goes wrong, and from when until when.
    pub(super) troubles: Vec<(Time, Time, Trouble)>,
    /// By then everybody must be healthy: nothing has been wrong for long enough.
    pub(super) healthy_by: Time,
    pub(super) end: Time,
}

impl Plan {
    pub(super) fn of(seed: u64) -> Plan {
        let mut draw = Draw::new(seed, 1);
        let machines = draw.between(2, 5) as usize;
        let timeout_ms = draw.one_of(&[500, 2000, 5000]);
        let health_check = HealthCheck {
            interval: Duration::from_secs(draw.one_of(&[1, 5, 30])),
            timeout: Duration::from_millis(timeout_ms),
            unreachable_after: draw.between(1, 4) as u32,
        };
        let has_twin = draw.percent(25);
        let mut names: Vec<PeerId> = NAMES
            .iter()
            .cycle()
            .skip(draw.place(NAMES.len()))
            .take(machines)
            .map(|name| name.parse().expect("the name of a peer"))
            .collect();
        names.extend(has_twin.then(|| names[0].clone()));
        // A handshake of four messages, each lost as often as can be, is done within the timeout.
        let longest_us = (timeout_ms * 1000 / 40 - 2000) / 3;
        let path = |draw: &mut Draw| {
            let delay_us = draw.between(100, longest_us / 2);
            let jitter_us = draw.between(0, longest_us - delay_us);
            let lost_percent = draw.one_of(&[0, 0, 1, 5, 10]);
            Path::new(
                Duration::from_micros(delay_us),
                Duration::from_micros(jitter_us),
                lost_percent,
            )
        };
        let paths = (0..names.len())
            .map(|_| (0..names.len()).map(|_| path(&mut draw)).collect())
            .collect();
        let active = Duration::from_secs(draw.between(60, 300));
        let mut quiet_from = Time(CALM + active);
        let mut troubles = Vec::new();
        for number in 0..draw.between(1, 7) {
            let from = Time(CALM + draw.millis(0, active.as_millis() as u64));
            let is_long = draw.percent(50);
            let lasts = draw.millis(50, if is_long { 90_000 } else { 8000 });
            let trouble = match (has_twin, number) {
                (true, 0) => Trouble::SecondAgent,
                _ => Trouble::of(&mut draw, machines, timeout_ms),
            };
            quiet_from = quiet_from.max(from.after(lasts));
            troubles.push((from, from.after(lasts), trouble));
        }
        let healthy_by = quiet_from
            .after(recovery_bound(health_check))
            .after(Duration::from_secs(1));
        Plan {
            health_check,
            machines,
            names,
            paths,
            resend: Duration::from_micros(longest_us) * 3 + RESEND_LEAST,
            refuses: draw.percent(50),
            resets_survive: draw.percent(50),
            troubles,
            healthy_by,
            end: healthy_by.after(health_check.interval * 3 + Duration::from_secs(30)),
        }
    }
}

/// Where a machine listens that has moved so often.
pub(super) fn address(place: usize, moves: usize) -> SocketAddr {
    let [place, moves] = [place, moves].map(|it| u8::try_from(it).unwrap_or(u8::MAX));
    ([10, 0, moves, place], 50051).into()
}

/// The key of a machine that has had so many before.
pub(super) fn key(place: usize, before: usize) -> Fingerprint {
    let [place, before] = [place, before].map(|it| u8::try_from(it).unwrap_or(u8::MAX));
    let mut bytes = [0; 32];
    bytes[0] = place;
    bytes[1] = before;
    Fingerprint(bytes)
}
