//! A node of your own, and its tests: `cargo test -p dataflow-testkit --example own_node`.
//!
//! The node keeps the newest reading of each sensor and sends the mean of them at every tick of its timer. `main`
//! only connects: what is worth testing is in a function that takes the node.

use std::collections::BTreeMap;

use dataflow_node::{Event, Metadata, Node, RecvError, SendError};

/// Why the node ends before its inputs do.
#[derive(Debug, thiserror::Error)]
enum MeanError {
    #[error(transparent)]
    Receive(#[from] RecvError),
    #[error(transparent)]
    Send(#[from] SendError),
    #[error("a reading of {sensor} is no number: {text:?}")]
    NoNumber { sensor: String, text: String },
}

/// The node. Gives how many means it has sent.
fn send_means(node: &mut Node) -> Result<u64, MeanError> {
    let mut newest: BTreeMap<String, f64> = BTreeMap::new();
    let mut sent = 0;
    while let Some(event) = node.recv()? {
        let Event::Input(input) = event else { continue };
        if input.id().as_str() != "tick" {
            let sensor = input.id().to_string();
            let text = String::from_utf8_lossy(input.payload());
            let Ok(value) = text.parse() else {
                let text = text.into_owned();
                return Err(MeanError::NoNumber { sensor, text });
            };
            newest.insert(sensor, value);
        } else if !newest.is_empty() {
            let mean = newest.values().sum::<f64>() / newest.len() as f64;
            let metadata = Metadata::new().with("sensors", newest.len() as i64);
            node.send("mean", mean.to_string(), metadata)?;
            sent += 1;
        }
    }
    Ok(sent)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    send_means(&mut Node::connect()?)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dataflow_testkit::node::{NodeTest, Queue, Rest, RunningNode};

    use super::*;

    fn mean() -> RunningNode<Result<u64, MeanError>> {
        NodeTest::new("mean")
            .input("inside")
            .input_with("outside", Queue::latest())
            .timer("tick", Duration::from_secs(60))
            .output("mean")
            .start(|mut node| send_means(&mut node))
    }

    #[test]
    fn every_tick_sends_the_mean_of_the_newest_readings() {
        let mut test = mean();
        test.send("inside", "20", Metadata::new());
        test.send("outside", "10", Metadata::new());
        test.receive_nothing("mean");
        test.tick("tick");
        let mean = test.receive("mean");
        assert_eq!(mean.text(), "15");
        assert_eq!(mean.metadata, Metadata::new().with("sensors", 2));
        test.send("inside", "30", Metadata::new());
        test.tick("tick");
        assert_eq!(test.receive("mean").text(), "20");
        assert_eq!(test.end().nothing_left().unwrap(), 2);
    }

    #[test]
    fn without_a_reading_nothing_is_sent() {
        let mut test = mean();
        test.tick("tick");
        test.receive_nothing("mean");
        assert_eq!(test.end().nothing_left().unwrap(), 0);
    }

    #[test]
    fn a_sensor_that_has_ended_still_counts() {
        let mut test = mean();
        test.send("inside", "20", Metadata::new());
        test.close("inside");
        test.send("outside", "0", Metadata::new());
        test.tick("tick");
        assert_eq!(test.receive("mean").text(), "10");
        test.close("outside");
        assert_eq!(test.settle(), Rest::Ended, "nothing more can change");
        test.end().nothing_left().unwrap();
    }

    #[test]
    fn a_reading_that_is_no_number_ends_the_node_with_its_sensor_and_text() {
        let mut test = mean();
        test.send("outside", "warm", Metadata::new());
        let error = test.end().nothing_left().unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"a reading of outside is no number: "warm""#
        );
    }

    #[test]
    fn after_a_crash_the_readings_are_forgotten_and_the_queue_is_not() {
        let mut test = mean();
        test.send("inside", "20", Metadata::new());
        test.send("outside", "warm", Metadata::new());
        assert_eq!(test.settle(), Rest::Ended);
        test.send("inside", "30", Metadata::new());
        test.restart();
        test.tick("tick");
        assert_eq!(test.receive("mean").text(), "30");
        test.end().nothing_left().unwrap();
    }
}
