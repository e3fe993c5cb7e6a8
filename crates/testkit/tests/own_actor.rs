//! How somebody tests an actor of their own: an uploader, which gathers readings and puts them into a store in
//! batches. Its neighbour is a probe, the clock is virtual, and faults strike where they are told to.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::process::Command;
use std::rc::Rc;
use std::time::Duration;

use dataflow_runtime::actor::{Behaviour, Fault, Handle, Message, Reply, When};
use dataflow_testkit::actor::{Kit, Probe};

const BATCH: usize = 3;
const PERIOD: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_secs(1);

/// What the store is told.
#[derive(Debug, Clone)]
enum Store {
    /// Keep these. The answer says whether it could.
    Put(Vec<u32>, Reply<bool>),
}
dataflow_runtime::message_kinds!(Store { Put });

/// What the uploader is told.
#[derive(Debug, Clone)]
enum Upload {
    /// Somebody has measured this.
    Reading(u32),
    /// It is time to send what there is.
    Tick,
    /// What became of the batch.
    Done { is_stored: bool },
    /// How many readings are not stored yet?
    Pending(Reply<usize>),
}
dataflow_runtime::message_kinds!(Upload {
    Reading,
    Tick,
    Done,
    Pending,
});

/// What must survive a panic of the uploader.
#[derive(Default)]
struct Table {
    readings: VecDeque<u32>,
    /// How many of them the store has been asked to keep.
    asked: usize,
}

struct Uploader {
    table: Rc<RefCell<Table>>,
    store: Handle<Store>,
    itself: Handle<Upload>,
}

impl Uploader {
    fn send(&self, at_least: usize) {
        let mut table = self.table.borrow_mut();
        if table.asked > 0 || table.readings.len() < at_least {
            return;
        }
        table.asked = table.readings.len();
        let batch: Vec<u32> = table.readings.iter().copied().collect();
        let (store, itself) = (self.store.clone(), self.itself.clone());
        actix_rt::spawn(async move {
            let answer = store.ask(|reply| Store::Put(batch, reply)).await;
            let is_stored = answer.unwrap_or(false);
            itself.fact(Upload::Done { is_stored });
        });
    }

    fn tell_later(&self, wait: Duration, message: Upload) {
        let itself = self.itself.clone();
        actix_rt::spawn(async move {
            tokio::time::sleep(wait).await;
            itself.fact(message);
        });
    }
}

impl Behaviour for Uploader {
    type Message = Upload;

    fn handle(&mut self, message: &Upload) {
        match message {
            Upload::Reading(reading) => {
                let mut table = self.table.borrow_mut();
                table.readings.push_back(*reading);
                let is_first = table.readings.len() == 1;
                drop(table);
                if is_first {
                    self.tell_later(PERIOD, Upload::Tick);
                }
                self.send(BATCH);
            }
            Upload::Tick => self.send(1),
            Upload::Done { is_stored: true } => {
                let mut table = self.table.borrow_mut();
                let asked = std::mem::take(&mut table.asked);
                table.readings.drain(..asked);
            }
            Upload::Done { is_stored: false } => {
                self.table.borrow_mut().asked = 0;
                self.tell_later(PAUSE, Upload::Tick);
            }
            Upload::Pending(reply) => reply.send(self.table.borrow().readings.len()),
        }
    }
}

/// An uploader, and a store that keeps what it is given when `keeps` says so.
fn uploader(
    kit: &Kit,
    mut keeps: impl FnMut() -> bool + 'static,
) -> (Handle<Upload>, Probe<Store>) {
    let store = kit.probe("store", move |Store::Put(_, reply)| reply.send(keeps()));
    let to_store = store.handle();
    let table = Rc::new(RefCell::new(Table::default()));
    let uploader = kit.supervise("uploader", 64, move |itself| Uploader {
        table: Rc::clone(&table),
        store: to_store.clone(),
        itself: itself.clone(),
    });
    (uploader, store)
}

async fn batch(store: &Probe<Store>) -> Vec<u32> {
    let Store::Put(batch, _) = store.next().await;
    batch
}

#[test]
fn a_full_batch_goes_at_once_and_a_part_of_one_after_five_seconds() {
    Kit::run(7, async |kit| {
        let (uploader, store) = uploader(&kit, || true);
        for reading in [1, 2, 3] {
            uploader.tell(Upload::Reading(reading)).unwrap();
        }
        assert_eq!(batch(&store).await, [1, 2, 3]);
        assert_eq!(kit.now(), Duration::ZERO);
        kit.advance(PERIOD).await;
        uploader.tell(Upload::Reading(4)).unwrap();
        kit.advance(PERIOD - Duration::from_millis(1)).await;
        assert!(store.take().is_empty(), "it is not time yet");
        kit.advance(Duration::from_millis(1)).await;
        assert_eq!(batch(&store).await, [4]);
    });
}

#[test]
fn a_store_that_cannot_is_asked_again_after_a_second() {
    Kit::run(7, async |kit| {
        let mut attempts = 0;
        let (uploader, store) = uploader(&kit, move || {
            attempts += 1;
            attempts > 2
        });
        for reading in [1, 2, 3] {
            uploader.tell(Upload::Reading(reading)).unwrap();
        }
        for attempt in 0..3 {
            assert_eq!(batch(&store).await, [1, 2, 3]);
            assert_eq!(kit.now(), PAUSE * attempt);
        }
        kit.settle().await;
        assert_eq!(uploader.ask(Upload::Pending).await.unwrap(), 0);
        kit.advance(PERIOD).await;
    });
}

#[test]
fn a_question_that_the_store_never_sees_is_asked_again() {
    Kit::run(7, async |kit| {
        let (uploader, store) = uploader(&kit, || true);
        store.handle().inject(When::kind("Put"), Fault::Drop);
        kit.expect_dead_letters("store", 1);
        for reading in [1, 2, 3] {
            uploader.tell(Upload::Reading(reading)).unwrap();
        }
        assert_eq!(batch(&store).await, [1, 2, 3]);
        assert_eq!(kit.now(), PAUSE);
        kit.advance(PERIOD).await;
    });
}

#[test]
fn whatever_it_panics_over_every_reading_is_stored() {
    for kind in Upload::KINDS {
        for fault in [Fault::PanicBefore, Fault::PanicAfter, Fault::Kill] {
            Kit::run(7, async |kit| {
                let (uploader, store) = uploader(&kit, || true);
                let fault = uploader.inject(When::kind(kind), fault);
                for reading in 1..=4 {
                    uploader.tell(Upload::Reading(reading)).unwrap();
                }
                kit.advance(PERIOD * 3).await;
                assert_eq!(uploader.ask(Upload::Pending).await.unwrap(), 0);
                assert_eq!(fault.struck(), 1, "{kind}");
                let stored: Vec<u32> = (store.take().into_iter())
                    .flat_map(|Store::Put(batch, _)| batch)
                    .collect();
                assert!(
                    (1..=4).all(|reading| stored.contains(&reading)),
                    "{stored:?}"
                );
            });
        }
    }
}

/// A test with some of everything, and its trace.
fn trace(seed: u64) -> String {
    Kit::run(seed, async |kit| {
        let chance = kit.clone();
        let (uploader, _store) = uploader(&kit, move || chance.random().is_multiple_of(2));
        uploader.inject(When::kind("Reading").nth(2).times(3), Fault::PanicBefore);
        uploader.inject(When::kind("Done"), Fault::PanicAfter);
        let held = Duration::from_millis(700);
        uploader.inject(When::kind("Reading").nth(7), Fault::Delay(held));
        uploader.duplicate(When::kind("Reading").nth(9));
        kit.expect_dead_letters("uploader", 1);
        for reading in 0..20 {
            uploader
                .tell(Upload::Reading(reading))
                .expect("there is room for it");
            kit.advance(Duration::from_millis(kit.random() % 900)).await;
        }
        kit.note("no more readings");
        kit.advance(PERIOD * 10).await;
        kit.trace()
    })
}

#[test]
#[ignore = "the next test runs it, in a process of its own"]
fn the_trace_is_written() {
    println!("<<<{}>>>", trace(4711));
}

#[test]
fn one_seed_gives_one_trace_to_the_byte_in_every_process() {
    let ours = trace(4711);
    assert_eq!(ours, trace(4711));
    assert_ne!(ours, trace(4712), "the seed matters");
    for happened in [
        "panics over",
        "never handles",
        "is rebuilt",
        "no more readings",
    ] {
        assert!(ours.contains(happened), "{happened} in:\n{ours}");
    }
    for _ in 0..2 {
        let output = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "the_trace_is_written",
                "--ignored",
                "--nocapture",
            ])
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let theirs = said
            .split_once("<<<")
            .unwrap()
            .1
            .split_once(">>>")
            .unwrap()
            .0;
        assert_eq!(ours, theirs);
    }
}
