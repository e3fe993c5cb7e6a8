//! Who asks gets an answer or an error, whatever becomes of the question.

use std::cell::Cell;

use super::super::{AskError, TellError};
use super::{Ask, CAPACITY, NAME, on_an_arbiter};

fn halve(number: u32) -> impl FnOnce(super::Reply<u32>) -> Ask {
    faulty_halve(0, number)
}

fn faulty_halve(times: u32, number: u32) -> impl FnOnce(super::Reply<u32>) -> Ask {
    move |reply| Ask::Halve(Cell::new(times), number, reply)
}

#[test]
fn a_question_is_answered_also_by_the_next_incarnation() {
    on_an_arbiter(async |mut stage| {
        assert_eq!(stage.handle.ask(halve(8)).await.unwrap(), 4);
        let asker = stage.handle.clone();
        let (answer, ()) = tokio::join!(asker.ask(faulty_halve(1, 6)), stage.rebuild());
        assert_eq!(answer.unwrap(), 3);
    });
}

#[test]
fn a_question_that_is_dead_lettered_is_an_error_and_no_wait() {
    on_an_arbiter(async |mut stage| {
        let asker = stage.handle.clone();
        let (answer, ()) = tokio::join!(asker.ask(faulty_halve(2, 6)), async {
            stage.rebuild().await;
            stage.rebuild().await;
        });
        assert!(matches!(answer, Err(AskError::Unanswered)), "{answer:?}");
        assert_eq!(stage.mailbox.counts().dead_lettered, 1);
    });
}

#[test]
fn a_handler_that_gives_no_answer_is_an_error_and_no_wait() {
    on_an_arbiter(async |stage| {
        let answer = stage.handle.ask(halve(7)).await;
        assert!(matches!(answer, Err(AskError::Unanswered)), "{answer:?}");
    });
}

#[test]
fn a_question_that_is_not_taken_is_given_back() {
    on_an_arbiter(async |mut stage| {
        for _ in 0..CAPACITY {
            stage.handle.tell(Ask::Add(1)).unwrap();
        }
        let full = stage.handle.ask(halve(8)).await;
        assert!(matches!(
            full,
            Err(AskError::NotTaken(TellError::Full(Ask::Halve(_, 8, _))))
        ));
        stage.supervisor.end();
        let ended = stage.handle.ask(halve(8)).await;
        assert!(matches!(
            ended,
            Err(AskError::NotTaken(TellError::Ended(Ask::Halve(_, 8, _))))
        ));
    });
}

/// What was in hand at a panic used to wait for ever when its actor was ended before it was rebuilt.
#[test]
fn an_end_while_nobody_is_there_dead_letters_what_was_in_hand() {
    on_an_arbiter(async |mut stage| {
        let asker = stage.handle.clone();
        let (answer, ()) = tokio::join!(asker.ask(faulty_halve(1, 6)), async {
            stage.decide().await;
            stage.supervisor.end();
        });
        assert!(matches!(answer, Err(AskError::Unanswered)), "{answer:?}");
        let counts = stage.mailbox.counts();
        assert_eq!((counts.waiting, counts.dead_lettered), (0, 1));
        assert!(counts.balances());
    });
}

#[test]
fn a_message_that_ends_its_own_actor_and_panics_is_dead_lettered() {
    on_an_arbiter(async |mut stage| {
        stage.handle.tell(Ask::EndItself).unwrap();
        let down = stage.downs.recv().await.unwrap();
        assert_eq!((down.actor, down.panicking), (NAME, true));
        let counts = stage.mailbox.counts();
        assert_eq!((counts.waiting, counts.dead_lettered), (0, 1));
        assert!(counts.balances());
    });
}
