//! Random dataflows: sources, relays and sinks, with every policy, and messages of every size.

use std::fmt::Write;

use dataflow_tests::Random;

/// What differs between the kinds of cycles.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wish {
    /// Nodes are restarted after a crash, as often as it takes.
    pub(crate) restarts: bool,
    /// One of so many incarnations kills itself.
    pub(crate) die: Option<u64>,
}

const SIZES: [&str; 4] = ["24", "24..96", "100..4000", "10000..100000"];
const PAUSES: [&str; 4] = ["0..50", "20..200", "100..500", "0"];
const HOLDS: [&str; 4] = ["0", "0..2", "0..8", "3"];
const POLICIES: [&str; 4] = ["block", "block", "drop-oldest", "latest"];

/// The text of a dataflow whose nodes are ledger nodes.
pub(crate) fn any(random: &mut Random, wish: Wish) -> String {
    let (sources, relays, sinks) = (
        random.between(1, 2),
        random.between(0, 2),
        random.between(1, 2),
    );
    let mut text = String::from("on_failure: continue\nnodes:\n");
    // Every output so far: `node/o0`.
    let mut outputs: Vec<String> = Vec::new();
    for place in 0..sources + relays + sinks {
        let (role, name) = if place < sources {
            ("source", format!("s{place}"))
        } else if place < sources + relays {
            ("relay", format!("r{place}"))
        } else {
            ("sink", format!("k{place}"))
        };
        let mut arguments = format!(
            "{role}, seed={}, bytes={}, hold={}",
            random.below(1_000_000),
            random.choose(&SIZES),
            random.choose(&HOLDS)
        );
        if role == "source" {
            let _ = write!(arguments, ", pause_us={}", random.choose(&PAUSES));
        }
        if let Some(die) = wish.die {
            let _ = write!(arguments, ", die={die}");
        }
        let _ = write!(
            text,
            "  - id: {name}\n    path: LEDGER_NODE\n    args: [{arguments}]\n"
        );
        if wish.restarts {
            text.push_str(
                "    restart: { policy: on-failure, max: 1000000, window: 1h, backoff: 1ms..3ms }\n",
            );
        }
        if role != "source" {
            text.push_str("    inputs:\n");
            for input in 0..random.between(1, 2) {
                let _ = writeln!(
                    text,
                    "      i{input}: {{ source: {}, queue_policy: {} }}",
                    random.choose(&outputs),
                    policy(random)
                );
            }
        }
        if role != "sink" {
            let count = random.between(1, 2);
            let names: Vec<_> = (0..count).map(|output| format!("o{output}")).collect();
            let _ = writeln!(text, "    outputs: [{}]", names.join(", "));
            outputs.extend(names.iter().map(|output| format!("{name}/{output}")));
        }
    }
    text
}

fn policy(random: &mut Random) -> String {
    let policy = *random.choose(&POLICIES);
    match policy {
        "latest" => policy.to_owned(),
        _ => format!("{policy}, queue_size: {}", random.between(1, 20)),
    }
}
