//! What has happened, as lines of text: the same for the same seed, to the byte.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use dataflow_runtime::actor::{Seen, What};
use tokio::time::Instant;

/// The lines so far, with the moment of each on the virtual clock.
#[derive(Debug, Clone)]
pub(super) struct Trace {
    began: Instant,
    lines: Rc<RefCell<String>>,
}

impl Trace {
    pub(super) fn new() -> Trace {
        Trace {
            began: Instant::now(),
            lines: Rc::default(),
        }
    }

    pub(super) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    pub(super) fn line(&self, what: fmt::Arguments<'_>) {
        use fmt::Write;

        let now = self.now();
        let (seconds, microseconds) = (now.as_secs(), now.subsec_micros());
        // A string takes whatever is written to it.
        let _ = writeln!(
            self.lines.borrow_mut(),
            "{seconds:>5}.{microseconds:06} {what}"
        );
    }

    pub(super) fn seen(&self, seen: &Seen<'_>) {
        let what = match seen.what {
            What::Sent => "is told",
            What::Returned => "gives back",
            What::Handled => "has handled",
            What::Panicked => "panics over",
            What::DeadLettered => "never handles",
        };
        self.line(format_args!("{} {what} {}", seen.actor, seen.kind));
    }

    pub(super) fn text(&self) -> String {
        self.lines.borrow().clone()
    }
}
