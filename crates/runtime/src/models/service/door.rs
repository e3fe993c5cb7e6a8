//! How whoever wants a model reaches the service: nothing here waits.

#[cfg(any(test, feature = "faults"))]
use std::time::Duration;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dataflow_core::models::SubscriberId;
use dataflow_wire::status::ModelView;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;

use super::ledger::Ledger;
use crate::models::{LetGo, ModelOrder, Wanted};

/// What the service is asked.
#[derive(Debug)]
pub(super) enum Request {
    /// Somebody wants this.
    Want {
        subscriber: SubscriberId,
        order: ModelOrder,
        /// Where it is said how it stands.
        view: watch::Sender<ModelView>,
    },
    /// Somebody wants it no more.
    LetGo { subscriber: SubscriberId },
    /// Nobody will want anything any more.
    End,
    /// Something is to go wrong.
    #[cfg(any(test, feature = "faults"))]
    Strike(ActorFault),
}

/// What is to happen to the `DownloadActor` in its next handler.
#[cfg(any(test, feature = "faults"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActorFault {
    /// It blocks its thread for this long.
    Block(Duration),
    /// It panics.
    Panic,
}

/// The way to a service. Cheap to clone; it can go to another thread.
#[derive(Debug, Clone)]
pub(super) struct Door {
    /// Unbounded: whoever wants something is not to wait, and wants a few things in a life.
    to_service: UnboundedSender<Request>,
    subscribers: Arc<AtomicU64>,
    /// What the service counts.
    ledger: Ledger,
}

impl Door {
    pub(super) fn new() -> (Door, UnboundedReceiver<Request>) {
        let (to_service, requests) = unbounded_channel();
        let subscribers = Arc::default();
        let door = Door {
            to_service,
            subscribers,
            ledger: Ledger::default(),
        };
        (door, requests)
    }

    pub(super) fn want(&self, order: ModelOrder) -> Wanted {
        let subscriber = SubscriberId(self.subscribers.fetch_add(1, Ordering::Relaxed));
        let (view, watched) = watch::channel(ModelView::default());
        self.send(Request::Want {
            subscriber,
            order,
            view,
        });
        let door = self.clone();
        Wanted::new(watched, Box::new(Leaving { door, subscriber }))
    }

    /// What the service counts.
    pub(super) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    pub(super) fn send(&self, request: Request) {
        // With a service that is gone, the sender in the request goes: whoever wants it sees that.
        let _ = self.to_service.send(request);
    }
}

/// Says by its drop that somebody wants something no more.
#[derive(Debug)]
struct Leaving {
    door: Door,
    subscriber: SubscriberId,
}

impl LetGo for Leaving {}

impl Drop for Leaving {
    fn drop(&mut self) {
        let subscriber = self.subscriber;
        self.door.send(Request::LetGo { subscriber });
    }
}
