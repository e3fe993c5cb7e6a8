//! The sending end of a measurement: `size=BYTES count=N pace_ns=NS`. The time is stamped before the payload
//! is written, into its first 8 bytes.

use dataflow_benches::arguments::Arguments;
use dataflow_benches::clock::{now_ns, sleep_until};
use dataflow_node::{Metadata, Node};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::read();
    let size: usize = arguments.get("size")?;
    let count: u64 = arguments.get("count")?;
    let pace_ns: u64 = arguments.get("pace_ns")?;
    let mut node = Node::connect()?;
    let mut payload = vec![7_u8; size];
    let metadata = Metadata::default();
    let mut next_ns = now_ns();
    for _ in 0..count {
        if pace_ns > 0 {
            next_ns += pace_ns;
            sleep_until(next_ns);
        }
        let stamp = now_ns().to_ne_bytes();
        if size < 4_096 {
            payload[..8].copy_from_slice(&stamp);
            node.send("out", &payload, &metadata)?;
        } else {
            let mut loan = node.loan("out", size)?;
            loan.copy_from_slice(&payload);
            loan[..8].copy_from_slice(&stamp);
            loan.send(&metadata)?;
        }
    }
    Ok(())
}
