//! The other end of the eventfd floor: each count on its input is a time; the answer on its output is what it took.

use dataflow_benches::arguments::Arguments;
use dataflow_benches::clock::now_ns;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let rounds: usize = Arguments::read().get("rounds")?;
    let mut counter = [0; 8];
    for _ in 0..rounds {
        rustix::io::read(rustix::stdio::stdin(), &mut counter)?;
        let took_ns = now_ns().saturating_sub(u64::from_ne_bytes(counter)).max(1);
        rustix::io::write(rustix::stdio::stdout(), &took_ns.to_ne_bytes())?;
    }
    Ok(())
}
