//! What must be true of actors that panic and of those who talk to them.

mod asking;
mod injected;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use dataflow_core::Time;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::{
    ACTOR_POLICY, Behaviour, Counts, Down, Handle, Mailbox, Reply, Supervisor, TellError, Verdict,
};

const NAME: &str = "adder";
const CAPACITY: usize = 4;

#[derive(Debug, Clone)]
enum Ask {
    Add(u32),
    /// Panics as often as the cell says, then adds.
    Faulty(Cell<u32>, u32),
    Sum(UnboundedSender<u32>),
    /// Answers in the reply, unless the number is odd; panics as often as the cell says before.
    Halve(Cell<u32>, u32, Reply<u32>),
    /// Ends its own actor for good, and panics.
    EndItself,
}

crate::message_kinds!(Ask {
    Add,
    Faulty,
    Sum,
    Halve,
    EndItself,
});

/// What outlives the actor.
#[derive(Default)]
struct Table {
    sum: Cell<u32>,
    begun: Cell<u32>,
    log: RefCell<Vec<u32>>,
    itself: RefCell<Option<Rc<Mailbox<Ask>>>>,
}

impl Table {
    fn fail(times: &Cell<u32>) {
        if times.get() > 0 {
            times.set(times.get() - 1);
            panic!("the injected fault");
        }
    }
}

struct Adder(Rc<Table>);

impl Behaviour for Adder {
    type Message = Ask;

    fn begin(&mut self) {
        self.0.begun.set(self.0.begun.get() + 1);
    }

    fn handle(&mut self, message: &Ask) {
        let add = match message {
            Ask::Add(number) => *number,
            Ask::Faulty(times, number) => {
                Table::fail(times);
                *number
            }
            Ask::Sum(answer) => return answer.send(self.0.sum.get()).unwrap(),
            Ask::Halve(times, number, reply) => {
                Table::fail(times);
                if number % 2 == 0 {
                    reply.send(number / 2);
                }
                return;
            }
            Ask::EndItself => {
                self.0.itself.borrow().as_ref().unwrap().end();
                panic!("the injected fault");
            }
        };
        self.0.sum.set(self.0.sum.get() + add);
        self.0.log.borrow_mut().push(add);
    }
}

struct Stage {
    table: Rc<Table>,
    mailbox: Rc<Mailbox<Ask>>,
    handle: Handle<Ask>,
    supervisor: Supervisor<&'static str>,
    downs: UnboundedReceiver<Down<&'static str>>,
}

impl Stage {
    fn new() -> Stage {
        let (to_root, downs) = unbounded_channel();
        let table = Rc::new(Table::default());
        let mailbox = Mailbox::new(NAME, CAPACITY);
        let mut supervisor = Supervisor::new(ACTOR_POLICY, to_root);
        *table.itself.borrow_mut() = Some(Rc::clone(&mailbox));
        let for_actor = Rc::clone(&table);
        supervisor.add(Time::START, NAME, Rc::clone(&mailbox), move || {
            Adder(Rc::clone(&for_actor))
        });
        Stage {
            table,
            handle: Handle::new(Rc::clone(&mailbox)),
            mailbox,
            supervisor,
            downs,
        }
    }

    /// Waits for the actor's end, as the root does, and decides.
    async fn decide(&mut self) -> Verdict {
        let down = self.downs.recv().await.unwrap();
        assert!(down.panicking);
        self.supervisor.down(Time::START, 7, &down)
    }

    /// Waits for the actor's panic, and builds it again.
    async fn rebuild(&mut self) {
        let verdict = self.decide().await;
        assert!(matches!(verdict, Verdict::Rebuild { .. }), "{verdict:?}");
        self.supervisor.build(Time::START, &NAME);
    }

    async fn sum(&self) -> u32 {
        let (answer, mut sum) = unbounded_channel();
        self.handle.tell(Ask::Sum(answer)).unwrap();
        sum.recv().await.unwrap()
    }
}

fn on_an_arbiter(test: impl AsyncFnOnce(Stage)) {
    actix_rt::System::new().block_on(async {
        test(Stage::new()).await;
    });
}

#[test]
fn whoever_is_told_what_was_counted_knows_what_whoever_looks_sees() {
    on_an_arbiter(async |mut stage| {
        let told = Rc::new(Cell::new(Counts::default()));
        let hears = Rc::clone(&told);
        stage.mailbox.on_count(move |counts| hears.set(counts));
        let same = |stage: &Stage| assert_eq!(told.get(), stage.mailbox.counts());
        for _ in 0..CAPACITY {
            stage.handle.tell(Ask::Add(1)).unwrap();
        }
        stage.handle.tell(Ask::Add(1)).unwrap_err();
        stage.handle.fact(Ask::Faulty(Cell::new(2), 2));
        same(&stage);
        assert_eq!((told.get().returned, told.get().waiting), (1, 5));
        stage.rebuild().await;
        same(&stage);
        stage.rebuild().await;
        let (answer, mut sum) = unbounded_channel();
        stage.handle.deliver(Ask::Sum(answer)).await.unwrap();
        assert_eq!(sum.recv().await, Some(4));
        same(&stage);
        assert_eq!(told.get().dead_lettered, 1);
        stage.handle.tell(Ask::Add(1)).unwrap();
        stage.supervisor.end();
        same(&stage);
        assert_eq!((told.get().dead_lettered, told.get().waiting), (2, 0));
    });
}

#[test]
fn a_panicking_actor_is_rebuilt_and_adopts_and_its_messages_are_all_handled_in_order() {
    on_an_arbiter(async |mut stage| {
        stage.handle.tell(Ask::Add(1)).unwrap();
        stage.handle.tell(Ask::Faulty(Cell::new(1), 2)).unwrap();
        stage.handle.tell(Ask::Add(4)).unwrap();
        match stage.decide().await {
            Verdict::Rebuild {
                what, is_poisoned, ..
            } => assert_eq!((what.as_str(), is_poisoned), ("the injected fault", false)),
            other => panic!("{other:?}"),
        }
        // While nobody is there, messages wait.
        stage.handle.tell(Ask::Add(8)).unwrap();
        stage.supervisor.build(Time::START, &NAME);
        assert_eq!(stage.sum().await, 15);
        assert_eq!(*stage.table.log.borrow(), [1, 2, 4, 8]);
        assert_eq!(stage.table.begun.get(), 2);
        let counts = stage.mailbox.counts();
        assert_eq!((counts.sent, counts.handled), (5, 5));
    });
}

#[test]
fn a_message_that_panics_twice_is_dead_lettered_and_the_rest_goes_on() {
    on_an_arbiter(async |mut stage| {
        stage.handle.tell(Ask::Faulty(Cell::new(9), 2)).unwrap();
        stage.handle.tell(Ask::Add(4)).unwrap();
        for poisoned in [false, true] {
            match stage.decide().await {
                Verdict::Rebuild { is_poisoned, .. } => assert_eq!(is_poisoned, poisoned),
                other => panic!("{other:?}"),
            }
            stage.supervisor.build(Time::START, &NAME);
        }
        assert_eq!(stage.sum().await, 4);
        assert_eq!(stage.mailbox.counts().dead_lettered, 1);
        assert!(stage.mailbox.counts().balances());
    });
}

#[test]
fn an_actor_that_panics_too_often_is_given_up() {
    on_an_arbiter(async |mut stage| {
        for _ in 0..ACTOR_POLICY.restarts_max {
            stage.handle.tell(Ask::Faulty(Cell::new(1), 0)).unwrap();
            assert!(matches!(stage.decide().await, Verdict::Rebuild { .. }));
            stage.supervisor.build(Time::START, &NAME);
            stage.sum().await;
        }
        stage.handle.tell(Ask::Faulty(Cell::new(1), 0)).unwrap();
        let what = "the injected fault".to_owned();
        assert_eq!(stage.decide().await, Verdict::GiveUp { what });
    });
}

#[test]
fn a_full_mailbox_gives_the_message_back_and_facts_are_never_refused() {
    on_an_arbiter(async |stage| {
        for number in 0..CAPACITY {
            stage.handle.tell(Ask::Add(number as u32)).unwrap();
        }
        assert!(matches!(
            stage.handle.tell(Ask::Add(99)),
            Err(TellError::Full(Ask::Add(99)))
        ));
        for _ in 0..100 {
            stage.handle.fact(Ask::Add(1));
        }
        stage.handle.deliver(Ask::Add(10)).await.unwrap();
        stage.handle.deliver(Ask::Add(10)).await.unwrap();
        assert_eq!(stage.sum().await, 6 + 100 + 20);
        let counts = stage.mailbox.counts();
        assert!(counts.returned >= 1 && counts.balances(), "{counts:?}");
    });
}

#[test]
fn after_its_end_an_actor_takes_nothing_and_what_waits_is_counted() {
    on_an_arbiter(async |mut stage| {
        stage.handle.tell(Ask::Add(1)).unwrap();
        let counts = stage.supervisor.end();
        assert_eq!(counts[0].1.dead_lettered, 1);
        assert!(matches!(
            stage.handle.tell(Ask::Add(2)),
            Err(TellError::Ended(_))
        ));
        stage.handle.fact(Ask::Add(3));
        let counts = stage.mailbox.counts();
        assert_eq!(
            (counts.sent, counts.returned, counts.dead_lettered),
            (3, 1, 2)
        );
        assert!(counts.balances());
        let down = stage.downs.recv().await.unwrap();
        assert!(!down.panicking, "it ends, it does not crash");
    });
}
