//! The other end of the eventfd floor: answers each count on its input with one on its output.

use dataflow_benches::arguments::Arguments;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let rounds: usize = Arguments::read().get("rounds")?;
    let mut counter = [0; 8];
    for _ in 0..rounds {
        rustix::io::read(rustix::stdio::stdin(), &mut counter)?;
        rustix::io::write(rustix::stdio::stdout(), &1_u64.to_ne_bytes())?;
    }
    Ok(())
}
