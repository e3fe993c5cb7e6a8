//! What every launcher must do, one by one.

use std::fs::File;
use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::task::Poll;

use dataflow_core::lifecycle::Exit;
use dataflow_runtime::process::{
    CONTROL_QUEUE_BYTES_MAX, Control, LaunchError, Launched, LocalFuture, OutputPipe,
};
use dataflow_shm::child::SpawnError;
use dataflow_wire::frame::{EnqueueError, FRAME_DESCRIPTORS_MAX};
use dataflow_wire::node::{ToNode, ToRuntime};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::Signal;

use super::script::{
    DEAF, HEARD, PRINTED_MUCH_BYTES, Script, TEXT, TOLD_MANY, hello, ready, segment_created, told,
    told_many,
};
use super::{Case, Subject};

macro_rules! cases {
    ($($name:ident,)*) => {
        /// Every case, in the order in which they are run.
        pub const CASES: &[Case] = &[$(Case {
            name: stringify!($name),
            run: |subject| Box::pin($name(subject)),
        },)*];
    };
}

cases![
    a_process_returns_its_code,
    a_process_ends_by_a_signal,
    a_program_that_is_not_there_is_an_error_that_names_it,
    two_processes_are_two,
    sigterm_ends_who_obeys,
    sigterm_may_be_ignored_and_sigkill_may_not,
    who_stands_still_goes_on_where_it_stood,
    who_stands_still_is_killed_all_the_same,
    the_end_may_be_awaited_by_many_again_and_given_up,
    who_was_killed_may_be_reaped_at_once_and_twice,
    what_it_uses_may_be_asked_until_it_is_reaped,
    who_is_let_go_of_does_not_live_on,
    what_is_printed_comes_in_lines_and_then_ends,
    more_than_a_pipe_holds_comes_whole,
    what_was_printed_before_the_end_is_there_after_it,
    frames_and_descriptors_come_in_order_and_then_the_end,
    what_was_said_before_the_end_is_heard_after_it,
    giving_up_a_wait_loses_no_frame,
    a_frame_and_its_descriptor_arrive,
    what_was_queued_arrives,
    the_queue_has_a_bound,
    a_frame_has_a_bound_of_descriptors,
    who_hears_no_more_learns_it_and_is_still_heard,
    a_conversation_may_end_before_its_process,
    what_is_no_frame_is_an_error_and_the_end_is_still_learned,
    who_is_not_found_to_speak_is_not_waited_for,
    who_speaks_outside_the_group_is_ended_with_it_and_waited_for,
    the_conversation_ends_with_the_last_of_the_group,
    nothing_is_launched_after_the_close,
];

async fn launch(subject: &dyn Subject, script: Script) -> Launched {
    let order = subject.order(script);
    subject.launcher().launch(order).await.expect("it starts")
}

async fn end(launched: &Launched) -> Exit {
    launched.process.ended().await;
    launched.process.rest_ended().await;
    launched.process.reap()
}

async fn kill(launched: &Launched) {
    launched.process.signal(Signal::KILL);
    assert_eq!(end(launched).await, Exit::Signal(9));
}

/// What is read up to the end.
async fn read_all(pipe: &dyn OutputPipe) -> String {
    let (mut all, mut bytes) = (Vec::new(), [0; 4096]);
    loop {
        match pipe.read(&mut bytes).await.expect("it can be read") {
            0 => return String::from_utf8(all).expect("text"),
            count => all.extend_from_slice(&bytes[..count]),
        }
    }
}

/// Reads until this text has come.
async fn read_until(pipe: &dyn OutputPipe, text: &str) {
    let (mut all, mut bytes) = (String::new(), [0; 1]);
    while !all.ends_with(text) {
        let count = pipe.read(&mut bytes).await.expect("it can be read");
        assert_ne!(count, 0, "{text:?} comes, not only {all:?}");
        all.push_str(std::str::from_utf8(&bytes).expect("text"));
    }
}

fn memory() -> OwnedFd {
    let memory = memfd_create("conformance", MemfdFlags::CLOEXEC).expect("memory");
    let file = File::from(memory);
    file.write_all_at(TEXT.as_bytes(), 0).expect("room");
    file.into()
}

fn text_in(memory: OwnedFd) -> String {
    let mut bytes = vec![0; TEXT.len()];
    let file = File::from(memory);
    file.read_exact_at(&mut bytes, 0)
        .expect("as long as it was");
    String::from_utf8(bytes).expect("text")
}

/// The only descriptor of a frame has the text.
fn has_text(descriptors: Vec<OwnedFd>) {
    let [memory] = <[OwnedFd; 1]>::try_from(descriptors).expect("one descriptor");
    assert_eq!(text_in(memory), TEXT);
}

async fn next(control: &dyn Control) -> Option<(ToRuntime, Vec<OwnedFd>)> {
    control.next().await.expect("a frame")
}

/// Polls a future once.
async fn is_over(future: &mut LocalFuture<'_, ()>) -> bool {
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_ready())).await
}

async fn a_process_returns_its_code(subject: &dyn Subject) {
    for code in [0, 7] {
        let launched = launch(subject, Script::Returns(code)).await;
        assert_ne!(launched.pid, 0);
        assert_eq!(end(&launched).await, Exit::Code(code));
    }
}

async fn a_process_ends_by_a_signal(subject: &dyn Subject) {
    let abort = Signal::ABORT.as_raw();
    let launched = launch(subject, Script::DiesOf(abort)).await;
    assert_eq!(end(&launched).await, Exit::Signal(abort));
}

async fn a_program_that_is_not_there_is_an_error_that_names_it(subject: &dyn Subject) {
    let order = subject.order(Script::Missing);
    let wanted = order.program.program.clone();
    let error = subject.launcher().launch(order).await.expect_err("refused");
    match error {
        LaunchError::Spawn(SpawnError::ProgramMissing { program }) => assert_eq!(program, wanted),
        other => panic!("{other:?}"),
    }
}

async fn two_processes_are_two(subject: &dyn Subject) {
    let first = launch(subject, Script::Waits).await;
    let second = launch(subject, Script::Waits).await;
    assert_ne!(first.pid, second.pid);
    kill(&first).await;
    assert!(subject.is_alive(second.pid));
    kill(&second).await;
}

async fn sigterm_ends_who_obeys(subject: &dyn Subject) {
    let launched = launch(subject, Script::Waits).await;
    launched.process.signal(Signal::TERM);
    assert_eq!(end(&launched).await, Exit::Signal(15));
}

async fn sigterm_may_be_ignored_and_sigkill_may_not(subject: &dyn Subject) {
    let launched = launch(subject, Script::IgnoresTerminate).await;
    read_until(&*launched.stdout, DEAF).await;
    launched.process.signal(Signal::TERM);
    // It hears this after the signal, so it has survived that.
    let sent = launched.control.send(&told(), vec![memory()]);
    sent.expect("room");
    read_until(&*launched.stdout, &format!("{HEARD}{TEXT}\n")).await;
    assert!(subject.is_alive(launched.pid));
    kill(&launched).await;
}

async fn who_stands_still_goes_on_where_it_stood(subject: &dyn Subject) {
    let launched = launch(subject, Script::Hears).await;
    launched.process.signal(Signal::STOP);
    let sent = launched.control.send(&told(), vec![memory()]);
    sent.expect("room");
    launched.process.signal(Signal::CONT);
    read_until(&*launched.stdout, &format!("{HEARD}{TEXT}\n")).await;
    assert_eq!(end(&launched).await, Exit::Code(0));
}

async fn who_stands_still_is_killed_all_the_same(subject: &dyn Subject) {
    let launched = launch(subject, Script::Waits).await;
    launched.process.signal(Signal::STOP);
    kill(&launched).await;
}

async fn the_end_may_be_awaited_by_many_again_and_given_up(subject: &dyn Subject) {
    let launched = launch(subject, Script::Waits).await;
    let process = &launched.process;
    assert!(!is_over(&mut process.ended()).await, "and given up");
    let (mut first, mut second) = (process.ended(), process.ended());
    assert!(!is_over(&mut first).await && !is_over(&mut second).await);
    process.signal(Signal::KILL);
    tokio::join!(first, second);
    assert!(is_over(&mut process.ended()).await, "from now on at once");
    assert_eq!(process.reap(), Exit::Signal(9));
}

async fn who_was_killed_may_be_reaped_at_once_and_twice(subject: &dyn Subject) {
    let launched = launch(subject, Script::Waits).await;
    launched.process.signal(Signal::KILL);
    assert_eq!(launched.process.reap(), Exit::Signal(9));
    assert_eq!(launched.process.reap(), Exit::Signal(9));
    assert!(!subject.is_alive(launched.pid));
}

/// A launcher whose processes are none of this machine's knows nothing of that, at any time.
async fn what_it_uses_may_be_asked_until_it_is_reaped(subject: &dyn Subject) {
    let launched = launch(subject, Script::Waits).await;
    let process = &launched.process;
    let is_known = process.group().is_some();
    assert!(process.group().is_none_or(|group| group == launched.pid));
    assert_eq!(process.usage().is_some(), is_known);
    process.signal(Signal::KILL);
    process.ended().await;
    assert_eq!(process.usage().is_some(), is_known, "it is not reaped yet");
    end(&launched).await;
    assert_eq!((process.group(), process.usage()), (None, None));
}

async fn who_is_let_go_of_does_not_live_on(subject: &dyn Subject) {
    let launched = launch(subject, Script::IgnoresTerminate).await;
    read_until(&*launched.stdout, DEAF).await;
    let pid = launched.pid;
    assert!(subject.is_alive(pid));
    drop(launched);
    assert!(!subject.is_alive(pid));
}

async fn what_is_printed_comes_in_lines_and_then_ends(subject: &dyn Subject) {
    let (stdout, stderr) = ("one\ntwo\nand a half", "no\n");
    let launched = launch(subject, Script::Prints { stdout, stderr }).await;
    assert_eq!(read_all(&*launched.stdout).await, stdout);
    assert_eq!(read_all(&*launched.stderr).await, stderr);
    let mut bytes = [0; 8];
    let again = launched.stdout.read_there(&mut bytes);
    assert_eq!(again.expect("the end stays"), 0);
    assert_eq!(end(&launched).await, Exit::Code(0));
}

async fn more_than_a_pipe_holds_comes_whole(subject: &dyn Subject) {
    let launched = launch(subject, Script::PrintsMuch).await;
    let all = read_all(&*launched.stdout).await;
    assert_eq!(all.len(), PRINTED_MUCH_BYTES);
    assert!(all.bytes().all(|byte| byte == b'x'));
    assert_eq!(end(&launched).await, Exit::Code(0));
}

async fn what_was_printed_before_the_end_is_there_after_it(subject: &dyn Subject) {
    let (stdout, stderr) = ("last words\n", "");
    let launched = launch(subject, Script::Prints { stdout, stderr }).await;
    launched.process.ended().await;
    let mut bytes = [0; 64];
    let count = launched.stdout.read_there(&mut bytes).expect("words");
    assert_eq!(&bytes[..count], stdout.as_bytes());
    launched.process.reap();

    let silent = launch(subject, Script::Waits).await;
    let nothing = silent.stdout.read_there(&mut bytes).expect_err("nothing");
    assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
    kill(&silent).await;
}

async fn frames_and_descriptors_come_in_order_and_then_the_end(subject: &dyn Subject) {
    let launched = launch(subject, Script::Speaks).await;
    let control = &*launched.control;
    let (frame, descriptors) = next(control).await.expect("hello");
    assert_eq!((frame, descriptors.len()), (hello(), 0));
    let (frame, descriptors) = next(control).await.expect("a segment");
    assert_eq!(frame, segment_created());
    has_text(descriptors);
    let (frame, descriptors) = next(control).await.expect("ready");
    assert_eq!((frame, descriptors.len()), (ready(), 0));
    assert!(next(control).await.is_none());
    assert!(next(control).await.is_none(), "the end stays");
    control.ended().await;
    assert_eq!(end(&launched).await, Exit::Code(0));
}

async fn what_was_said_before_the_end_is_heard_after_it(subject: &dyn Subject) {
    let launched = launch(subject, Script::Speaks).await;
    launched.process.ended().await;
    let mut said = Vec::new();
    while let Some((frame, descriptors)) = launched.control.next_there().expect("frames") {
        if frame == segment_created() {
            has_text(descriptors);
        }
        said.push(frame);
    }
    assert_eq!(said, [hello(), segment_created(), ready()]);
    assert_eq!(launched.process.reap(), Exit::Code(0));
}

async fn giving_up_a_wait_loses_no_frame(subject: &dyn Subject) {
    let launched = launch(subject, Script::Speaks).await;
    let control = &*launched.control;
    let mut said = Vec::new();
    while said.len() < 3 {
        // Given up whenever anything else can run.
        tokio::select! {
            biased;
            frame = control.next() => {
                said.push(frame.expect("a frame").expect("one more").0);
            }
            () = tokio::task::yield_now() => {}
        }
    }
    assert_eq!(said, [hello(), segment_created(), ready()]);
    end(&launched).await;
}

async fn a_frame_and_its_descriptor_arrive(subject: &dyn Subject) {
    let launched = launch(subject, Script::Hears).await;
    let sent = launched.control.send(&told(), vec![memory()]);
    sent.expect("room");
    let printed = read_all(&*launched.stdout).await;
    assert_eq!(printed, format!("{HEARD}{TEXT}\n"));
    assert_eq!(end(&launched).await, Exit::Code(0));
}

async fn what_was_queued_arrives(subject: &dyn Subject) {
    let launched = launch(subject, Script::CountsFrames).await;
    let control = &*launched.control;
    for _ in 0..TOLD_MANY {
        control.send(&told_many(), Vec::new()).expect("room");
    }
    let mut writer = control.write_queued();
    let printed = tokio::select! {
        biased;
        printed = read_all(&*launched.stdout) => printed,
        () = &mut writer => read_all(&*launched.stdout).await,
    };
    assert_eq!(printed, format!("{HEARD}\n"));
    assert_eq!(control.queued_bytes(), 0);
    assert_eq!(end(&launched).await, Exit::Code(0));
}

async fn the_queue_has_a_bound(subject: &dyn Subject) {
    let launched = launch(subject, Script::Waits).await;
    let control = &*launched.control;
    let frame = told_many();
    let mut taken: usize = 0;
    let refused = loop {
        match control.send(&frame, Vec::new()) {
            Ok(()) => taken += 100_000,
            Err(refused) => break refused,
        }
    };
    match refused {
        EnqueueError::Full { bytes_max, .. } => assert_eq!(bytes_max, CONTROL_QUEUE_BYTES_MAX),
        other => panic!("{other:?}"),
    }
    assert!(taken + 200_000 > CONTROL_QUEUE_BYTES_MAX, "{taken}");
    assert!(control.queued_bytes() <= CONTROL_QUEUE_BYTES_MAX);
    // A shorter one finds the room that is left, so nothing was queued in part.
    let reason = String::new();
    let short = control.send(&ToNode::Refused { reason }, Vec::new());
    short.expect("room");
    kill(&launched).await;
    let dead = control.send(&ToNode::Begin, Vec::new());
    dead.expect("the dead take frames, too");
}

async fn a_frame_has_a_bound_of_descriptors(subject: &dyn Subject) {
    let launched = launch(subject, Script::Waits).await;
    let given = FRAME_DESCRIPTORS_MAX + 1;
    let many = (0..given).map(|_| memory()).collect();
    let refused = launched.control.send(&told(), many);
    assert_eq!(refused, Err(EnqueueError::TooManyDescriptors { given }));
    kill(&launched).await;
}

async fn who_hears_no_more_learns_it_and_is_still_heard(subject: &dyn Subject) {
    let launched = launch(subject, Script::WaitsForTheEnd).await;
    let control = &*launched.control;
    assert_eq!(next(control).await.expect("hello").0, hello());
    control.finish();
    assert_eq!(next(control).await.expect("its answer").0, ready());
    assert_eq!(end(&launched).await, Exit::Code(0));
}

async fn a_conversation_may_end_before_its_process(subject: &dyn Subject) {
    let launched = launch(subject, Script::HangsUp).await;
    let control = &*launched.control;
    assert_eq!(next(control).await.expect("hello").0, hello());
    assert!(next(control).await.is_none());
    control.ended().await;
    assert!(subject.is_alive(launched.pid));
    let sent = control.send(&ToNode::Begin, Vec::new());
    sent.expect("it takes frames as the dead do");
    kill(&launched).await;
}

async fn what_is_no_frame_is_an_error_and_the_end_is_still_learned(subject: &dyn Subject) {
    let launched = launch(subject, Script::TalksNonsense).await;
    let control = &*launched.control;
    assert_eq!(next(control).await.expect("hello").0, hello());
    let error = control.next().await.expect_err("no frame");
    assert!(error.to_string().contains("garbled"), "{error}");
    launched.process.signal(Signal::KILL);
    tokio::join!(control.discard_rest(), control.ended());
    assert_eq!(end(&launched).await, Exit::Signal(9));
}

async fn who_is_not_found_to_speak_is_not_waited_for(subject: &dyn Subject) {
    let launched = launch(subject, Script::Waits).await;
    // Itself, a process that has nothing to do with it, and a number that nobody can have.
    for pid in [launched.pid, 1, u32::MAX] {
        launched.process.speaks(pid).expect("descriptors");
    }
    kill(&launched).await;
}

/// The number of the process that says hello.
async fn speaker(launched: &Launched) -> u32 {
    match next(&*launched.control).await {
        Some((ToRuntime::Hello { pid, .. }, _)) => pid,
        other => panic!("{other:?}"),
    }
}

async fn who_speaks_outside_the_group_is_ended_with_it_and_waited_for(subject: &dyn Subject) {
    let launched = launch(subject, Script::SpeaksThroughAnother).await;
    let speaker = speaker(&launched).await;
    assert_ne!(speaker, launched.pid);
    launched.process.speaks(speaker).expect("descriptors");
    launched.process.ended().await;
    assert!(!is_over(&mut launched.process.rest_ended()).await);
    launched.process.signal(Signal::TERM);
    assert!(subject.is_alive(speaker), "it ignores that");
    launched.process.signal(Signal::KILL);
    launched.process.rest_ended().await;
    assert!(!subject.is_alive(speaker));
    assert!(next(&*launched.control).await.is_none());
    assert_eq!(launched.process.reap(), Exit::Code(0), "its own end");
}

async fn the_conversation_ends_with_the_last_of_the_group(subject: &dyn Subject) {
    let launched = launch(subject, Script::LeavesAChild).await;
    let child = speaker(&launched).await;
    launched.process.ended().await;
    assert!(subject.is_alive(child));
    launched.process.signal(Signal::KILL);
    assert!(next(&*launched.control).await.is_none());
    launched.control.ended().await;
    assert_eq!(launched.process.reap(), Exit::Code(0));
}

async fn nothing_is_launched_after_the_close(subject: &dyn Subject) {
    let launched = launch(subject, Script::IgnoresTerminate).await;
    read_until(&*launched.stdout, DEAF).await;
    let launcher = subject.launcher();
    launcher.close();
    launcher.close();
    let order = subject.order(Script::Returns(0));
    let refused = launcher.launch(order).await.expect_err("refused");
    assert!(matches!(refused, LaunchError::Ending), "{refused:?}");
    assert_eq!(
        end(&launched).await,
        Exit::Signal(9),
        "it goes with the launcher"
    );
}
