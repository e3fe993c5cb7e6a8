//! The service's own task: it supervises the actor, and passes on what is wanted and what fetches say.

use std::rc::Rc;

use dataflow_core::models::FetchEpoch;
use dataflow_core::random::Random;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, sleep_until};

use super::actor::{DownloadActor, DownloadMessage};
use super::door::Request;
use super::keeper::Keeper;
use super::ledger::Ledger;
use crate::models::{FetchEvent, Fetcher};
use crate::supervision::{ACTOR_POLICY, Down, Handle, Mailbox, Supervisor, Verdict};

/// What a person calls the actor.
const NAME: &str = "models";
/// How many ordinary messages may wait. There are none: everything is a fact, and comes a few times in a download.
const MAILBOX_CAPACITY: usize = 16;

/// A service on the current arbiter, before and while it runs. Dropping it ends it: every fetch is cancelled.
pub(super) struct Service {
    keeper: Rc<Keeper>,
    /// Where it is counted what becomes of its messages.
    ledger: Ledger,
    handle: Handle<DownloadMessage>,
    supervisor: Supervisor<&'static str>,
    downs: UnboundedReceiver<Down<&'static str>>,
    events: UnboundedReceiver<(FetchEpoch, FetchEvent)>,
    requests: UnboundedReceiver<Request>,
    /// Jitters the waits before an actor is built again. Nobody else on the machine waits for the same.
    random: Random,
    /// When the actor is to be built again, if it is gone.
    rebuild_at: Option<Instant>,
}

impl Service {
    /// Makes a service; its actor begins. What it counts is in the `ledger`. It asks nothing of the fetcher before somebody wants something.
    pub(super) fn new(
        fetcher: Rc<dyn Fetcher>,
        requests: UnboundedReceiver<Request>,
        ledger: Ledger,
    ) -> Service {
        let (to_us, events) = unbounded_channel();
        let (to_owner, downs) = unbounded_channel();
        let keeper = Keeper::new(fetcher, to_us, ledger.clone());
        let mailbox = Mailbox::new(NAME, MAILBOX_CAPACITY);
        let counted = ledger.clone();
        mailbox.on_count(move |counts| counted.actor_has(counts));
        ledger.actor_begins();
        let handle = Handle::new(Rc::clone(&mailbox));
        let mut supervisor = Supervisor::new(ACTOR_POLICY, to_owner);
        let kept = Rc::clone(&keeper);
        supervisor.add(keeper.now(), NAME, mailbox, move || {
            DownloadActor::new(Rc::clone(&kept))
        });
        Service {
            keeper,
            ledger,
            handle,
            supervisor,
            downs,
            events,
            requests,
            random: Random::new(0),
            rebuild_at: None,
        }
    }

    /// Where to tell the actor something.
    #[cfg(any(test, feature = "faults"))]
    pub(super) fn handle(&self) -> &Handle<DownloadMessage> {
        &self.handle
    }

    /// Goes on until nobody can want anything any more, or the actor cannot go on.
    pub(super) async fn run(mut self) {
        loop {
            let rebuild_at = self.rebuild_at;
            let keeper = Rc::clone(&self.keeper);
            tokio::select! {
                biased;
                () = keeper.until_given_up() => {
                    let what = self.supervisor.last_panic(&NAME);
                    return self.give_up(&what);
                }
                Some(down) = self.downs.recv() => {
                    if let Err(what) = self.down(&down) {
                        return self.give_up(&what);
                    }
                }
                () = sleep_until(rebuild_at.unwrap_or_else(Instant::now)), if rebuild_at.is_some() => {
                    self.rebuild_at = None;
                    self.supervisor.build(self.keeper.now(), &NAME);
                }
                Some((epoch, event)) = self.events.recv() => {
                    let said = self.keeper.note(epoch, event);
                    self.handle.fact(DownloadMessage::Fetched { epoch, said });
                }
                request = self.requests.recv() => match request {
                    None | Some(Request::End) => return,
                    Some(request) => self.pass_on(request),
                },
            }
        }
    }

    fn pass_on(&self, request: Request) {
        self.handle.fact(match request {
            Request::Want {
                subscriber,
                order,
                view,
            } => {
                self.keeper.subscribe(subscriber, order.clone(), view);
                DownloadMessage::Want { subscriber, order }
            }
            Request::LetGo { subscriber } => {
                self.keeper.unsubscribe(subscriber);
                DownloadMessage::LetGo { subscriber }
            }
            #[cfg(any(test, feature = "faults"))]
            Request::Strike(fault) => {
                self.keeper.strike(fault);
                DownloadMessage::Adopt
            }
            // It was heard before this.
            Request::End => return,
        });
    }

    /// The actor has ended: another one is built, which adopts what the keeper holds.
    fn down(&mut self, down: &Down<&'static str>) -> Result<(), String> {
        let random = self.random.draw();
        match self.supervisor.down(self.keeper.now(), random, down) {
            Verdict::Nothing => Ok(()),
            Verdict::Rebuild {
                after,
                what,
                is_poisoned,
            } => {
                tracing::error!(incarnation = down.incarnation, %what, "actor of models panicked");
                if is_poisoned {
                    // What was lost with it stands in the keeper.
                    self.handle.fact(DownloadMessage::Adopt);
                }
                self.ledger.actor_is_rebuilt();
                self.rebuild_at = Some(Instant::now() + after);
                Ok(())
            }
            Verdict::GiveUp { what } => Err(what),
        }
    }

    fn give_up(&self, what: &str) {
        tracing::error!(%what, "models cannot be fetched any more");
        self.keeper.give_up(what);
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        for (actor, counts) in self.supervisor.end() {
            tracing::debug!(%actor, ?counts, "actor ended");
            debug_assert!(counts.balances(), "I-10: {actor} {counts:?}");
        }
        self.ledger.actor_ends();
        self.keeper.end();
    }
}
