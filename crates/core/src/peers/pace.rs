//! How long everything about a peer takes: what `health_check` in the file implies, and the bounds that follow from it.

use std::net::SocketAddr;
use std::time::Duration;

use super::{HealthCheck, PeerTarget};
use crate::Time;
use crate::random::pick;

/// The transport says something on a connection at least so often.
pub const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// A connection on which nothing comes for so long has ended.
pub const IDLE: Duration = Duration::from_secs(15);
/// So many answers in a row, in time, make a peer healthy.
pub const SUCCESSES: u32 = 2;

/// The wait before the first new dial is between nothing and this; it doubles with each.
const DIAL_BASE: Duration = Duration::from_millis(500);
/// No dial waits longer for its turn.
const DIAL_WAIT_MAX: Duration = Duration::from_secs(30);
/// A peer that is not what the file says is dialled again after so long at most, and half of it at least: a person has
/// to change something first, and the other side counts every such visit.
const REJECTED_WAIT_MAX: Duration = Duration::from_secs(30);
/// The control loop of an agent beats once a second; below this its silence says nothing.
const CONTROL_SILENCE_LEAST: Duration = Duration::from_secs(3);
/// Whoever is probed more often than once in 20 ms takes that for a flood, and hangs up.
const QUICK_LEAST: Duration = Duration::from_millis(25);
/// The control loop of an agent beats at least so often,
const BEAT: Duration = Duration::from_secs(1);
/// and at least so often in the time by which it is late when it was stalled.
const BEATS_IN_STALL: u32 = 4;
/// A machine that is busy lets a loop wait for less than this every now and then.
const STALL_LEAST: Duration = Duration::from_millis(250);
/// A file cannot say less than this, and who builds a [`HealthCheck`] by hand must not make a machine spin.
const LEAST: Duration = Duration::from_millis(10);

/// The waits that follow from a [`HealthCheck`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pace(HealthCheck);

impl Pace {
    pub(super) fn new(health_check: HealthCheck) -> Pace {
        Pace(HealthCheck {
            interval: health_check.interval.max(LEAST),
            timeout: health_check.timeout.max(LEAST),
            unreachable_after: health_check.unreachable_after.max(1),
        })
    }

    /// How long an answer may take.
    pub(super) fn timeout(self) -> Duration {
        self.0.timeout
    }

    /// After so many misses in a row a peer is unreachable.
    pub(super) fn misses_max(self) -> u32 {
        self.0.unreachable_after
    }

    /// The longest time between the answer of a healthy peer and the next probe.
    fn steady_max(self) -> Duration {
        self.0.interval.saturating_add(self.0.interval / 10)
    }

    /// Between two probes of a healthy peer: a tenth more or less than the interval, so that an agent does not hear
    /// from all of its peers at once.
    pub(super) fn steady(self, random: u64) -> Duration {
        let least = self.0.interval - self.0.interval / 10;
        pick(random, least, self.steady_max())
    }

    /// Between an answer or a miss and the next probe of a peer that is connected and not healthy.
    pub(super) fn quick(self) -> Duration {
        (self.0.timeout / 5).min(self.0.interval).max(QUICK_LEAST)
    }

    /// Dials that fail at once are no misses if they follow the last one sooner than this: an agent that is started
    /// anew refuses a few within a second.
    pub(super) fn between_misses(self) -> Duration {
        self.0.timeout / 2
    }

    /// The wait before a dial after `failed` that have failed: full jitter, evenly spread between nothing and an end
    /// that doubles (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
    pub(super) fn dial_wait(self, failed: u32, patience: Patience, random: u64) -> Duration {
        let cap = match patience {
            Patience::ToFindOut => self.0.timeout.min(DIAL_WAIT_MAX),
            Patience::ForEver => self.dial_wait_max(),
        };
        let factor = 1_u32.checked_shl(failed).unwrap_or(u32::MAX);
        let longest = DIAL_BASE.saturating_mul(factor).min(cap);
        pick(random, Duration::ZERO, longest)
    }

    fn dial_wait_max(self) -> Duration {
        (self.0.interval.max(self.0.timeout)).min(DIAL_WAIT_MAX)
    }

    /// The wait before a peer that was not what the file says is dialled again.
    pub(super) fn rejected_wait(random: u64) -> Duration {
        pick(random, REJECTED_WAIT_MAX / 2, REJECTED_WAIT_MAX)
    }

    /// For so long a stranger in a peer's place is remembered: longer than who is refused stays away.
    pub(super) fn stranger_memory() -> Duration {
        REJECTED_WAIT_MAX * 2
    }

    /// The network ends every dial within the timeout; one of which nothing is heard for so long is given up.
    pub(super) fn dial_given_up(self) -> Duration {
        self.0.timeout.saturating_mul(2)
    }

    /// From so long on the silence of a peer's control loop counts.
    pub(super) fn control_silence(self) -> Duration {
        self.0.timeout.max(CONTROL_SILENCE_LEAST)
    }

    /// A loop that is late by this much was stalled: it may have missed answers that were there.
    pub(super) fn stall(self) -> Duration {
        (self.0.timeout / 2).max(STALL_LEAST)
    }
}

/// How eager dials are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// It is not known yet whether the peer is unreachable: some dials have to tell.
    ToFindOut,
    /// It is unreachable, and dialled for ever.
    ForEver,
}

/// Whether a peer may be dialled and let in at all: a peer off loopback without a fingerprint may not.
#[must_use]
pub fn is_trusted(target: &PeerTarget) -> bool {
    !target.fingerprints.is_empty() || is_loopback(target.address)
}

/// Whether an address is this very machine's; also as IPv6 writes IPv4.
#[must_use]
pub fn is_loopback(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

/// So long after the last packet of a peer that was connected it is called unreachable, at the latest, if it stays away
/// and this agent runs.
///
/// With `I` the interval, `T` the timeout, `n` the misses that make it unreachable, and `Q = max(25 ms, min(T/5, I))` the
/// quick pause,
/// the later of
///
/// - `1.1 I + n T + (n − 1) Q`: the transport lives, and nobody answers probes. The next probe is that late; each has `T`,
///   and between two of them there is the quick pause;
/// - `max(T, min(1.1 I + T, IDLE + KEEP_ALIVE)) + W + T + (n − 1) max(5 T/2, 2 T + Q + W)`, `W = min(500 ms, T)`: the
///   transport is dead, and that is noticed in the worst moment, which is just before a probe would have been missed. It
///   is noticed after `IDLE + KEEP_ALIVE` (the last own packet begins the idle time anew). Then the first dial waits for
///   up to `W`, and has `T`. Between two misses there are at most `T` and `Q` for a probe that is not missed any more,
///   and again `W` and `T`; or a dial that fails `T/2` after the last miss, just too early to count, a wait of up to `T`,
///   and a dial that has `T`. (A connection that had to give way to another one that never comes is waited for for `T`.)
#[must_use]
pub fn detection_bound(health_check: HealthCheck) -> Duration {
    let pace = Pace::new(health_check);
    let (timeout, misses) = (pace.timeout(), pace.misses_max());
    let silent = pace
        .steady_max()
        .saturating_add(timeout.saturating_mul(misses))
        .saturating_add(pace.quick().saturating_mul(misses - 1));
    let first_dial = DIAL_BASE.min(timeout);
    let noticed = (pace.steady_max().saturating_add(timeout))
        .min(IDLE + KEEP_ALIVE)
        .max(timeout);
    let between = (pace
        .between_misses()
        .saturating_add(timeout.saturating_mul(2)))
    .max(
        timeout
            .saturating_mul(2)
            .saturating_add(pace.quick())
            .saturating_add(first_dial),
    );
    let lost = noticed
        .saturating_add(first_dial)
        .saturating_add(timeout)
        .saturating_add(between.saturating_mul(misses - 1));
    silent.max(lost)
}

/// So long after a network is good again (the round trip is below a quarter of the timeout), and both agents run and
/// list each other, they call each other healthy, at the latest.
///
/// A connection that is dead has to end (`IDLE + KEEP_ALIVE`), and a probe on one that lives to be due (`1.1 I`). A dial
/// that has begun before has `T`; the next one waits for up to the longest wait, has `T`, and may meet a connection that
/// the other side holds for alive: then that one is probed for `T`. A side whose connection had to give way waits `T` for
/// the one that takes its place. Then there are `SUCCESSES`
/// answers, a quick pause apart, each within `T`.
#[must_use]
pub fn recovery_bound(health_check: HealthCheck) -> Duration {
    let pace = Pace::new(health_check);
    let timeout = pace.timeout();
    let waits = pace.dial_wait_max().max(REJECTED_WAIT_MAX);
    (IDLE + KEEP_ALIVE)
        .max(pace.steady_max())
        .saturating_add(waits)
        .saturating_add(timeout.saturating_mul(4))
        .saturating_add((timeout.saturating_add(pace.quick())).saturating_mul(SUCCESSES))
}

/// Finds out that the own loop was stalled: whoever did not run has missed answers that were there, and accuses nobody.
#[derive(Debug, Clone)]
pub struct SelfCheck {
    due: Option<Time>,
    late_max: Duration,
    /// For how long the machine had slept, in all, at the last beat.
    slept: Duration,
}

impl SelfCheck {
    /// A loop that has not beaten yet. It was stalled when it is late by more than half of the timeout, and by more than a
    /// busy machine makes it at any time.
    #[must_use]
    pub fn new(health_check: HealthCheck) -> SelfCheck {
        SelfCheck {
            due: None,
            late_max: Pace::new(health_check).stall(),
            slept: Duration::ZERO,
        }
    }

    /// The timeout has changed.
    pub fn configure(&mut self, health_check: HealthCheck) {
        self.late_max = Pace::new(health_check).stall();
    }

    /// After how long the loop has to beat again: often enough that a stall is seen.
    #[must_use]
    pub fn beat_every(&self) -> Duration {
        BEAT.min(self.late_max / BEATS_IN_STALL)
    }

    /// The loop beats. `slept` is for how long the machine was suspended, in all, while the clock of `now` stood still:
    /// its peers were not. For how long the loop did not run, if that was too long.
    pub fn beat(&mut self, now: Time, slept: Duration) -> Option<Duration> {
        let slept_before = std::mem::replace(&mut self.slept, slept);
        let due = self.due.replace(now.after(self.beat_every()))?;
        let late = now
            .since(due)
            .saturating_add(slept.saturating_sub(slept_before));
        (late > self.late_max).then_some(late)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_jitter_begins_at_nothing_doubles_and_is_bounded_by_what_has_to_be_found_out() {
        let pace = Pace::new(HealthCheck::default());
        let most = |failed, patience| pace.dial_wait(failed, patience, u64::MAX);
        for (failed, ms) in [(0, 500), (1, 1000), (2, 2000), (3, 4000), (4, 5000)] {
            assert_eq!(
                most(failed, Patience::ToFindOut),
                Duration::from_millis(ms),
                "after {failed}"
            );
            assert_eq!(pace.dial_wait(failed, Patience::ForEver, 0), Duration::ZERO);
        }
        assert_eq!(most(40, Patience::ForEver), DIAL_WAIT_MAX);
        assert_eq!(
            Pace::rejected_wait(0),
            Duration::from_secs(15),
            "who is rejected is dialled more slowly than who is not"
        );
    }

    #[test]
    fn the_bounds_of_the_defaults_are_those_of_the_documentation() {
        let health_check = HealthCheck::default();
        // 20 s + 0.5 s + 5 s + 2 × 12.5 s, and 33 s + 15 s + 2 s.
        assert_eq!(detection_bound(health_check), Duration::from_millis(50_500));
        let slow = HealthCheck {
            interval: Duration::from_secs(60),
            ..health_check
        };
        assert_eq!(detection_bound(slow), Duration::from_secs(66 + 15 + 2));
        let eager = HealthCheck {
            interval: Duration::from_secs(1),
            timeout: Duration::from_millis(500),
            unreachable_after: 3,
        };
        // 1.1 s + 0.5 s, 0.5 s + 0.5 s, and twice 1 s + 0.1 s + 0.5 s: it does not wait for the transport.
        assert_eq!(detection_bound(eager), Duration::from_millis(5800));
    }

    #[test]
    fn small_timeouts_neither_flood_peers_with_probes_nor_take_every_hiccup_for_a_stall() {
        let ms = Duration::from_millis;
        let small = Pace::new(HealthCheck {
            interval: ms(100),
            timeout: ms(100),
            unreachable_after: 1,
        });
        assert_eq!((small.quick(), small.stall()), (ms(25), ms(250)));
        let usual = Pace::new(HealthCheck::default());
        assert_eq!((usual.quick(), usual.stall()), (ms(1000), ms(2500)));
    }

    #[test]
    fn a_loop_that_is_late_by_more_than_half_of_the_timeout_was_stalled() {
        let never = Duration::ZERO;
        let at = |ms| Time(Duration::from_millis(ms));
        let mut check = SelfCheck::new(HealthCheck::default());
        assert_eq!(check.beat_every(), Duration::from_millis(625));
        assert_eq!(check.beat(at(90_000), never), None, "the first beat");
        assert_eq!(check.beat(at(93_125), never), None, "2.5 s late");
        let stalled = Some(Duration::from_millis(2501));
        assert_eq!(check.beat(at(96_251), never), stalled);
        assert_eq!(check.beat(at(50_000), never), None, "a clock gone back");
    }

    #[test]
    fn a_machine_that_slept_was_stalled_although_its_clock_stood_still_meanwhile() {
        let minute = Duration::from_secs(60);
        let at = |ms| Time(Duration::from_millis(ms));
        let mut check = SelfCheck::new(HealthCheck::default());
        let before = minute * 9;
        assert_eq!(check.beat(at(0), before), None, "before this began");
        assert_eq!(check.beat(at(600), before), None);
        assert_eq!(check.beat(at(1200), minute * 10), Some(minute));
        assert_eq!(check.beat(at(1800), minute * 10), None);
    }

    #[test]
    fn without_a_fingerprint_there_is_trust_on_loopback_alone() {
        let trusts = |address: &str| {
            is_trusted(&PeerTarget {
                address: address.parse().unwrap(),
                fingerprints: Vec::new(),
            })
        };
        assert!(trusts("127.0.0.2:1") && trusts("[::1]:1") && trusts("[::ffff:127.0.0.1]:1"));
        assert!(!trusts("192.168.1.10:1") && !trusts("[fe80::1]:1"));
    }
}
