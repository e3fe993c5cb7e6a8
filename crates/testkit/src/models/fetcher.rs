//! The fetcher that fetches nothing.

use std::cell::RefCell;
use std::fmt;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dataflow_core::models::{ContentHash, FilePlan, Listing};
use dataflow_runtime::models::{
    FetchEpoch, FetchEvent, FetchProgress, FetchSink, Fetcher, Fetching, FileProgress, ModelOrder,
};
use tokio::sync::Notify;

use super::script::{Ending, Script};

/// In how many steps files come.
const STEPS: u32 = 10;

type Choose = dyn Fn(&ModelOrder) -> Script;

/// Fetches nothing, and says what a [`Script`] says, on the calling thread: one of an actix system. Clones are the
/// same fetcher.
#[derive(Clone)]
pub struct FakeFetcher {
    inner: Rc<Inner>,
}

struct Inner {
    choose: Box<Choose>,
    fetches: RefCell<Vec<(FakeFetch, Arc<Cancelled>)>>,
}

/// A fetch that was begun.
#[derive(Debug, Clone, PartialEq)]
pub struct FakeFetch {
    /// Its number.
    pub epoch: FetchEpoch,
    /// What was ordered.
    pub order: ModelOrder,
    /// How it ended, once it has.
    pub end: Option<FetchEnd>,
    /// Whether beginning it has panicked: nothing more comes of it.
    pub has_panicked: bool,
}

/// How a fetch came to its end. Letting go of one that is over changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FetchEnd {
    /// It has said its end.
    Said,
    /// It was cancelled before that.
    Cancelled,
    /// It was cancelled, and has said its end after that.
    SaidLate,
}

impl fmt::Debug for FakeFetcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.fetches()).finish()
    }
}

impl FakeFetcher {
    /// A fetcher that lets `choose` say what comes of an order.
    #[must_use]
    pub fn new(choose: impl Fn(&ModelOrder) -> Script + 'static) -> FakeFetcher {
        FakeFetcher {
            inner: Rc::new(Inner {
                choose: Box::new(choose),
                fetches: RefCell::default(),
            }),
        }
    }

    /// All fetches that were begun, in their order.
    #[must_use]
    pub fn fetches(&self) -> Vec<FakeFetch> {
        let fetches = self.inner.fetches.borrow();
        let told = fetches.iter().map(|(fetch, cancelled)| FakeFetch {
            end: fetch
                .end
                .or_else(|| cancelled.is_so().then_some(FetchEnd::Cancelled)),
            ..fetch.clone()
        });
        told.collect()
    }

    /// The folder in which a fetch of this number says that its files are: another one for each fetch.
    #[must_use]
    pub fn snapshot(epoch: FetchEpoch) -> PathBuf {
        PathBuf::from(format!("/cache/snapshots/{}", epoch.0))
    }

    fn ends(&self, epoch: FetchEpoch, end: FetchEnd) {
        let mut fetches = self.inner.fetches.borrow_mut();
        for (fetch, _) in fetches.iter_mut().filter(|(it, _)| it.epoch == epoch) {
            fetch.end = Some(end);
        }
    }
}

impl Fetcher for FakeFetcher {
    fn fetch(&self, order: ModelOrder, sink: FetchSink) -> Box<dyn Fetching> {
        let script = (self.inner.choose)(&order);
        let epoch = sink.epoch;
        let has_panicked = script.ending == Ending::Panics;
        let fetch = FakeFetch {
            epoch,
            order,
            end: None,
            has_panicked,
        };
        let cancelled = Arc::new(Cancelled::default());
        (self.inner.fetches.borrow_mut()).push((fetch, Arc::clone(&cancelled)));
        if has_panicked {
            // Without a word on standard error, as every fault.
            std::panic::resume_unwind(Box::new("the fetch that is to panic"));
        }
        let (fetcher, heard) = (self.clone(), Arc::clone(&cancelled));
        actix_rt::spawn(async move {
            let is_over = tokio::select! {
                biased;
                () = heard.wait() => false,
                () = play(&script, &sink) => true,
            };
            if is_over {
                fetcher.ends(epoch, FetchEnd::Said);
                return;
            }
            fetcher.ends(epoch, FetchEnd::Cancelled);
            if let Some(late) = script.says_late {
                tokio::time::sleep(late).await;
                say_end(&script, &sink);
                fetcher.ends(epoch, FetchEnd::SaidLate);
            }
        });
        Box::new(FakeFetching(cancelled))
    }
}

/// What a script says, up to its end.
async fn play(script: &Script, sink: &FetchSink) {
    if script.ending == Ending::Hangs {
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(script.resolves_after).await;
    let files = script
        .files
        .iter()
        .zip(1..)
        .map(|((path, size), place)| FilePlan {
            path: path.clone(),
            size: *size,
            hash: ContentHash::Sha256([place; 32]),
        });
    let listing = Listing {
        commit: format!("{:040x}", sink.epoch.0),
        files: files.collect(),
    };
    // Nobody may listen any more.
    let _ = sink
        .events
        .send((sink.epoch, FetchEvent::Resolved(listing)));
    let sizes = || script.files.iter().map(|(_, size)| *size);
    for step in 1..=STEPS {
        tokio::time::sleep(script.takes / STEPS).await;
        if script.ending == Ending::Stalls && step == STEPS / 2 {
            std::future::pending::<()>().await;
        }
        let done = |size: u64| size / u64::from(STEPS) * u64::from(step);
        let files = sizes().map(|size| FileProgress {
            done_bytes: done(size),
            is_verified: step == STEPS,
        });
        sink.progress.send_replace(FetchProgress {
            files: files.collect(),
            received_bytes: sizes().map(done).sum(),
            because: None,
        });
    }
    say_end(script, sink);
}

fn say_end(script: &Script, sink: &FetchSink) {
    let event = match &script.ending {
        Ending::Fails(error) => FetchEvent::Failed(error.clone()),
        Ending::Vanishes => return,
        Ending::Finishes | Ending::Hangs | Ending::Stalls | Ending::Panics => {
            FetchEvent::Finished {
                snapshot: FakeFetcher::snapshot(sink.epoch),
            }
        }
    };
    let _ = sink.events.send((sink.epoch, event));
}

/// Whether a fetch was let go of.
#[derive(Debug, Default)]
struct Cancelled {
    is_so: AtomicBool,
    came: Notify,
}

impl Cancelled {
    fn is_so(&self) -> bool {
        self.is_so.load(Ordering::Acquire)
    }

    async fn wait(&self) {
        while !self.is_so() {
            self.came.notified().await;
        }
    }
}

#[derive(Debug)]
struct FakeFetching(Arc<Cancelled>);

impl Fetching for FakeFetching {}

impl Drop for FakeFetching {
    fn drop(&mut self) {
        self.0.is_so.store(true, Ordering::Release);
        self.0.came.notify_one();
    }
}
