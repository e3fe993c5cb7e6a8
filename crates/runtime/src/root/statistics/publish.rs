//! How what the statistics of a run have become comes to readers, also at its end.

use std::rc::Rc;
use std::time::Duration;

use dataflow_core::stats::Book;

use super::super::Root;
use super::fold::fold;
use crate::actors::StatsMessage;
use crate::process::FramedSocket;
use crate::statistics::{CopyOfStatistics, EVERY_WHILE_READ, Publisher, watch};

/// How long a run that has broken off shows how it stood.
const LAST_SHOWN_MAX: Duration = Duration::from_secs(1);

/// How snapshots come to readers.
pub(super) enum Publishing {
    /// From here: nobody looks from outside.
    Here(Publisher),
    /// From a copy on the thread of statistics.
    There(CopyOfStatistics),
}

impl Root {
    /// Readers see what the statistics have become. One that finds no room is made up for by the next.
    pub(super) fn ask_to_publish(&self) {
        let _ = self.handles.stats.tell(self.publish_message());
    }

    fn publish_message(&self) -> StatsMessage {
        let asked = &self.statistics.asked;
        asked.set(asked.get() + 1);
        StatsMessage::Publish(asked.get())
    }

    /// How often everything was folded in.
    #[cfg(test)]
    pub(crate) fn folds(&self) -> u64 {
        self.statistics.asked.get()
    }

    /// Readers see soon what their keeper knows now, after it was asked for so often.
    pub(crate) fn publish_statistics(&self, book: &mut Book, asked: u64) {
        let now = self.env.now();
        match &*self.statistics.publishing.borrow() {
            Some(Publishing::Here(publisher)) => publisher.publish(book.publish(now)),
            Some(Publishing::There(copy)) => copy.publish(book, now),
            None => {}
        }
        let published = &self.statistics.published;
        published.send_modify(|last| *last = asked.max(*last));
    }

    /// Their keeper was told something.
    pub(crate) fn statistics_changed(&self, book: &mut Book) {
        if let Some(Publishing::There(copy)) = &*self.statistics.publishing.borrow() {
            copy.relieve(book);
        }
    }

    /// Lets the conversation with a command that watches go on on the thread of statistics. With an error, which says
    /// why, it is still here.
    pub(in crate::root) fn watch_statistics(
        &self,
        socket: &FramedSocket,
        every: Duration,
    ) -> Result<(), String> {
        let Some(thread) = &self.statistics.thread else {
            return Err("the statistics of a dataflow that is embedded are not watched".to_owned());
        };
        watch(thread, self.statistics_source(), socket, every).map_err(|error| error.to_string())
    }

    /// Everything was read for the last time, and told: shows it to readers, and waits until they have seen it.
    pub(in crate::root) async fn end_statistics(&self) {
        self.fold_services();
        // An actor that is down is not built again any more.
        let _ = tokio::time::timeout(EVERY_WHILE_READ, self.publish_all()).await;
        let publishing = self.statistics.publishing.borrow_mut().take();
        if let Some(Publishing::There(copy)) = publishing {
            copy.end(&mut self.memory.statistics_mut(), self.env.now());
        }
        self.statistics.source.readers.leave().await;
    }

    /// Publishes what has become of all that was told before this. One that was asked for earlier does not do.
    async fn publish_all(&self) {
        let message = self.publish_message();
        let wanted = self.statistics.asked.get();
        let mut published = self.statistics.published.subscribe();
        if self.handles.stats.deliver(message).await.is_ok() {
            // It lives as long as this.
            let _ = published.wait_for(|last| *last >= wanted).await;
        }
    }

    /// As [`Root::end_statistics`], when the run breaks off: what was counted is read once more.
    pub(in crate::root) async fn break_off_statistics(self: &Rc<Self>) {
        if !self.statistics.is_folded.get() {
            return;
        }
        let all = async {
            let _ = fold(&Rc::downgrade(self)).await;
            self.end_statistics().await;
        };
        let _ = tokio::time::timeout(LAST_SHOWN_MAX, all).await;
    }
}
