//! What others hold of an actor.

use std::fmt;
use std::rc::Rc;

use tokio::sync::oneshot;

use super::mailbox::{Counts, Lane, Mailbox};
use super::message::Message;
use super::reply::{AskError, Reply};

/// A message that was not taken. It is given back.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TellError<M> {
    /// The mailbox holds as many messages as it may.
    #[error("the mailbox is full")]
    Full(M),
    /// The actor has ended for good.
    #[error("the actor has ended")]
    Ended(M),
}

/// What others hold of an actor: it stays valid when the actor is rebuilt.
pub struct Handle<M> {
    mailbox: Rc<Mailbox<M>>,
}

impl<M> Clone for Handle<M> {
    fn clone(&self) -> Self {
        Handle {
            mailbox: Rc::clone(&self.mailbox),
        }
    }
}

impl<M: Message> fmt::Debug for Handle<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({})", self.mailbox.name())
    }
}

impl<M: Message> Handle<M> {
    /// A handle on the actor that this mailbox belongs to.
    #[must_use]
    pub fn new(mailbox: Rc<Mailbox<M>>) -> Handle<M> {
        Handle { mailbox }
    }

    /// Whose handle it is.
    #[must_use]
    pub fn name(&self) -> &str {
        self.mailbox.name()
    }

    /// What has become of the messages to the actor.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.mailbox.counts()
    }

    /// Whether facts wait that the actor has not heard. A message that it had in hand when it panicked comes before them.
    #[must_use]
    pub fn has_facts(&self) -> bool {
        self.mailbox.has_facts()
    }

    /// The mailbox.
    #[must_use]
    pub fn mailbox(&self) -> &Rc<Mailbox<M>> {
        &self.mailbox
    }

    /// Sends a message.
    ///
    /// # Errors
    /// When the mailbox is full, or the actor has ended for good. The message is given back.
    pub fn tell(&self, message: M) -> Result<(), TellError<M>> {
        self.mailbox.send(message, Lane::Messages)
    }

    /// Sends a life-cycle fact, which is never refused and overtakes ordinary messages: for what comes at most a few
    /// times in a life, and must not be lost because something else came too often. After the actor's end for good
    /// it is dead-lettered.
    pub fn fact(&self, message: M) {
        // A fact is never given back.
        let _ = self.mailbox.send(message, Lane::Facts);
    }

    /// Sends a message when there is room for it.
    ///
    /// # Errors
    /// When the actor has ended for good. The message is given back.
    pub async fn deliver(&self, message: M) -> Result<(), TellError<M>> {
        let mut message = message;
        loop {
            let room = self.mailbox.room();
            match self.mailbox.send(message, Lane::Messages) {
                Err(TellError::Full(given_back)) => {
                    message = given_back;
                    room.await;
                }
                result => return result,
            }
        }
    }

    /// Sends a message that carries a [`Reply`] when there is room for it, and gives where the answer arrives.
    ///
    /// # Errors
    /// When the actor has ended for good. The message is given back.
    pub(crate) async fn deliver_question<T>(
        &self,
        message: impl FnOnce(Reply<T>) -> M,
    ) -> Result<oneshot::Receiver<T>, TellError<M>> {
        let (reply, answer) = Reply::new();
        self.deliver(message(reply)).await?;
        Ok(answer)
    }

    /// Sends a message that carries a [`Reply`], and waits for the answer.
    ///
    /// # Errors
    /// When the message was not taken, or its reply was dropped. It never waits for an answer that cannot come: a
    /// message that is dead-lettered drops its reply.
    pub async fn ask<T>(&self, message: impl FnOnce(Reply<T>) -> M) -> Result<T, AskError<M>> {
        let (reply, answer) = Reply::new();
        self.tell(message(reply))?;
        answer.await.map_err(|_| AskError::Unanswered)
    }
}
