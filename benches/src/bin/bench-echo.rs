//! The other end of the eventfd floors: `rounds=N answers=yes|no`. Each count on its input is a time. It answers
//! with a count on its output, or prints at the end what each took.

use dataflow_benches::arguments::Arguments;
use dataflow_benches::clock::now_ns;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::read();
    let rounds: usize = arguments.get("rounds")?;
    let answers = arguments.get::<String>("answers")? == "yes";
    let mut samples_ns = Vec::with_capacity(rounds);
    let mut counter = [0; 8];
    for _ in 0..rounds {
        rustix::io::read(rustix::stdio::stdin(), &mut counter)?;
        samples_ns.push(now_ns().saturating_sub(u64::from_ne_bytes(counter)));
        if answers {
            rustix::io::write(rustix::stdio::stdout(), &1_u64.to_ne_bytes())?;
        }
    }
    if !answers {
        for sample_ns in samples_ns {
            println!("{sample_ns}");
        }
    }
    Ok(())
}
