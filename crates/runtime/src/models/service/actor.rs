//! `DownloadActor`: which models are wanted by whom, and how the fetch of each stands. It keeps state and nothing else.

use std::rc::Rc;

use dataflow_core::models::{FetchEpoch, FetchSaid, JobCommand, JobEvent, SubscriberId};

use super::keeper::Keeper;
use crate::models::{ModelError, ModelOrder};
use crate::supervision::Behaviour;

/// What the actor of models may be told. Each may be told twice. Progress is not among it: that is a last value that
/// whoever wants it watches.
#[derive(Debug, Clone)]
pub(super) enum DownloadMessage {
    /// Somebody wants this.
    Want {
        subscriber: SubscriberId,
        order: ModelOrder,
    },
    /// Somebody wants it no more.
    LetGo { subscriber: SubscriberId },
    /// A fetch has said something.
    Fetched {
        epoch: FetchEpoch,
        said: FetchSaid<ModelError>,
    },
    /// A message was lost: look at what the keeper holds.
    Adopt,
}

crate::message_kinds!(DownloadMessage {
    Want,
    LetGo,
    Fetched,
    Adopt,
});

/// The actor. It owns nothing: the fetches, and what it decided, are the keeper's.
pub(super) struct DownloadActor {
    keeper: Rc<Keeper>,
}

impl DownloadActor {
    pub(super) fn new(keeper: Rc<Keeper>) -> DownloadActor {
        DownloadActor { keeper }
    }

    fn take(&self, event: JobEvent<ModelOrder, ModelError>) {
        self.keeper.jobs().decide(|jobs| jobs.handle(event));
        self.perform();
    }

    fn perform(&self) {
        let keeper = &self.keeper;
        let given_up = keeper.jobs().perform(|command| match command {
            JobCommand::Fetch { epoch, order } => keeper.fetch(epoch, order),
            JobCommand::End { epoch } => keeper.end_fetch(epoch),
            JobCommand::Publish { order } => keeper.publish(&order),
        });
        keeper.forget_unwanted();
        if given_up > 0 {
            keeper.cannot_go_on();
        }
    }
}

impl Behaviour for DownloadActor {
    type Message = DownloadMessage;

    /// Performs what an earlier incarnation did not get to. The fetches go on meanwhile.
    fn begin(&mut self) {
        self.perform();
    }

    fn handle(&mut self, message: &DownloadMessage) {
        #[cfg(any(test, feature = "faults"))]
        self.keeper.suffer();
        match message {
            // Who has let go before this was heard is known to the keeper.
            DownloadMessage::Want { subscriber, .. } if !self.keeper.is_wanted_by(*subscriber) => {}
            DownloadMessage::Want { subscriber, order } => self.take(JobEvent::Want {
                subscriber: *subscriber,
                order: order.clone(),
            }),
            DownloadMessage::LetGo { subscriber } => self.take(JobEvent::LetGo {
                subscriber: *subscriber,
            }),
            DownloadMessage::Fetched { epoch, said } => {
                let epoch = *epoch;
                // What the files are may not have been heard, and nobody asks for it after the end.
                if let Some(listing) = self.keeper.resolved(epoch) {
                    let said = FetchSaid::Resolved(listing);
                    self.take(JobEvent::Fetched { epoch, said });
                }
                let said = said.clone();
                self.take(JobEvent::Fetched { epoch, said });
            }
            DownloadMessage::Adopt => {
                for event in self.keeper.what_stands() {
                    self.take(event);
                }
            }
        }
    }
}
