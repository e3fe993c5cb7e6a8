//! The answer to a message: sent once, or dropped, which the one who asked sees too.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use tokio::sync::oneshot;

use super::handle::TellError;

/// Where the answer to a message goes. It travels in the message.
///
/// The first answer counts, so a message that is handled twice answers once. When the last clone is dropped without
/// an answer (its handler gave none, or the message was dead-lettered), the one who asked gets
/// [`AskError::Unanswered`].
pub struct Reply<T> {
    to_asker: Rc<RefCell<Option<oneshot::Sender<T>>>>,
}

impl<T> Clone for Reply<T> {
    fn clone(&self) -> Self {
        Reply {
            to_asker: Rc::clone(&self.to_asker),
        }
    }
}

impl<T> fmt::Debug for Reply<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reply")
    }
}

impl<T> Reply<T> {
    /// A reply that nobody has sent yet, and where its answer arrives.
    pub(super) fn new() -> (Reply<T>, oneshot::Receiver<T>) {
        let (to_asker, answer) = oneshot::channel();
        let to_asker = Rc::new(RefCell::new(Some(to_asker)));
        (Reply { to_asker }, answer)
    }

    /// Answers. A second answer, or one that nobody waits for any more, is dropped.
    pub fn send(&self, answer: T) {
        let to_asker = self.to_asker.borrow_mut().take();
        if let Some(to_asker) = to_asker {
            // Who asked may have given up.
            let _ = to_asker.send(answer);
        }
    }
}

/// Why a question has no answer.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError<M> {
    /// The question was not taken. It is given back.
    #[error(transparent)]
    NotTaken(#[from] TellError<M>),
    /// The question was taken, and its reply was dropped: the handler gave no answer, panicked over it twice, or
    /// the actor ended for good before it came to it.
    #[error("the question was taken and never answered")]
    Unanswered,
}
