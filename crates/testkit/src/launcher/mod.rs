//! Launchers without processes, and the suite that every launcher passes.
//!
//! A [`FakeLauncher`] starts nothing: a program is an async function that plays the process through a
//! [`FakeProcess`]. It hears the runtime's frames and answers with its own, prints, sees signals, and ends. Frames
//! and descriptors stay what they are, so edges and segments are real. [`programs`] has some that are ready-made;
//! [`conformance`] is the list of what every launcher must do, whoever writes it.
//!
//! A whole dataflow runs on it, on virtual time, inside one test:
//!
//! ```
//! use std::rc::Rc;
//! use std::time::{Duration, UNIX_EPOCH};
//!
//! use dataflow_core::placement::Capabilities;
//! use dataflow_descriptor::{Environment, check_text};
//! use dataflow_ids::StopMode;
//! use dataflow_runtime::RunOptions;
//! use dataflow_runtime::embed::{Surroundings, embed};
//! use dataflow_runtime::models::NoModels;
//! use dataflow_testkit::launcher::{FakeLauncher, programs};
//! use dataflow_testkit::virtual_time;
//! use dataflow_wire::status::Outcome;
//!
//! // `build` says that the program is made later, so nobody looks for it now.
//! let yaml = "name: one\nnodes: [{ id: camera, path: ./camera, build: make, outputs: [image] }]";
//! let checked = check_text(yaml, "one.yml", "/", &Environment::default());
//! let dataflow = checked.dataflow.expect("it is right");
//!
//! let report = virtual_time::run(async {
//!     // It needs ten minutes to connect, and returns when it is told to stop.
//!     let ten_minutes = Duration::from_secs(600);
//!     let launcher = FakeLauncher::new(move |_| Ok(programs::connects_after(ten_minutes)));
//!     let surroundings = Surroundings {
//!         launcher: Rc::new(launcher.clone()),
//!         models: Rc::new(NoModels),
//!         seed: 7,
//!         run: "one-1".to_owned(),
//!         pid: 1,
//!         capabilities: Capabilities::default(),
//!         output_memory_bytes: 1024 * 1024,
//!         options: RunOptions::default(),
//!         begins_at: UNIX_EPOCH,
//!     };
//!     let (to_test, _events) = std::sync::mpsc::channel();
//!     let run = embed(dataflow, surroundings, to_test).expect("there is memory");
//!     let controls = run.controls();
//!     let stop = async {
//!         tokio::time::sleep(ten_minutes * 2).await;
//!         controls.stop(StopMode::Graceful, None);
//!     };
//!     let (report, ()) = tokio::join!(run.run(), stop);
//!     assert!(launcher.processes().is_empty(), "all were reaped");
//!     report
//! });
//! assert_eq!(report.expect("it ran").outcome, Outcome::Drained);
//! ```

pub mod conformance;
mod control;
mod conversation;
mod fake;
mod family;
mod pipe;
mod process;
pub mod programs;
mod state;

pub use fake::{FIRST_PID, FakeLauncher};
pub use process::FakeProcess;
pub use programs::Program;
