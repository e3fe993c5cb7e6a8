//! Programs that know nothing of us: they run, they are stopped, they are waited for.

use dataflow_ids::{End, Forcer, LifeCycle, NodeId, StopMode};
use dataflow_wire::client::{ClientReply, ClientRequest};
use dataflow_wire::status::{Outcome, Phase};

use super::support::{Project, is_alive, read_pid};
use crate::client::Client;
use crate::logs::{LogReader, LogStream, runs};
use crate::{RunEvent, UpError};

const ONE: &str = "name: one\nnodes:\n  - id: a\n    path: ./a.sh\n";

#[test]
fn a_program_that_returns_ends_the_dataflow_and_leaves_its_words_and_a_report() {
    let project = Project::new();
    project.script("a.sh", "echo hello; echo oops >&2; printf 'no end'");
    let started = project.start(ONE);
    let report = started.report();
    assert_eq!(report.outcome, Outcome::Drained, "{report:?}");
    assert_eq!(report.nodes[0].end, End::Drained);

    let past = &runs(&project.folder, None).unwrap()[0];
    assert_eq!(past.report().unwrap().as_ref(), Some(&report));
    let mut reader = LogReader::open(past, &[]);
    let mut lines = Vec::new();
    while let Some(record) = reader.next_record().unwrap() {
        lines.push((record.stream, record.line));
    }
    lines.sort_by_key(|(stream, _)| *stream != LogStream::Stdout);
    let expected = [
        (LogStream::Stdout, "hello"),
        (LogStream::Stdout, "no end"),
        (LogStream::Stderr, "oops"),
    ];
    assert_eq!(
        lines,
        expected.map(|(stream, line)| (stream, line.to_owned()))
    );
    assert!(project.found().is_empty());
}

#[test]
fn a_stop_ends_it_with_sigterm_and_its_whole_group_is_gone() {
    let project = Project::new();
    project.script("a.sh", "sleep 1000 & echo $! > child; echo up; wait");
    let started = project.start(ONE);
    started.wait_for_line("up");
    let child = read_pid(&project.path("child"));
    assert!(is_alive(child));
    started.controls.stop(StopMode::Graceful, None);
    started.controls.stop(StopMode::Graceful, None);
    let report = started.report();
    assert_eq!(report.outcome, Outcome::Drained, "{report:?}");
    assert!(report.because.contains("Ctrl-C"));
    assert!(!is_alive(child));
}

#[test]
fn a_program_that_returns_leaves_no_child_behind() {
    let project = Project::new();
    project.script("a.sh", "sleep 1000 & echo $! > child; exit 0");
    let started = project.start(ONE);
    assert_eq!(started.report().outcome, Outcome::Drained);
    assert!(!is_alive(read_pid(&project.path("child"))));
}

#[test]
fn a_failing_program_fails_the_dataflow_and_stops_the_others() {
    let project = Project::new();
    project.script("a.sh", "read line < go; echo 'the reason'; exit 3");
    project.script("b.sh", "echo b is up; exec sleep 1000");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        project.path("go"),
        rustix::fs::FileType::Fifo,
        0o600.into(),
        0,
    )
    .unwrap();
    let started = project.start(&format!("{ONE}  - id: b\n    path: ./b.sh\n"));
    started.wait_for_line("b is up");
    std::fs::write(project.path("go"), "\n").unwrap();
    let report = started.report();
    assert_eq!(report.outcome, Outcome::Failed);
    assert_eq!(
        report.nodes[0].end,
        End::Crashed {
            how: "exit code 3".to_owned()
        }
    );
    assert_eq!(report.nodes[0].last_lines, ["the reason"]);
    assert_eq!(report.nodes[1].end, End::Drained);
    assert!(report.because.contains("`a`"), "{}", report.because);
}

#[test]
fn who_ignores_the_stop_is_named_and_only_a_person_kills_it() {
    let project = Project::new();
    project.script("a.sh", "trap '' TERM; echo up; while :; do sleep 1; done");
    let started = project.start(ONE);
    started.wait_for_line("up");
    started.controls.stop(StopMode::Graceful, None);
    let waiting = started.wait(|event| match event {
        RunEvent::Waiting(waiting) => Some(waiting.clone()),
        _ => None,
    });
    assert_eq!(waiting[0].node.as_str(), "a");
    assert!(waiting[0].to_string().contains("its process has not ended"));
    started.controls.force(Forcer::SecondInterrupt);
    let report = started.report();
    assert_eq!(report.outcome, Outcome::Forced);
    let by = Forcer::SecondInterrupt;
    assert_eq!(report.nodes[0].end, End::Forced { by });
    assert_eq!(report.forced, Some(by));
}

#[test]
fn a_caller_can_park_one_node_and_start_it_again() {
    let project = Project::new();
    project.script("a.sh", "echo up; exec sleep 1000");
    let started = project.start(ONE);
    started.wait_for_line("up");
    let a = NodeId::new("a").unwrap();
    let stands = |state: LifeCycle, epoch: u32| {
        started.wait(|event| match event {
            RunEvent::State { to, epoch: of, .. } if (*to, of.0) == (state, epoch) => Some(()),
            _ => None,
        });
    };
    // A node that is not there changes nothing.
    started.controls.restart(NodeId::new("b").unwrap(), None);
    started.controls.restart(a.clone(), None);
    stands(LifeCycle::Ready, 2);
    started
        .controls
        .stop_node(a.clone(), Some(Forcer::StopForce));
    stands(LifeCycle::Parked, 2);
    started.controls.restart(a, None);
    stands(LifeCycle::Ready, 3);
    started.controls.stop(StopMode::Graceful, None);
    let report = started.report();
    assert_eq!(report.outcome, Outcome::Drained);
    assert_eq!(report.nodes[0].restarts, 2);
}

#[test]
fn the_time_that_a_person_has_set_forces_the_end() {
    let project = Project::new();
    project.script("a.sh", "trap '' TERM; echo up; while :; do sleep 1; done");
    let started = project.start(ONE);
    started.wait_for_line("up");
    let soon = std::time::Duration::from_millis(20);
    started.controls.stop(StopMode::Graceful, Some(soon));
    assert_eq!(started.report().forced, Some(Forcer::ForceAfter));
}

#[test]
fn a_stop_before_anything_was_started_ends_it() {
    let project = Project::new();
    project.script("a.sh", "exec sleep 1000");
    let run = project.prepare(ONE).unwrap();
    run.controls().stop(StopMode::Graceful, None);
    let (to_test, _events) = std::sync::mpsc::channel();
    let report = run.block_on(to_test).unwrap();
    assert_eq!(report.outcome, Outcome::Drained, "{report:?}");
}

#[test]
fn it_is_restarted_as_its_policy_says() {
    let project = Project::new();
    project.script(
        "a.sh",
        "echo start; test -e second && exec sleep 1000; touch second; exit 1",
    );
    let started = project.start(&format!(
        "{ONE}    restart: {{ policy: on-failure, max: 3, window: 60s, backoff: 1ms..5ms }}\n"
    ));
    started.wait(|event| match event {
        RunEvent::State { to, epoch, .. } if *to == LifeCycle::Ready && epoch.0 == 2 => Some(()),
        _ => None,
    });
    started.controls.stop(StopMode::Graceful, None);
    let report = started.report();
    assert_eq!(report.nodes[0].restarts, 1, "{report:?}");
    assert_eq!(report.outcome, Outcome::Drained);
}

#[test]
fn commands_see_it_stop_it_and_learn_how_it_ended() {
    let project = Project::new();
    project.script("a.sh", "echo up; exec sleep 1000");
    let started = project.start(ONE);
    started.wait_for_line("up");
    let found = project.found();
    assert_eq!(found[0].name.as_str(), "one");
    assert!(matches!(
        project.prepare(ONE),
        Err(UpError::RunsAlready { .. })
    ));

    let mut looking = Client::connect(&found[0]).unwrap();
    match looking.request(&ClientRequest::Status).unwrap() {
        ClientReply::Status(status) => {
            assert_eq!(status.phase, Phase::Running);
            assert_eq!(status.nodes[0].state, LifeCycle::Ready);
            assert!(is_alive(status.nodes[0].pid.unwrap()));
        }
        other => panic!("{other:?}"),
    }
    let mut stopping = Client::connect(&found[0]).unwrap();
    let mode = StopMode::Graceful;
    stopping
        .send(&ClientRequest::Stop {
            mode,
            force_after: None,
        })
        .unwrap();
    looking.send(&ClientRequest::Follow).unwrap();
    let report = started.report();
    for client in [&mut stopping, &mut looking] {
        match client.replies().last() {
            Some(Ok(ClientReply::Ended(told))) => assert_eq!(*told, report),
            other => panic!("{other:?}"),
        }
    }
    assert!(project.found().is_empty());
    project.start(ONE).controls.force(Forcer::DownForce);
}

#[test]
fn a_program_that_cannot_be_executed_is_an_error_before_anything_starts() {
    let project = Project::new();
    project.script("a.sh", "");
    let dataflow = project.dataflow(ONE);
    let file = project.path("a.sh");
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let options = crate::RunOptions::default();
    let host = crate::prepare::Host::default();
    let refused = crate::prepare::prepare_in(&project.registry, dataflow, options, &host);
    match refused {
        Err(error @ UpError::ProgramNotExecutable { .. }) => {
            assert_eq!(error.class().exit_code(), 2);
        }
        other => panic!("{other:?}"),
    }
    assert!(project.found().is_empty());
}

#[test]
fn a_program_that_is_none_fails_the_up_and_names_it() {
    let project = Project::new();
    project.script("a.sh", "");
    std::fs::write(project.path("a.sh"), "no program").unwrap();
    let report = project.start(ONE).report();
    assert_eq!(report.outcome, Outcome::Failed);
    assert!(
        report.because.contains("`a` could not be brought up"),
        "{}",
        report.because
    );
}

#[test]
fn a_node_without_a_place_fails_the_up_and_says_what_it_needs() {
    let project = Project::new();
    project.script("a.sh", "echo started; exec sleep 1000");
    let label = "    requires: { labels: { room: kitchen } }\n";
    let report = project.start(&format!("{ONE}{label}")).report();
    assert_eq!(report.outcome, Outcome::Failed, "{report:?}");
    assert!(matches!(&report.nodes[0].end, End::Crashed { how } if how.contains("no place")));
    assert!(report.because.contains("kitchen"), "{}", report.because);
    assert_eq!(report.nodes[0].last_lines, Vec::<String>::new());
}

#[test]
fn a_connection_that_says_nothing_is_closed() {
    use std::io::Read;

    let project = Project::new();
    project.script("a.sh", "echo up; exec sleep 1000");
    let started = project.start(ONE);
    started.wait_for_line("up");
    let mut silent = project.found()[0].connect().unwrap();
    assert_eq!(silent.read_to_end(&mut Vec::new()).unwrap(), 0);
    started.controls.force(Forcer::DownForce);
    started.report();
}

#[test]
fn a_report_with_more_last_lines_than_a_frame_holds_reaches_who_waits_for_it() {
    let project = Project::new();
    project.script(
        "a.sh",
        "head -c 15000 /dev/zero | tr '\\0' x; echo; read line < go; exit 3",
    );
    rustix::fs::mknodat(
        rustix::fs::CWD,
        project.path("go"),
        rustix::fs::FileType::Fifo,
        0o600.into(),
        0,
    )
    .unwrap();
    // Together more than a mebibyte.
    let nodes: String = (0..100)
        .map(|number| format!("  - {{ id: n{number}, path: ./a.sh }}\n"))
        .collect();
    let started = project.start(&format!(
        "name: many\non_failure: continue\nnodes:\n{nodes}"
    ));
    started.wait(|event| match event {
        RunEvent::Phase(Phase::Running) => Some(()),
        _ => None,
    });
    let mut client = Client::connect(&project.found()[0]).unwrap();
    client.send(&ClientRequest::Follow).unwrap();
    let go = std::thread::spawn({
        let go = project.path("go");
        move || {
            let mut go = std::fs::OpenOptions::new()
                .read(true)
                .write(true)
                .open(go)
                .unwrap();
            std::io::Write::write_all(&mut go, "\n".repeat(200).as_bytes()).unwrap();
            go
        }
    });
    match client.replies().last() {
        Some(Ok(ClientReply::Ended(report))) => assert_eq!(report.outcome, Outcome::Failed),
        other => panic!("{other:?}"),
    }
    drop(go.join());
    started.report();
}
