//! The launcher that starts nothing.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::future::pending;
use std::os::unix::fs::FileExt;
use std::rc::Rc;

use dataflow_core::lifecycle::Exit;
use dataflow_ids::{Epoch, NodeId, NodeIndex};
use dataflow_runtime::process::{LaunchOrder, Launcher};
use dataflow_shm::child::{BaseEnvironment, ChildConfig};
use dataflow_testkit::launcher::conformance::{
    self, DEAF, HEARD, PRINTED_MUCH_BYTES, Script, Subject, TEXT, TOLD_MANY, hello, hello_of,
    ready, segment_created, told, told_many,
};
use dataflow_testkit::launcher::{FakeLauncher, FakeProcess, Program, programs};
use dataflow_wire::frame::FrameError;
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::Signal;

struct Fake {
    launcher: FakeLauncher,
    scripts: Rc<RefCell<BTreeMap<NodeIndex, Script>>>,
}

impl Fake {
    fn new() -> Fake {
        Fake::that(follow)
    }

    /// One whose programs do this.
    fn that<F: Future<Output = Exit> + 'static>(follow: fn(Script, FakeProcess) -> F) -> Fake {
        let scripts: Rc<RefCell<BTreeMap<NodeIndex, Script>>> = Rc::default();
        let chosen = Rc::clone(&scripts);
        let launcher = FakeLauncher::new(move |order| {
            let script = chosen.borrow()[&order.index].clone();
            match script {
                Script::Missing => Err(programs::missing(order)),
                script => Ok(Program::new(move |process| follow(script, process))),
            }
        });
        Fake { launcher, scripts }
    }
}

impl Subject for Fake {
    fn launcher(&self) -> Rc<dyn Launcher> {
        Rc::new(self.launcher.clone())
    }

    fn order(&self, script: Script) -> LaunchOrder {
        let mut scripts = self.scripts.borrow_mut();
        let index = NodeIndex(scripts.len() as u32);
        scripts.insert(index, script);
        LaunchOrder {
            node: NodeId::new("a").unwrap(),
            index,
            epoch: Epoch(1),
            program: ChildConfig {
                program: "./a".into(),
                base: BaseEnvironment::Inherited,
                args: Vec::new(),
                env: BTreeMap::new(),
                folder: "/".into(),
                control: None,
                descriptor_limit: None,
            },
        }
    }

    fn is_alive(&self, pid: u32) -> bool {
        let processes = self.launcher.processes();
        (processes.iter()).any(|process| process.pid() == pid && process.exit().is_none())
    }
}

async fn hear(process: &FakeProcess) {
    let (frame, descriptors) = process.next().await.unwrap();
    assert_eq!(frame, told());
    let memory = File::from(descriptors.into_iter().next().unwrap());
    let mut bytes = vec![0; TEXT.len()];
    memory.read_exact_at(&mut bytes, 0).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    process.print_all(&format!("{HEARD}{text}\n")).await;
}

async fn follow(script: Script, process: FakeProcess) -> Exit {
    match script {
        Script::Missing | Script::Waits => pending().await,
        Script::Returns(code) => return Exit::Code(code),
        Script::DiesOf(signal) => process.signal(Signal::from_named_raw(signal).unwrap()),
        Script::IgnoresTerminate => {
            process.catch(Signal::TERM);
            process.print(DEAF);
            hear(&process).await;
            pending().await
        }
        Script::Prints { stdout, stderr } => {
            process.print(stdout);
            process.complain(stderr);
        }
        Script::PrintsMuch => process.print_all(&"x".repeat(PRINTED_MUCH_BYTES)).await,
        Script::Speaks => {
            process.send(hello(), Vec::new());
            let memory = memfd_create("conformance", MemfdFlags::CLOEXEC).unwrap();
            let memory = File::from(memory);
            memory.write_all_at(TEXT.as_bytes(), 0).unwrap();
            process.send(segment_created(), vec![memory.into()]);
            process.send(ready(), Vec::new());
        }
        Script::TalksNonsense => {
            process.send(hello(), Vec::new());
            process.send_nonsense(FrameError::HeaderGarbled);
            pending().await
        }
        Script::HangsUp => {
            process.send(hello(), Vec::new());
            process.hang_up();
            pending().await
        }
        Script::SpeaksThroughAnother | Script::LeavesAChild => {
            let leaves = script == Script::SpeaksThroughAnother;
            process.fork(Program::new(move |child| async move {
                if leaves {
                    child.leave_group();
                }
                child.catch(Signal::TERM);
                child.send(hello_of(child.pid()), Vec::new());
                pending().await
            }));
        }
        Script::WaitsForTheEnd => {
            process.send(hello(), Vec::new());
            assert!(process.next().await.is_none());
            process.send(ready(), Vec::new());
        }
        Script::Hears => hear(&process).await,
        Script::CountsFrames => {
            for _ in 0..TOLD_MANY {
                assert_eq!(process.next().await.unwrap().0, told_many());
            }
            process.print(&format!("{HEARD}\n"));
        }
    }
    Exit::Code(0)
}

/// Follows some scripts badly, and one without an end.
async fn follow_badly(script: Script, process: FakeProcess) -> Exit {
    match script {
        Script::Speaks => {
            process.send(ready(), Vec::new());
            Exit::Code(0)
        }
        Script::CountsFrames => pending().await,
        script => follow(script, process).await,
    }
}

fn paused() -> actix_rt::SystemRunner {
    actix_rt::System::with_tokio_rt(|| {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap()
    })
}

#[test]
fn the_launcher_of_the_kit_conforms() {
    conformance::check(paused, Fake::new);
}

#[test]
#[should_panic(
    expected = "not so: [frames_and_descriptors_come_in_order_and_then_the_end, \
                what_was_said_before_the_end_is_heard_after_it, giving_up_a_wait_loses_no_frame, \
                what_was_queued_arrives]"
)]
fn who_does_not_conform_is_told_in_what() {
    conformance::check(paused, || Fake::that(follow_badly));
}
