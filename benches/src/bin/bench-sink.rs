//! The receiving end of a measurement: `out=FILE every=N`. Touches every page of every payload, and writes
//! down the latency of every N-th message.

use std::fmt::Write;

use dataflow_benches::arguments::Arguments;
use dataflow_benches::clock::{now_ns, parent_cpu_ticks};
use dataflow_benches::controls::touch_every_page;
use dataflow_node::{Event, Node};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::read();
    let file: String = arguments.get("out")?;
    let every: u64 = arguments.get("every")?;
    let mut node = Node::connect()?;
    let (mut count, mut touched, mut first_ticks) = (0_u64, 0, 0);
    let (mut first_ns, mut last_ns) = (0, 0);
    let mut samples_ns = Vec::new();
    while let Some(event) = node.recv()? {
        let Event::Input(input) = event else { continue };
        let payload = input.payload();
        touched += touch_every_page(payload);
        count += 1;
        if count == 1 || count % every == 0 {
            let stamp = payload.first_chunk().ok_or("a payload without a stamp")?;
            let sent_ns = u64::from_ne_bytes(*stamp);
            last_ns = now_ns();
            samples_ns.push(last_ns.saturating_sub(sent_ns));
            if count == 1 {
                first_ns = last_ns;
                first_ticks = parent_cpu_ticks();
            }
        }
    }
    std::hint::black_box(touched);
    let runtime_ticks = parent_cpu_ticks().saturating_sub(first_ticks);
    let mut text = format!("{count} {first_ns} {last_ns} {runtime_ticks}\n");
    for sample_ns in samples_ns {
        writeln!(text, "{sample_ns}")?;
    }
    Ok(std::fs::write(file, text)?)
}
