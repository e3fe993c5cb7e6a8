//! The subscribers, who have said `Watch` on a socket. They are told the whole first, and then what changes, at their own pace.

use std::io;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use dataflow_core::stats::Snapshot;
use dataflow_wire::client::{ClientReply, ClientRequest};
use dataflow_wire::frame::{EncodeError, EnqueueError};
use tokio::time::{Instant, sleep_until};

use super::encoded::{EncodedOnce, Frames};
use super::places::{AllTaken, Place};
use super::readers::Reading;
use super::source::Source;
use super::thread::StatisticsThread;
use crate::commands::say;
use crate::process::{ControlError, FramedSocket, MovingSocket, Stat};

/// Nobody is told more often.
const EVERY_MIN: Duration = Duration::from_millis(100);
/// Nobody is told more rarely.
const EVERY_MAX: Duration = Duration::from_secs(60);
/// How many frames of a long reply wait for somebody to read them.
const FRAMES_WAITING_MAX: usize = 4;
/// A subscriber that takes nothing for so long is no reader, and what was told last is not kept for it.
const STALLED_AFTER: Duration = Duration::from_secs(2);

/// What is told to whose place somebody else has.
const PLACE_TAKEN: &str = "it took nothing that it was told, and another command needed its place";

/// Why the conversation of a command does not go on on the statistics thread.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotWatched {
    /// There are as many subscribers as may be.
    #[error(transparent)]
    AllTaken(#[from] AllTaken),
    /// There is no descriptor left.
    #[error("the runtime has no descriptor left for it: {0}")]
    Descriptor(#[from] io::Error),
}

/// Lets the conversation with a command go on on the statistics thread: it is told how the statistics stand, and then
/// what changes, so often at most, until it goes or nothing follows. With an error, the conversation is still here.
pub(crate) fn watch(
    thread: &StatisticsThread,
    source: &Source,
    socket: &FramedSocket,
    every: Duration,
) -> Result<(), NotWatched> {
    let place = source.places.take(socket.other_pid()?, is_stopped)?;
    let moving = socket.leave()?;
    let source = source.clone();
    thread.run("conversation with a command", move || async move {
        converse(&source, moving, every, &place).await;
    });
    Ok(())
}

/// Whether a signal or a debugger has stopped a process.
fn is_stopped(pid: u32) -> bool {
    Stat::of(pid).is_some_and(|stat| stat.is_stopped())
}

/// Talks to a command until it goes, or nothing follows.
async fn converse(source: &Source, moving: MovingSocket, every: Duration, place: &Place) {
    let socket = match FramedSocket::arrive(moving) {
        Ok(socket) => socket,
        Err(error) => {
            tracing::warn!(%error, "socket of a command that watches statistics is lost");
            return;
        }
    };
    let talk = async {
        let over = Telling::new(source, &socket, every, place).tell().await;
        if let Err(refused) = over {
            let reason = refused.to_string();
            say(&socket, &ClientReply::Refused { reason }).await;
        }
        let _ = tokio::time::timeout(STALLED_AFTER, socket.flushed()).await;
    };
    tokio::select! {
        biased;
        () = talk => {}
        // It cannot be told anything any more.
        _ = socket.write_queued() => {}
        () = place.is_taken() => {
            let reason = PLACE_TAKEN.to_owned();
            // There may be no room for it: then it learns only that it is over.
            let _ = socket.send(&ClientReply::Refused { reason }, Vec::new());
        }
    }
    socket.close();
}

type Snapshots = tokio::sync::watch::Receiver<Arc<Snapshot>>;

/// Why a command is told no more.
#[derive(Debug, thiserror::Error)]
enum Refused {
    /// It has asked for something else.
    #[error(
        "who watches statistics may only ask for them again: ask for other things on another connection"
    )]
    OtherRequest,
    /// What it has sent is no request.
    #[error(transparent)]
    Garbled(#[from] ControlError),
    /// The statistics are too long.
    #[error(transparent)]
    TooLong(#[from] EncodeError),
    /// A frame of them is.
    #[error(transparent)]
    NotSent(#[from] EnqueueError),
}

/// What is told to one subscriber.
struct Telling<'s> {
    source: &'s Source,
    socket: &'s FramedSocket,
    every: Duration,
    place: &'s Place,
    /// What it knows, if that is worth anything.
    told: Option<Arc<Snapshot>>,
    /// Unless it takes nothing.
    reading: Option<Reading>,
    /// Before this, nothing that it asks is heard.
    hears_from: Instant,
}

impl Drop for Telling<'_> {
    fn drop(&mut self) {
        self.stops_reading();
    }
}

/// What a command wants next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// To be told.
    More,
    /// Nothing: it has gone.
    Nothing,
}

impl<'s> Telling<'s> {
    fn new(
        source: &'s Source,
        socket: &'s FramedSocket,
        every: Duration,
        place: &'s Place,
    ) -> Telling<'s> {
        Telling {
            source,
            socket,
            every: every.clamp(EVERY_MIN, EVERY_MAX),
            place,
            told: None,
            reading: None,
            hears_from: Instant::now(),
        }
    }

    /// It is told something, so often.
    fn begins_reading(&mut self) {
        // The next before the last: there is always somebody.
        self.reading = Some(self.source.readers.read_every(self.every));
    }

    /// It takes nothing, or goes. What was encoded is not kept when nobody is left to be told.
    fn stops_reading(&mut self) {
        if self.reading.take().is_some() && !self.source.readers.are_there() {
            self.encoded().forget();
        }
    }

    fn encoded(&self) -> MutexGuard<'_, EncodedOnce> {
        let encoded = self.source.encoded.lock();
        encoded.unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells until the command goes, or nothing follows.
    async fn tell(&mut self) -> Result<(), Refused> {
        let mut snapshots = self.source.snapshots.clone();
        self.begins_reading();
        loop {
            // In this order: nothing follows on a snapshot that is taken after the end.
            let is_last = snapshots.has_changed().is_err();
            let now = Arc::clone(&snapshots.borrow_and_update());
            let frames = self.frames(&now)?;
            self.told = Some(now);
            for some in frames.chunks(FRAMES_WAITING_MAX) {
                for frame in some {
                    self.socket.send_encoded(frame.clone())?;
                }
                let flushed = self.socket.flushed();
                if tokio::time::timeout(STALLED_AFTER, flushed).await.is_err() {
                    self.stops_reading();
                    self.place.stalls();
                    self.told = None;
                    if self.reads_again(&snapshots).await == Next::Nothing {
                        return Ok(());
                    }
                    self.place.reads();
                    self.begins_reading();
                }
            }
            if is_last || self.next(&mut snapshots).await? == Next::Nothing {
                return Ok(());
            }
        }
    }

    /// Waits until a subscriber that takes nothing has taken what it was told. Once nothing follows, it has as long for that as
    /// any other: it keeps neither its place nor its connection beyond the end.
    async fn reads_again(&self, snapshots: &Snapshots) -> Next {
        let too_late = async {
            ended(snapshots.clone()).await;
            tokio::time::sleep(STALLED_AFTER).await;
        };
        tokio::select! {
            biased;
            () = self.socket.flushed() => Next::More,
            () = too_late => Next::Nothing,
        }
    }

    /// What leads the command from what it knows to this.
    fn frames(&self, to: &Arc<Snapshot>) -> Result<Frames, EncodeError> {
        self.encoded().frames(self.told.as_deref(), to)
    }

    /// Waits until the command is to be told something.
    ///
    /// Others are told on this thread too: one that asks again and again is heard no more often than anybody is told.
    async fn next(&mut self, snapshots: &mut Snapshots) -> Result<Next, Refused> {
        let mut due = self.due();
        loop {
            let is_whole = self.told.is_none();
            let hears_from = self.hears_from;
            let request = async {
                if Instant::now() < hears_from {
                    sleep_until(hears_from).await;
                }
                self.socket.next::<ClientRequest>().await
            };
            tokio::select! {
                biased;
                request = request => match request? {
                    Some((ClientRequest::Watch { every }, _)) => {
                        self.every = every.clamp(EVERY_MIN, EVERY_MAX);
                        self.told = None;
                        self.hears_from = Instant::now() + EVERY_MIN;
                        self.begins_reading();
                        // What is due is not put off by asking for more.
                        due = due.min(self.due());
                    }
                    Some(_) => return Err(Refused::OtherRequest),
                    None => return Ok(Next::Nothing),
                },
                () = more(snapshots, due, is_whole) => return Ok(Next::More),
            }
        }
    }

    /// When it is to be told something, if there is something. Whoever is told as often is told at the same moments, so
    /// that the same is told to all of them.
    fn due(&self) -> Instant {
        let began = self.source.began;
        let every = self.every.as_nanos();
        let turns = began.elapsed().as_nanos() / every + 1;
        let since = u64::try_from(turns * every).unwrap_or(u64::MAX);
        began + Duration::from_nanos(since)
    }
}

/// Waits until this moment, and then for another snapshot than the last one, unless it `is_whole`; not longer than until
/// nothing follows.
async fn more(snapshots: &mut Snapshots, due: Instant, is_whole: bool) {
    tokio::select! {
        biased;
        () = ended(snapshots.clone()) => return,
        () = sleep_until(due) => {}
    }
    if !is_whole {
        // Without one, nothing follows.
        let _ = snapshots.changed().await;
    }
}

/// Waits until no snapshot follows.
async fn ended(mut snapshots: Snapshots) {
    while snapshots.changed().await.is_ok() {}
}
