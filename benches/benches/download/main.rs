//! `make bench`: fetching a model over loopback, beside Python's `huggingface_hub` and beside `curl` and `sha256sum`,
//! in one run; and what memory a large file takes.
//!
//! Ours is hashed, synced and linked when it is there; `huggingface_hub` compares the length; `sha256sum` begins when
//! `curl` has ended, and neither waits for the disk. `folder=` says where everything is written (else in the system's
//! folder for temporary files); with `cases=quick` there is one round.

mod hub;

use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use dataflow_benches::arguments::Arguments;
use dataflow_benches::clock::now_ns;
use dataflow_benches::figures::median;
use hub::{HubProcess, REPOSITORY};

/// The file whose way is timed, in bytes.
const TIMED_BYTES: u64 = 1 << 30;
/// The file whose memory is measured, in bytes.
const LARGE_BYTES: u64 = 4 << 30;
/// What must be free: a file, and what was fetched of it.
const FREE_BYTES: u64 = LARGE_BYTES + LARGE_BYTES / 2;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::read();
    let path = |key: &str| arguments.get::<PathBuf>(key);
    match arguments.get::<String>("role").as_deref() {
        Ok("serve") => return hub::serve(&path("folder")?),
        Ok("fetch") => return hub::fetch(arguments.get("endpoint")?, &path("cache")?),
        _ => {}
    }
    let rounds = match arguments.get::<String>("cases").as_deref() {
        Ok("quick") => 1,
        _ => 5,
    };
    let folder = path("folder").unwrap_or_else(|_| std::env::temp_dir());
    let free = rustix::fs::statvfs(&folder)?;
    if free.f_bavail * free.f_frsize < FREE_BYTES {
        return Err(format!("{} needs {FREE_BYTES} free bytes", folder.display()).into());
    }
    let place = tempfile::Builder::new()
        .prefix("dataflow-bench-")
        .tempdir_in(&folder)?;
    throughput(place.path(), rounds)?;
    memory(place.path())
}

fn throughput(place: &Path, rounds: usize) -> Result<(), Box<dyn Error>> {
    let python = python();
    if let Err(why) = &python {
        println!("without huggingface_hub: {why}");
    }
    let served = place.join("served");
    std::fs::create_dir(&served)?;
    write_noise(&served.join("model.safetensors"), TIMED_BYTES)?;
    let hub = HubProcess::start(&served)?;

    let mut seconds: [Vec<f64>; 4] = Default::default();
    let mut version = String::new();
    for _ in 0..rounds {
        let cache = place.join("cache");
        seconds[0].push(settled(&cache, || Ok(ours(&hub, &cache)?.0))?);
        if let Ok(python) = &python {
            seconds[1].push(settled(&cache, || {
                let (seconds, of) = python_takes(python, &hub, &cache)?;
                version = of;
                Ok(seconds)
            })?);
        }
        seconds[2].push(settled(&cache, || curl_takes(&hub, &cache))?);
        let source = served.join("model.safetensors");
        seconds[3].push(settled(&cache, || copy_takes(&source, &cache))?);
    }

    let ours = median(seconds[0].clone());
    println!("a file of 1 GiB over loopback, medians of {rounds} rounds");
    println!("                             MB/s      ours takes of its time");
    let names = [
        "dataflow".to_owned(),
        format!("huggingface_hub {version}"),
        "curl, then sha256sum".to_owned(),
        "a copy, synced (control)".to_owned(),
    ];
    for (name, seconds) in names.iter().zip(seconds) {
        if seconds.is_empty() {
            continue;
        }
        let seconds = median(seconds);
        let rate = TIMED_BYTES as f64 / seconds / 1e6;
        println!("  {name:<26} {rate:>6.0}    {:>6.2}×", ours / seconds);
    }
    std::fs::remove_dir_all(&served)?;
    Ok(())
}

fn memory(place: &Path) -> Result<(), Box<dyn Error>> {
    println!("\nresident memory of a process that fetches, at most");
    for bytes in [LARGE_BYTES / 64, LARGE_BYTES / 4, LARGE_BYTES] {
        let served = place.join("served");
        std::fs::create_dir(&served)?;
        // Its bytes need no disk; what is fetched does.
        File::create(served.join("model.safetensors"))?.set_len(bytes)?;
        let hub = HubProcess::start(&served)?;
        let cache = place.join("cache");
        let (seconds, peak_bytes) = ours(&hub, &cache)?;
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        println!(
            "  a file of {:>5.0} MiB: {:>5.1} MiB ({seconds:.1} s)",
            mib(bytes),
            mib(peak_bytes)
        );
        std::fs::remove_dir_all(&cache)?;
        std::fs::remove_dir_all(&served)?;
    }
    Ok(())
}

/// Takes a measurement with an empty cache and a disk that has nothing left to write.
fn settled(
    cache: &Path,
    measure: impl FnOnce() -> Result<f64, Box<dyn Error>>,
) -> Result<f64, Box<dyn Error>> {
    std::fs::create_dir(cache)?;
    rustix::fs::sync();
    let seconds = measure()?;
    std::fs::remove_dir_all(cache)?;
    Ok(seconds)
}

/// Our fetcher: the seconds that it took, and the most memory that was resident.
fn ours(hub: &HubProcess, cache: &Path) -> Result<(f64, u64), Box<dyn Error>> {
    let printed = printed(
        Command::new(std::env::current_exe()?)
            .arg("role=fetch")
            .arg(format!("endpoint={}", hub.endpoint))
            .arg(format!("cache={}", cache.display())),
    )?;
    let (seconds, bytes) = printed.split_once(' ').ok_or("two figures")?;
    Ok((seconds.parse()?, bytes.parse()?))
}

/// `huggingface_hub`: its seconds without its start, and its version.
fn python_takes(
    python: &Path,
    hub: &HubProcess,
    cache: &Path,
) -> Result<(f64, String), Box<dyn Error>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/hub_download.py");
    let printed = printed(
        Command::new(python)
            .arg(script)
            .args([REPOSITORY.as_ref(), cache.as_os_str()])
            .env("HF_ENDPOINT", &hub.endpoint)
            .env("HF_HUB_DISABLE_PROGRESS_BARS", "1")
            .env("PYTHONDONTWRITEBYTECODE", "1"),
    )?;
    let (version, seconds) = printed.split_once(' ').ok_or("two words")?;
    Ok((seconds.parse()?, version.to_owned()))
}

/// `curl`, and then `sha256sum`.
fn curl_takes(hub: &HubProcess, cache: &Path) -> Result<f64, Box<dyn Error>> {
    let url = format!(
        "{}/{REPOSITORY}/resolve/main/model.safetensors",
        hub.endpoint
    );
    let file = cache.join("model.safetensors");
    let began_ns = now_ns();
    printed(
        Command::new("curl")
            .args([
                "--silent",
                "--show-error",
                "--fail",
                "--location",
                "--output",
            ])
            .args([file.as_os_str(), url.as_ref()]),
    )?;
    printed(Command::new("sha256sum").arg(&file))?;
    Ok((now_ns() - began_ns) as f64 / 1e9)
}

/// What the disk takes without us and without a network.
fn copy_takes(source: &Path, cache: &Path) -> Result<f64, Box<dyn Error>> {
    let began_ns = now_ns();
    let copy = cache.join("copy");
    std::fs::copy(source, &copy)?;
    File::open(&copy)?.sync_all()?;
    Ok((now_ns() - began_ns) as f64 / 1e9)
}

/// A Python that has `huggingface_hub`: the one that the tests use.
fn python() -> Result<PathBuf, Box<dyn Error>> {
    let script =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/huggingface-hub-environment");
    Ok(printed(&mut Command::new(script))?.into())
}

/// What a program prints that ends well.
fn printed(command: &mut Command) -> Result<String, Box<dyn Error>> {
    let output = command.stderr(std::process::Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("{command:?} ended with {}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// Writes bytes that are no repetition.
fn write_noise(path: &Path, bytes: u64) -> Result<(), Box<dyn Error>> {
    let mut file = File::create(path)?;
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut buffer = vec![0; 1 << 20];
    for _ in 0..bytes >> 20 {
        for word in buffer.chunks_exact_mut(8) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            word.copy_from_slice(&state.to_le_bytes());
        }
        file.write_all(&buffer)?;
    }
    Ok(())
}
