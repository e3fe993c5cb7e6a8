//! To write an actor of one's own: supervised, with a bounded mailbox, and not one message lost without being counted.
//!
//! An actor is a [`Behaviour`]: one message enum and one handler, which may panic at any time. Others hold its
//! [`Handle`], which stays valid when it is rebuilt; the message over which it has panicked is handled once more, and
//! one that makes it panic twice is dead-lettered. A [`Supervisor`] knows how each actor is built, and decides by a
//! restart policy what follows a panic. All of it lives on one thread, in an actix system.
//!
//! ```
//! use std::cell::Cell;
//! use std::rc::Rc;
//!
//! use dataflow_runtime::actor::{
//!     ACTOR_POLICY, AskError, Behaviour, Handle, Mailbox, Reply, Supervisor, Time, Verdict,
//! };
//!
//! /// Everything that a counter may be told.
//! #[derive(Debug)]
//! enum Count {
//!     Add(u32),
//!     Total(Reply<u32>),
//! }
//! dataflow_runtime::message_kinds!(Count { Add, Total });
//!
//! /// What it has counted lies outside of it, where a panic does not reach.
//! struct Counter(Rc<Cell<u32>>);
//!
//! impl Behaviour for Counter {
//!     type Message = Count;
//!
//!     fn handle(&mut self, message: &Count) {
//!         match message {
//!             Count::Add(0) => panic!("nothing to add"),
//!             Count::Add(more) => self.0.set(self.0.get() + more),
//!             Count::Total(reply) => reply.send(self.0.get()),
//!         }
//!     }
//! }
//!
//! actix_rt::System::new().block_on(async {
//!     let (to_us, mut downs) = tokio::sync::mpsc::unbounded_channel();
//!     let mut supervisor = Supervisor::new(ACTOR_POLICY, to_us);
//!     let mailbox = Mailbox::new("counter", 16);
//!     let counter = Handle::new(Rc::clone(&mailbox));
//!     let total = Rc::new(Cell::new(0));
//!     supervisor.add(Time::START, "counter", mailbox, move || Counter(Rc::clone(&total)));
//!
//!     counter.tell(Count::Add(0)).unwrap();
//!     counter.tell(Count::Add(2)).unwrap();
//!     // Twice it panics over the first message; then that one is dead-lettered, and the next one's turn has come.
//!     for time in [1, 2] {
//!         let down = downs.recv().await.unwrap();
//!         let random = 7;
//!         match supervisor.down(Time::START, random, &down) {
//!             Verdict::Rebuild { after, is_poisoned, .. } => {
//!                 assert_eq!(is_poisoned, time == 2);
//!                 tokio::time::sleep(after).await;
//!                 supervisor.build(Time::START, &down.actor);
//!             }
//!             other => panic!("{other:?}"),
//!         }
//!     }
//!     assert_eq!(counter.ask(Count::Total).await.unwrap(), 2);
//!
//!     supervisor.end();
//!     assert!(matches!(counter.ask(Count::Total).await, Err(AskError::NotTaken(_))));
//!     let counts = counter.counts();
//!     assert_eq!((counts.sent, counts.handled, counts.dead_lettered, counts.returned), (4, 2, 1, 1));
//!     assert!(counts.balances());
//! });
//! ```

pub use dataflow_core::Time;
pub use dataflow_ids::{RestartOn, RestartPolicy};

#[cfg(any(test, feature = "faults"))]
pub use crate::supervision::faults::{AnyActor, Fault, Injected, When};
pub use crate::supervision::{
    ACTOR_POLICY, AskError, Behaviour, Counts, Down, Handle, Mailbox, Message, Reply, Supervisor,
    TellError, Verdict,
};
#[cfg(any(test, feature = "faults"))]
pub use crate::supervision::{Seen, What};
