//! The launcher of real processes, with a program in Python.

use std::fs;
use std::rc::Rc;

use dataflow_ids::{Epoch, NodeId, NodeIndex};
use dataflow_runtime::process::{LaunchOrder, Launcher, ProcessLauncher};
use dataflow_shm::child::{BaseEnvironment, ChildConfig};
use dataflow_testkit::launcher::conformance::{
    self, PRINTED_MUCH_BYTES, Script, Subject, TEXT, TOLD_MANY, hello, ready, segment_created,
    told, told_many,
};
use dataflow_wire::frame::encode_frame;
use tempfile::TempDir;

/// Follows the scripts; the frames that it says and hears lie beside it.
const PROGRAM: &str = include_str!("program.py");

struct Real {
    launcher: Rc<ProcessLauncher>,
    place: TempDir,
}

impl Real {
    fn new() -> Real {
        let place = tempfile::tempdir().unwrap();
        let put = |name: &str, bytes: &[u8]| fs::write(place.path().join(name), bytes).unwrap();
        // The fifth byte of a frame says how many descriptors come with it.
        let with_descriptor = |mut frame: Vec<u8>| {
            frame[4] = 1;
            frame
        };
        put("program.py", PROGRAM.as_bytes());
        put("hello", &encode_frame(&hello()).unwrap());
        put("ready", &encode_frame(&ready()).unwrap());
        let created = encode_frame(&segment_created()).unwrap();
        put("segment_created", &with_descriptor(created));
        let heard = encode_frame(&told()).unwrap();
        put("told", &with_descriptor(heard));
        let many = encode_frame(&told_many()).unwrap();
        put("told_many", &many.repeat(TOLD_MANY as usize));
        put("text", TEXT.as_bytes());
        Real {
            launcher: Rc::new(ProcessLauncher::new(None).unwrap()),
            place,
        }
    }
}

impl Subject for Real {
    fn launcher(&self) -> Rc<dyn Launcher> {
        Rc::clone(&self.launcher) as Rc<dyn Launcher>
    }

    fn order(&self, script: Script) -> LaunchOrder {
        let words: Vec<String> = match &script {
            Script::Missing => vec!["missing".to_owned()],
            Script::Returns(code) => vec!["returns".to_owned(), code.to_string()],
            Script::DiesOf(signal) => vec!["dies_of".to_owned(), signal.to_string()],
            Script::Waits => vec!["waits".to_owned()],
            Script::IgnoresTerminate => vec!["ignores_terminate".to_owned()],
            Script::Prints { stdout, stderr } => {
                vec![
                    "prints".to_owned(),
                    (*stdout).to_owned(),
                    (*stderr).to_owned(),
                ]
            }
            Script::PrintsMuch => {
                vec!["prints_much".to_owned(), PRINTED_MUCH_BYTES.to_string()]
            }
            Script::Speaks => vec!["speaks".to_owned()],
            Script::TalksNonsense => vec!["talks_nonsense".to_owned()],
            Script::HangsUp => vec!["hangs_up".to_owned()],
            Script::SpeaksThroughAnother => vec!["speaks_through_another".to_owned()],
            Script::LeavesAChild => vec!["leaves_a_child".to_owned()],
            Script::WaitsForTheEnd => vec!["waits_for_the_end".to_owned()],
            Script::Hears => vec!["hears".to_owned()],
            Script::CountsFrames => vec!["counts_frames".to_owned()],
        };
        let program = match script {
            Script::Missing => self.place.path().join("missing"),
            _ => "python3".into(),
        };
        LaunchOrder {
            node: NodeId::new("a").unwrap(),
            index: NodeIndex(0),
            epoch: Epoch(1),
            program: ChildConfig {
                program,
                base: BaseEnvironment::Inherited,
                args: (["-S".into(), "program.py".into()].into_iter())
                    .chain(words.into_iter().map(Into::into))
                    .collect(),
                env: Default::default(),
                folder: self.place.path().to_owned(),
                control: None,
                descriptor_limit: None,
            },
        }
    }

    fn is_alive(&self, pid: u32) -> bool {
        // A process that has ended and was not reaped is a zombie.
        fs::read_to_string(format!("/proc/{pid}/stat"))
            .is_ok_and(|stat| !stat.rsplit(')').next().unwrap().trim().starts_with('Z'))
    }
}

#[test]
fn the_launcher_of_processes_conforms() {
    conformance::check(actix_rt::System::new, Real::new);
}
