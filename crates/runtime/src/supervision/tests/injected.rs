//! What each injected fault does to the messages, and to the counts.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::mpsc::unbounded_channel;

use super::super::faults::{Fault, When};
use super::super::{Counts, TellError, What};
use super::{Ask, NAME, Stage, on_an_arbiter};

fn add(stage: &Stage, numbers: impl IntoIterator<Item = u32>) {
    for number in numbers {
        stage.handle.tell(Ask::Add(number)).unwrap();
    }
}

fn counts(sent: u64, handled: u64, returned: u64, dead_lettered: u64, waiting: u64) -> Counts {
    let counts = Counts {
        sent,
        handled,
        returned,
        dead_lettered,
        waiting,
    };
    assert!(counts.balances());
    counts
}

#[test]
fn a_dropped_message_is_dead_lettered_and_its_sender_sees_nothing() {
    on_an_arbiter(async |stage| {
        let fault = (stage.handle).inject(When::kind("Add").nth(2), Fault::Drop);
        add(&stage, [1, 2, 4]);
        assert_eq!(stage.sum().await, 5);
        assert_eq!(fault.struck(), 1);
        assert_eq!(stage.mailbox.counts(), counts(4, 3, 0, 1, 0));
    });
}

#[test]
fn a_delayed_message_waits_and_is_overtaken() {
    on_an_arbiter(async |stage| {
        tokio::time::pause();
        let wait = Duration::from_secs(3);
        stage.handle.inject(When::any(), Fault::Delay(wait));
        add(&stage, [1, 2]);
        assert_eq!(stage.sum().await, 2);
        assert_eq!(stage.mailbox.counts(), counts(3, 2, 0, 0, 1));
        tokio::time::sleep(wait + Duration::from_millis(1)).await;
        assert_eq!(stage.sum().await, 3);
        assert_eq!(*stage.table.log.borrow(), [2, 1]);
        assert_eq!(stage.mailbox.counts(), counts(4, 4, 0, 0, 0));
    });
}

#[test]
fn a_duplicate_is_a_message_of_its_own() {
    on_an_arbiter(async |stage| {
        stage.handle.duplicate(When::kind("Add").times(2));
        add(&stage, [1, 2]);
        // Four of them fill the mailbox.
        assert!(matches!(
            stage.handle.tell(Ask::Add(4)),
            Err(TellError::Full(_))
        ));
        let (answer, mut sum) = unbounded_channel();
        stage.handle.deliver(Ask::Sum(answer)).await.unwrap();
        assert_eq!(sum.recv().await.unwrap(), 6);
        assert_eq!(*stage.table.log.borrow(), [1, 1, 2, 2]);
        assert!(stage.mailbox.counts().balances());
    });
}

#[test]
fn a_duplicate_that_finds_no_room_is_counted_as_returned() {
    on_an_arbiter(async |stage| {
        stage.handle.duplicate(When::kind("Add").nth(4));
        add(&stage, [1, 2, 4, 8]);
        assert_eq!(stage.mailbox.counts(), counts(5, 0, 1, 0, 4));
    });
}

#[test]
fn a_reordered_message_comes_after_the_next_one() {
    on_an_arbiter(async |stage| {
        stage.handle.inject(When::kind("Add"), Fault::Reorder);
        add(&stage, [1]);
        assert_eq!(stage.mailbox.counts(), counts(1, 0, 0, 0, 1));
        add(&stage, [2, 4]);
        assert_eq!(stage.sum().await, 7);
        assert_eq!(*stage.table.log.borrow(), [2, 1, 4]);
        assert_eq!(stage.mailbox.counts(), counts(4, 4, 0, 0, 0));
    });
}

#[test]
fn a_mailbox_that_claims_to_be_full_gives_back_and_delivery_goes_on() {
    on_an_arbiter(async |stage| {
        (stage.handle).inject(When::kind("Add").times(3), Fault::Full);
        let refused = stage.handle.tell(Ask::Add(1));
        assert!(matches!(refused, Err(TellError::Full(Ask::Add(1)))));
        stage.handle.fact(Ask::Add(2));
        stage.handle.deliver(Ask::Add(4)).await.unwrap();
        assert_eq!(stage.sum().await, 6);
        assert_eq!(stage.mailbox.counts(), counts(6, 3, 3, 0, 0));
    });
}

#[test]
fn a_panic_before_the_handler_happens_once_and_one_after_it_handles_twice() {
    for (fault, sum) in [(Fault::PanicBefore, 1 + 2), (Fault::PanicAfter, 1 + 2 + 2)] {
        on_an_arbiter(async |mut stage| {
            stage.handle.inject(When::kind("Add").nth(2), fault);
            add(&stage, [1, 2]);
            stage.rebuild().await;
            assert_eq!(stage.sum().await, sum);
            assert_eq!(stage.mailbox.counts(), counts(3, 3, 0, 0, 0));
        });
    }
}

#[test]
fn a_panic_twice_in_a_row_dead_letters() {
    on_an_arbiter(async |mut stage| {
        let twice = When::kind("Add").times(2);
        let fault = stage.handle.inject(twice, Fault::PanicBefore);
        add(&stage, [1, 2]);
        stage.rebuild().await;
        stage.rebuild().await;
        assert_eq!(stage.sum().await, 2);
        assert_eq!(fault.struck(), 2);
        assert_eq!(stage.mailbox.counts(), counts(3, 2, 0, 1, 0));
    });
}

#[test]
fn a_killed_actor_is_rebuilt_and_its_messages_wait_for_it() {
    on_an_arbiter(async |mut stage| {
        stage.handle.inject(When::kind("Add").nth(2), Fault::Kill);
        add(&stage, [1, 2]);
        stage.rebuild().await;
        assert_eq!(stage.mailbox.counts(), counts(2, 1, 0, 0, 1));
        assert_eq!(stage.sum().await, 3);
        // Nothing waits for it, and it ends all the same.
        stage.handle.kill();
        stage.rebuild().await;
        assert_eq!(stage.sum().await, 3);
        assert_eq!(stage.table.begun.get(), 3);
        assert_eq!(stage.mailbox.counts(), counts(4, 4, 0, 0, 0));
    });
}

#[test]
fn what_a_fault_holds_back_is_dead_lettered_at_the_end() {
    on_an_arbiter(async |mut stage| {
        let wait = Duration::from_secs(3);
        stage.handle.inject(When::any(), Fault::Delay(wait));
        stage.handle.inject(When::any().nth(2), Fault::Reorder);
        add(&stage, [1, 2]);
        stage.supervisor.end();
        assert_eq!(stage.mailbox.counts(), counts(2, 0, 0, 2, 0));
    });
}

#[test]
fn who_watches_sees_each_message_come_and_go() {
    on_an_arbiter(async |mut stage| {
        let seen = Rc::new(RefCell::new(Vec::new()));
        let log = Rc::clone(&seen);
        stage.handle.watch(move |seen| {
            assert_eq!(seen.actor, NAME);
            log.borrow_mut().push((seen.kind, seen.what));
        });
        let twice = When::kind("Add").times(2);
        stage.handle.inject(twice, Fault::PanicBefore);
        add(&stage, [1]);
        stage.rebuild().await;
        stage.rebuild().await;
        stage.sum().await;
        assert_eq!(
            *seen.borrow(),
            [
                ("Add", What::Sent),
                ("Add", What::Panicked),
                ("Add", What::Panicked),
                ("Add", What::DeadLettered),
                ("Sum", What::Sent),
                ("Sum", What::Handled),
            ]
        );
    });
}

#[test]
#[should_panic(expected = "no kind `Subtract`")]
fn a_fault_for_a_kind_that_there_is_not_is_refused() {
    on_an_arbiter(async |stage| {
        stage.handle.inject(When::kind("Subtract"), Fault::Drop);
    });
}
