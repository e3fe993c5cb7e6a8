//! `/healthz` of a runtime that was stopped, as by `kill -STOP` or by a laptop that slept: it accuses nobody of having been
//! silent.

use std::time::Duration;

use dataflow_tests::wait_until;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::readers::get;
use super::start;

/// For how long it stands: a second more than its control loop may be silent.
const STANDS: Duration = Duration::from_secs(11);

/// Whether all threads of a process have been stopped: one that runs at that moment goes on for a while.
fn stands(pid: u32) -> bool {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("the process lives");
    let mut states = tasks.flatten().map(|task| {
        let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        // What stands before it is the thread's name in parentheses.
        let state = stat.rsplit_once(") ").map(|(_, rest)| rest.to_owned());
        state.unwrap_or_default()
    });
    states.all(|state| state.starts_with('T'))
}

#[test]
fn a_runtime_that_was_stopped_for_longer_than_it_may_be_silent_is_well_as_soon_as_it_goes_on() {
    let shown = start("metrics-stopped");
    let address = shown.address;
    let ask = move || get(address, "/healthz", "*/*");
    shown.up.signal(Signal::STOP);
    wait_until("each of its threads stands", || stands(shown.up.pid()));
    // It is asked while it stands, so that the answer is the first that it does.
    let asked = std::thread::spawn(ask);
    // Time itself is what is looked at here.
    std::thread::sleep(STANDS);
    assert!(!asked.is_finished(), "it does not stand");
    shown.up.signal(Signal::CONT);
    let is_well = |(head, health): (String, String)| -> Value {
        assert!(head.starts_with("HTTP/1.0 200"), "{head}: {health}");
        let health: Value = serde_json::from_str(&health).expect("JSON");
        assert_eq!(
            (&health["reasons"], &health["warnings"]),
            (&json!([]), &json!([])),
            "{health}"
        );
        health
    };
    let first = is_well(asked.join().expect("it answers"));
    let uptime = |health: &Value| health["uptime_s"].as_f64().expect("a number");
    assert!(uptime(&first) > STANDS.as_secs_f64(), "{first}");
    // And it is all the while, until its loop has gone round again.
    wait_until("it goes on", || {
        let health = is_well(ask());
        let age = |name: &str| health[name].as_f64().expect("a number");
        let went_on = uptime(&health) - uptime(&first);
        went_on > age("control_beat_age_s") && went_on > age("snapshot_age_s")
    });
    shown.end();
}
