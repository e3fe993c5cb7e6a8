//! Timers and timeouts happen when the test says so.

use std::time::Duration;

use dataflow_node::{Event, Metadata, Node, Polled};
use dataflow_testkit::node::{NodeTest, Rest};

/// Sends a line for each tick.
fn clock(mut node: Node) {
    while let Some(event) = node.recv().unwrap() {
        if let Event::Input(tick) = event {
            let line = format!("{} {} {}", tick.id(), tick.sequence().0, tick.missed());
            node.send("out", line, Metadata::new()).unwrap();
        }
    }
}

#[test]
fn a_timer_ticks_once_for_each_time_the_test_says_so() {
    let mut test = NodeTest::new("clock")
        .timer("tick", Duration::from_secs(3600))
        .output("out")
        .start(clock);
    test.receive_nothing("out");
    for number in 1..50 {
        test.tick("tick");
        assert_eq!(test.receive("out").text(), format!("tick {number} 0"));
        test.receive_nothing("out");
    }
    test.end().nothing_left();
}

#[test]
fn time_that_passes_at_once_makes_one_tick_that_counts_the_missed_ones() {
    let mut test = NodeTest::new("clock")
        .timer("fast", Duration::from_millis(10))
        .timer("slow", Duration::from_millis(25))
        .output("out")
        .start(clock);
    test.advance(Duration::from_millis(49));
    let mut lines = [test.receive("out"), test.receive("out")];
    lines.sort_by_key(|line| line.text().to_owned());
    assert_eq!(lines[0].text(), "fast 4 3");
    assert_eq!(lines[1].text(), "slow 1 0");
    test.receive_nothing("out");
    // The rhythm is kept: both are due at 50 ms, which is 1 ms away.
    test.tick("slow");
    let mut lines = [test.receive("out"), test.receive("out")];
    lines.sort_by_key(|line| line.text().to_owned());
    assert_eq!(lines[0].text(), "fast 5 0");
    assert_eq!(lines[1].text(), "slow 2 0");
    test.end().nothing_left();
}

#[test]
fn a_receive_with_a_timeout_is_over_when_the_test_says_so() {
    let mut test = NodeTest::new("patient")
        .input("in")
        .output("out")
        .start(|mut node| {
            let mut gaps = 0;
            loop {
                match node.recv_timeout(Duration::from_secs(60)).unwrap() {
                    Polled::Event(Event::Input(_)) => {}
                    Polled::Event(_) => {}
                    Polled::Nothing => {
                        gaps += 1;
                        node.send("out", b"nothing for a minute", Metadata::new())
                            .unwrap();
                    }
                    Polled::Ended => return gaps,
                }
            }
        });
    test.send("in", b"x", Metadata::new());
    test.receive_nothing("out");
    test.advance(Duration::from_secs(59));
    test.receive_nothing("out");
    test.advance(Duration::from_secs(1));
    assert_eq!(test.receive("out").text(), "nothing for a minute");
    assert_eq!(test.settle(), Rest::WaitsForInput);
    assert_eq!(test.end().nothing_left(), 1);
}

#[test]
fn a_timer_wakes_a_future_when_the_test_says_so() {
    let mut test = NodeTest::new("clock")
        .timer("tick", Duration::from_secs(1))
        .output("out")
        .start(|mut node| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap();
            runtime.block_on(async move {
                while let Some(event) = node.recv_async().await.unwrap() {
                    if let Event::Input(tick) = event {
                        let number = tick.sequence().0.to_string();
                        node.send("out", number, Metadata::new()).unwrap();
                    }
                }
            });
        });
    for number in 1..50 {
        test.receive_nothing("out");
        test.tick("tick");
        assert_eq!(test.receive("out").text(), number.to_string());
    }
    test.end().nothing_left();
}
