//! The other end of the eventfd floors: `answers=yes|no`, until it is told [`STOP`]. Each count on its input is a
//! time. It answers with a count on its output, or prints at the end what each took.

use dataflow_benches::arguments::Arguments;
use dataflow_benches::clock::now_ns;
use dataflow_benches::controls::STOP;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let answers = Arguments::read().get::<String>("answers")? == "yes";
    let mut samples_ns = Vec::new();
    let mut counter = [0; 8];
    loop {
        rustix::io::read(rustix::stdio::stdin(), &mut counter)?;
        let count = u64::from_ne_bytes(counter);
        if count >= STOP {
            break;
        }
        // Two counts that came before we woke have been added up to a time far ahead: no sample.
        samples_ns.extend(now_ns().checked_sub(count));
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
