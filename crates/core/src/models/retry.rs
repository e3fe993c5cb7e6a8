//! When to try again: exponential, with full jitter, and as a server asks.

use std::time::{Duration, UNIX_EPOCH};

use crate::random::pick;

/// How often, and after how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryRules {
    /// The wait before the first new attempt is between nothing and this; it doubles with each.
    pub base: Duration,
    /// No wait that we choose is longer.
    pub cap: Duration,
    /// So many attempts without any progress, the first included, and no more.
    pub attempts_max: u32,
    /// The longest wait that a server may ask for; when it asks for more, whoever wants the model is told.
    pub asked_max: Duration,
}

impl Default for RetryRules {
    fn default() -> Self {
        RetryRules {
            base: Duration::from_millis(500),
            cap: Duration::from_secs(20),
            attempts_max: 6,
            asked_max: Duration::from_secs(60),
        }
    }
}

/// What to do after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextAttempt {
    /// Try again after so long.
    After(Duration),
    /// It was tried often enough.
    GiveUp,
    /// The server asks to be left alone for so long, which is longer than we wait by ourselves.
    NotBefore(Duration),
}

/// The attempts at one thing.
#[derive(Debug, Clone)]
pub struct Attempts {
    rules: RetryRules,
    failed: u32,
    farthest: u64,
}

impl Attempts {
    /// None was made.
    #[must_use]
    pub fn new(rules: RetryRules) -> Attempts {
        Attempts {
            rules,
            failed: 0,
            farthest: 0,
        }
    }

    /// So many bytes are there now. When they are more than ever, that is progress, and the count begins anew. (Who is
    /// sent back to the start each time, and gets as far as before, makes none.)
    pub fn reached(&mut self, bytes: u64) {
        if bytes > self.farthest {
            self.farthest = bytes;
            self.failed = 0;
        }
    }

    /// How many have failed since the last progress.
    #[must_use]
    pub fn failed(&self) -> u32 {
        self.failed
    }

    /// An attempt has failed. `asked` is how long the server asks to be left alone; `random` is any number.
    ///
    /// The wait is "full jitter": evenly spread between nothing and `min(cap, base × 2^n)` (Brooker, "Exponential
    /// Backoff And Jitter", AWS Architecture Blog, 2015). It comes on top of what the server asks for, so that all who
    /// were sent away do not come back together.
    pub fn fail(&mut self, asked: Option<Duration>, random: u64) -> NextAttempt {
        let exponent = self.failed;
        self.failed = self.failed.saturating_add(1);
        if let Some(asked) = asked.filter(|asked| *asked > self.rules.asked_max) {
            return NextAttempt::NotBefore(asked);
        }
        if self.failed >= self.rules.attempts_max {
            return NextAttempt::GiveUp;
        }
        let factor = 1_u32.checked_shl(exponent).unwrap_or(u32::MAX);
        let longest = self.rules.base.saturating_mul(factor).min(self.rules.cap);
        let jitter = pick(random, Duration::ZERO, longest);
        NextAttempt::After(asked.unwrap_or_default().saturating_add(jitter))
    }
}

/// How long a server asks to be left alone.
///
/// - `ratelimit`: the header `RateLimit` as the Hub sends it, `"api";r=0;t=55` (draft-ietf-httpapi-ratelimit-headers):
///   so many requests remain, and so many seconds until there are more. It stands on every answer, so it counts only
///   when nothing remains.
/// - `retry_after`: the header `Retry-After`: seconds, or a date (RFC 9110, 10.2.3).
/// - `now_unix`: what time it is, in seconds since 1970.
///
/// `None` when neither says anything that can be read.
#[must_use]
pub fn asked_wait(
    retry_after: Option<&str>,
    ratelimit: Option<&str>,
    now_unix: u64,
) -> Option<Duration> {
    let limit = ratelimit.and_then(reset_of);
    // The later of both: whoever comes back earlier is sent away once more.
    limit.max(retry_after.and_then(|text| after(text.trim(), now_unix)))
}

/// Seconds until there are requests left again, of the policies of which none are left: the longest.
fn reset_of(ratelimit: &str) -> Option<Duration> {
    ratelimit
        .split(',')
        .filter_map(|policy| {
            let parameter = |wanted: &str| {
                policy.split(';').find_map(|parameter| {
                    let (name, value) = parameter.split_once('=')?;
                    (name.trim() == wanted)
                        .then(|| value.trim().parse::<u64>().ok())
                        .flatten()
                })
            };
            (parameter("r")? == 0).then(|| parameter("t")).flatten()
        })
        .max()
        .map(Duration::from_secs)
}

fn after(text: &str, now_unix: u64) -> Option<Duration> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More seconds than a number holds are as good as for ever.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    let date_unix = date
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    Some(Duration::from_secs(date_unix.saturating_sub(now_unix)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: RetryRules = RetryRules {
        base: Duration::from_millis(500),
        cap: Duration::from_secs(4),
        attempts_max: 7,
        asked_max: Duration::from_secs(60),
    };

    #[test]
    fn the_wait_is_spread_between_nothing_and_an_end_that_doubles_up_to_the_cap() {
        let (mut least, mut most) = (Attempts::new(RULES), Attempts::new(RULES));
        for end_ms in [500, 1000, 2000, 4000, 4000, 4000] {
            assert_eq!(
                least.fail(None, 0),
                NextAttempt::After(Duration::ZERO),
                "full jitter begins at nothing"
            );
            assert_eq!(
                most.fail(None, u64::MAX),
                NextAttempt::After(Duration::from_millis(end_ms))
            );
        }
        assert_eq!(most.fail(None, 0), NextAttempt::GiveUp);
    }

    #[test]
    fn progress_makes_all_attempts_new() {
        let mut attempts = Attempts::new(RULES);
        for bytes in 1..100 {
            assert!(matches!(attempts.fail(None, 1), NextAttempt::After(_)));
            attempts.reached(bytes);
        }
        assert_eq!(attempts.failed(), 0);
    }

    #[test]
    fn who_comes_as_far_as_before_each_time_makes_no_progress() {
        let mut attempts = Attempts::new(RULES);
        attempts.reached(50);
        let ends = (0..RULES.attempts_max).map(|_| {
            let next = attempts.fail(None, 1);
            attempts.reached(20);
            attempts.reached(50);
            next
        });
        assert_eq!(ends.last(), Some(NextAttempt::GiveUp));
    }

    #[test]
    fn what_the_server_asks_for_is_waited_at_least_and_told_when_it_is_too_long() {
        let asked = Duration::from_secs(7);
        let mut attempts = Attempts::new(RULES);
        assert_eq!(attempts.fail(Some(asked), 0), NextAttempt::After(asked));
        let NextAttempt::After(wait) = attempts.fail(Some(asked), u64::MAX) else {
            panic!("it is short enough");
        };
        assert!(wait > asked && wait <= asked + RULES.cap);
        let hour = Duration::from_secs(3600);
        assert_eq!(attempts.fail(Some(hour), 0), NextAttempt::NotBefore(hour));
    }

    #[test]
    fn a_wait_is_read_from_seconds_dates_and_limits() {
        let seconds = |s| Some(Duration::from_secs(s));
        let now_unix = 1_445_412_480; // Wed, 21 Oct 2015 07:28:00 GMT
        let wait = |retry_after, limit| asked_wait(retry_after, limit, now_unix);
        assert_eq!(wait(None, None), None);
        assert_eq!(wait(Some(" 120 "), None), seconds(120));
        assert_eq!(wait(Some("0"), None), seconds(0));
        assert_eq!(wait(Some("-1"), None), None);
        assert_eq!(wait(Some("soon"), None), None);
        assert_eq!(wait(Some(""), None), None);
        assert_eq!(
            wait(Some("99999999999999999999999"), None),
            seconds(u64::MAX)
        );
        assert_eq!(
            wait(Some("Wed, 21 Oct 2015 07:28:30 GMT"), None),
            seconds(30)
        );
        assert_eq!(
            wait(Some("Wednesday, 21-Oct-15 07:28:30 GMT"), None),
            seconds(30)
        );
        assert_eq!(wait(Some("Wed Oct 21 07:28:30 2015"), None), seconds(30));
        assert_eq!(
            wait(Some("Wed, 21 Oct 1998 07:28:30 GMT"), None),
            seconds(0)
        );
        assert_eq!(wait(None, Some("\"api\";r=0;t=55")), seconds(55));
        assert_eq!(wait(None, Some("\"api\" ; r = 0 ; t = 55")), seconds(55));
        assert_eq!(wait(Some("3"), Some("\"api\";r=12;t=55")), seconds(3));
        assert_eq!(wait(Some("90"), Some("\"api\";r=0;t=55")), seconds(90));
        assert_eq!(wait(Some("3"), Some("\"api\";r=0;t=55")), seconds(55));
        assert_eq!(
            wait(
                None,
                Some("\"api\";r=0;t=5, \"files\";r=0;t=9, \"x\";r=1;t=99")
            ),
            seconds(9)
        );
        assert_eq!(wait(None, Some("r=;t=")), None);
    }
}
