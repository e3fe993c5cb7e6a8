//! Two actors: one tells the other at a beat that it lives, and the other feels how late that comes.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use dataflow_node::monotonic_now_ns;
use dataflow_runtime::actor::{ACTOR_POLICY, Behaviour, Handle, Mailbox, Supervisor, Time};
use dataflow_tests::Lateness;
use tokio::sync::mpsc::unbounded_channel;

/// How often an actor says that it lives.
pub(crate) const BEAT: Duration = Duration::from_millis(10);

/// What both are told: a beat was due then, on the machine's clock.
#[derive(Debug, Clone)]
enum Heartbeat {
    Due(u64),
}
dataflow_runtime::message_kinds!(Heartbeat { Due });

/// Passes it on.
struct Heart(Handle<Heartbeat>);

impl Behaviour for Heart {
    type Message = Heartbeat;

    fn handle(&mut self, message: &Heartbeat) {
        self.0.fact(message.clone());
    }
}

/// Feels it.
struct Hand(Rc<RefCell<Lateness>>);

impl Behaviour for Hand {
    type Message = Heartbeat;

    fn handle(&mut self, message: &Heartbeat) {
        let Heartbeat::Due(due_ns) = message;
        let late_ns = monotonic_now_ns().saturating_sub(*due_ns);
        self.0.borrow_mut().add_ns(late_ns);
    }
}

/// Heartbeats between two actors on this thread, until the future is dropped. What they felt goes to `felt`.
pub(crate) async fn beat(felt: Rc<RefCell<Lateness>>) {
    let (to_us, _downs) = unbounded_channel();
    let mut supervisor = Supervisor::new(ACTOR_POLICY, to_us);
    let hand_box = Mailbox::new("hand", 16);
    let hand = Handle::new(Rc::clone(&hand_box));
    supervisor.add(Time::START, "hand", hand_box, move || {
        Hand(Rc::clone(&felt))
    });
    let heart_box = Mailbox::new("heart", 16);
    let heart = Handle::new(Rc::clone(&heart_box));
    supervisor.add(Time::START, "heart", heart_box, move || Heart(hand.clone()));
    let mut due_ns = monotonic_now_ns();
    loop {
        heart.fact(Heartbeat::Due(due_ns));
        due_ns += BEAT.as_nanos() as u64;
        let left_ns = due_ns.saturating_sub(monotonic_now_ns());
        tokio::time::sleep(Duration::from_nanos(left_ns)).await;
    }
}
