//! Descriptors arrive with the frame they belong to, or are closed.

use std::io::{IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use dataflow_ids::EdgeId;
use dataflow_wire::frame::{
    EnqueueError, Flushed, FrameError, FrameReader, FrameWriter, ReceiveError, Received, SendError,
    encode_frame, send,
};
use dataflow_wire::node::ToRuntime;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

fn warning(text: &str) -> ToRuntime {
    ToRuntime::Warning { text: text.into() }
}

/// The write end goes over the socket; the read end sees its end when every copy is closed.
fn pipe() -> (std::fs::File, OwnedFd) {
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    (reader.into(), writer)
}

/// Blocks until all copies of the pipe's write end are closed; fails if something was written instead.
fn assert_closed(mut reader: std::fs::File) {
    assert_eq!(reader.read(&mut [0; 1]).unwrap(), 0);
}

fn receive_all(reader: &mut FrameReader, socket: &UnixStream) -> Vec<(ToRuntime, Vec<OwnedFd>)> {
    let mut messages = Vec::new();
    loop {
        match reader.receive(socket).unwrap() {
            Received::Bytes(_) => {
                while let Some(message) = reader.next().unwrap() {
                    messages.push(message);
                }
            }
            Received::WouldBlock | Received::End => return messages,
        }
    }
}

fn send_raw(socket: &UnixStream, bytes: &[u8], fds: &[BorrowedFd<'_>]) {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(16))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(control.push(SendAncillaryMessage::ScmRights(fds)));
    let sent = sendmsg(
        socket,
        &[IoSlice::new(bytes)],
        &mut control,
        SendFlags::NOSIGNAL,
    );
    assert_eq!(sent.unwrap(), bytes.len());
}

fn framed(message: &ToRuntime, claimed: u8) -> Vec<u8> {
    let mut frame = encode_frame(message).unwrap();
    frame[4] = claimed;
    frame
}

#[test]
fn each_descriptor_comes_with_its_own_frame() {
    let (here, there) = UnixStream::pair().unwrap();
    there.set_nonblocking(true).unwrap();
    let pipes: Vec<_> = (0..3).map(|_| pipe()).collect();
    let fds: Vec<_> = pipes.iter().map(|(_, writer)| writer.as_fd()).collect();

    // Frames without descriptors stand before, between and after: the kernel may give several at once.
    send(&here, &warning("none"), &[]).unwrap();
    send(&here, &warning("one"), &fds[..1]).unwrap();
    send(&here, &warning("none"), &[]).unwrap();
    send(&here, &warning("none"), &[]).unwrap();
    send(&here, &warning("two"), &fds[1..]).unwrap();
    send(&here, &warning("none"), &[]).unwrap();
    drop(fds);
    drop(here);

    let mut reader = FrameReader::new();
    let received = receive_all(&mut reader, &there);
    let counts: Vec<_> = received.iter().map(|(_, fds)| fds.len()).collect();
    assert_eq!(counts, [0, 1, 0, 0, 2, 0]);
    for (message, fds) in &received {
        let expected = ["none", "one", "two"][fds.len()];
        assert_eq!(message, &warning(expected));
    }
    // They are the very descriptors that were sent, in order, and closed on exec.
    let arrived = received.into_iter().flat_map(|(_, fds)| fds);
    for ((mut reader, writer), (number, fd)) in pipes.into_iter().zip(arrived.enumerate()) {
        drop(writer);
        let flags = rustix::io::fcntl_getfd(&fd).unwrap();
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
        let byte = [number as u8];
        std::fs::File::from(fd).write_all(&byte).unwrap();
        let mut read = Vec::new();
        reader.read_to_end(&mut read).unwrap();
        assert_eq!(read, byte);
    }
}

#[test]
fn several_frames_in_one_receive_are_told_apart() {
    let (here, there) = UnixStream::pair().unwrap();
    let (end, writer) = pipe();
    send(&here, &warning("first"), &[]).unwrap();
    send(&here, &warning("second"), &[]).unwrap();
    send(&here, &warning("third"), &[writer.as_fd()]).unwrap();
    drop(writer);
    let mut reader = FrameReader::new();
    assert!(matches!(
        reader.receive(&there).unwrap(),
        Received::Bytes(_)
    ));
    for (text, count) in [("first", 0), ("second", 0), ("third", 1)] {
        let (message, fds) = reader.next::<ToRuntime>().unwrap().unwrap();
        assert_eq!((message, fds.len()), (warning(text), count));
    }
    assert_closed(end);
}

#[test]
fn a_frame_in_many_pieces_keeps_its_descriptors() {
    let (here, there) = UnixStream::pair().unwrap();
    let (end, writer) = pipe();
    let frame = framed(&warning("slow"), 1);
    let mut reader = FrameReader::new();
    send_raw(&here, &frame[..1], &[writer.as_fd()]);
    drop(writer);
    for byte in &frame[1..] {
        reader.receive(&there).unwrap();
        assert!(reader.next::<ToRuntime>().unwrap().is_none());
        (&here).write_all(&[*byte]).unwrap();
    }
    reader.receive(&there).unwrap();
    let (message, fds) = reader.next::<ToRuntime>().unwrap().unwrap();
    assert_eq!((message, fds.len()), (warning("slow"), 1));
    drop(fds);
    assert_closed(end);
}

#[test]
fn descriptors_are_closed_when_their_frame_is_refused() {
    for (claimed, given, garble) in [(1, 2, false), (2, 1, false), (0, 1, false), (1, 1, true)] {
        let (here, there) = UnixStream::pair().unwrap();
        let mut reader = FrameReader::new();
        let mut ends = Vec::new();
        let mut writers = Vec::new();
        for _ in 0..given {
            let (end, writer) = pipe();
            ends.push(end);
            writers.push(writer);
        }
        let mut frame = framed(&warning("mismatch"), claimed);
        if garble {
            frame[8] = 99;
        }
        let fds: Vec<_> = writers.iter().map(AsFd::as_fd).collect();
        send_raw(&here, &frame, &fds);
        writers.clear();
        reader.receive(&there).unwrap();
        if claimed == 0 {
            // Nobody's descriptor is noticed when the frame it came with has been given out.
            assert!(reader.next::<ToRuntime>().unwrap().is_some());
        }
        let error = reader.next::<ToRuntime>().unwrap_err();
        match error {
            FrameError::Body(_) => assert!(garble),
            FrameError::DescriptorsMismatch {
                claimed: said,
                arrived,
            } => assert_eq!((said, arrived), (usize::from(claimed), given)),
            other => panic!("unexpected: {other}"),
        }
        // The reader is still alive: it has closed them, not its drop.
        for end in ends {
            assert_closed(end);
        }
        assert_eq!(
            reader.receive(&there).unwrap_err(),
            ReceiveError::AfterRefusal
        );
    }
}

#[test]
fn too_many_descriptors_at_once_are_refused_and_closed() {
    for given in [5, 6, 7, 16] {
        let (here, there) = UnixStream::pair().unwrap();
        let (end, writer) = pipe();
        send_raw(
            &here,
            &framed(&warning("many"), 4),
            &vec![writer.as_fd(); given],
        );
        drop(writer);
        let mut reader = FrameReader::new();
        assert_eq!(
            reader.receive(&there).unwrap_err(),
            ReceiveError::TooManyDescriptors
        );
        assert_closed(end);
    }
}

/// Says to `plays_a_process_without_descriptors` that it is run as a process of its own.
const PLAY_FULL: &str = "DATAFLOW_TEST_PLAY_FULL";

/// Not a test by itself: the limit would hold for all tests of this process.
#[test]
fn plays_a_process_without_descriptors() {
    if std::env::var_os(PLAY_FULL).is_none() {
        return;
    }
    let (here, there) = UnixStream::pair().unwrap();
    let (end, writer) = pipe();
    send(&here, &warning("no room"), &[writer.as_fd()]).unwrap();
    drop(writer);
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let none = rustix::process::Rlimit {
        current: Some(3),
        ..limit
    };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, none).unwrap();
    let mut reader = FrameReader::new();
    let error = reader.receive(&there).unwrap_err();
    assert_eq!(error, ReceiveError::NoDescriptorLeft);
    assert!(error.to_string().contains("ulimit -n"));
    assert_closed(end);
}

#[test]
fn a_process_without_descriptors_is_told_so() {
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "descriptors::plays_a_process_without_descriptors",
        ])
        .env(PLAY_FULL, "yes")
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
fn descriptors_of_an_unfinished_frame_are_closed_with_the_reader() {
    let (here, there) = UnixStream::pair().unwrap();
    let (end, writer) = pipe();
    send_raw(&here, &framed(&warning("cut"), 1)[..9], &[writer.as_fd()]);
    drop((writer, here));
    let mut reader = FrameReader::new();
    assert_eq!(reader.receive(&there).unwrap(), Received::Bytes(9));
    assert!(reader.next::<ToRuntime>().unwrap().is_none());
    assert_eq!(reader.receive(&there).unwrap(), Received::End);
    assert!(matches!(
        reader.next::<ToRuntime>().unwrap_err(),
        FrameError::Truncated { have: 9, .. }
    ));
    assert_closed(end);
}

#[test]
fn a_reset_is_an_end_and_what_came_before_it_is_read() {
    let (here, there) = UnixStream::pair().unwrap();
    (&there).write_all(b"never read").unwrap();
    send(&here, &warning("last words"), &[]).unwrap();
    drop(here);
    let mut reader = FrameReader::new();
    let received = receive_all(&mut reader, &there);
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].0, warning("last words"));
}

#[test]
fn sending_to_a_closed_socket_is_an_error_and_no_signal() {
    let (here, there) = UnixStream::pair().unwrap();
    drop(there);
    assert_eq!(send(&here, &warning("nobody"), &[]), Err(SendError::Closed));
    let mut writer = FrameWriter::new(1024);
    writer.enqueue(&warning("nobody"), Vec::new()).unwrap();
    assert_eq!(writer.flush(&here), Err(SendError::Closed));
}

#[test]
fn send_waits_for_a_slow_reader_also_on_a_nonblocking_socket() {
    let (here, there) = UnixStream::pair().unwrap();
    here.set_nonblocking(true).unwrap();
    let text = "x".repeat(1_000_000);
    let message = warning(&text);
    let sender = std::thread::spawn(move || send(&here, &message, &[]));
    let mut reader = FrameReader::new();
    let received = receive_all(&mut reader, &there);
    sender.join().unwrap().unwrap();
    assert_eq!(received[0].0, warning(&text));
}

#[test]
fn too_many_descriptors_are_not_sent() {
    let (here, _there) = UnixStream::pair().unwrap();
    let fds = vec![here.as_fd(); 5];
    assert_eq!(
        send(&here, &warning("five"), &fds),
        Err(SendError::TooManyDescriptors { given: 5 })
    );
    let mut writer = FrameWriter::new(1024);
    let fds = (0..5).map(|_| pipe().1).collect();
    assert_eq!(
        writer.enqueue(&warning("five"), fds),
        Err(EnqueueError::TooManyDescriptors { given: 5 })
    );
}

#[test]
fn a_writer_that_would_block_goes_on_where_it_stopped() {
    let (here, there) = UnixStream::pair().unwrap();
    here.set_nonblocking(true).unwrap();
    there.set_nonblocking(true).unwrap();
    let mut writer = FrameWriter::new(16 * 1024 * 1024);
    let mut ends = Vec::new();
    let text = "x".repeat(700_000);
    for number in 0..6 {
        let (end, fd) = pipe();
        ends.push(end);
        let message = ToRuntime::EdgeDamaged {
            edge: EdgeId(number),
            what: text.clone(),
        };
        writer.enqueue(&message, vec![fd]).unwrap();
        writer.enqueue(&ToRuntime::Ready, Vec::new()).unwrap();
    }
    assert_eq!(writer.flush(&here).unwrap(), Flushed::WouldBlock);
    assert!(!writer.is_empty());

    let mut reader = FrameReader::new();
    let mut received = receive_all(&mut reader, &there);
    while writer.flush(&here).unwrap() == Flushed::WouldBlock {
        received.extend(receive_all(&mut reader, &there));
    }
    received.extend(receive_all(&mut reader, &there));
    assert!(writer.is_empty());
    assert_eq!(writer.queued_bytes(), 0);
    assert_eq!(received.len(), 12);
    for (place, (message, fds)) in received.iter().enumerate() {
        match message {
            ToRuntime::EdgeDamaged { edge, what } => {
                assert_eq!((edge.0 as usize * 2, what.len()), (place, 700_000));
                assert_eq!(fds.len(), 1);
            }
            ToRuntime::Ready => assert!(place % 2 == 1 && fds.is_empty()),
            other => panic!("unexpected: {other:?}"),
        }
    }
    drop(received);
    for end in ends {
        assert_closed(end);
    }
}

#[test]
fn a_full_writer_refuses_and_closes_what_came_with_it() {
    let mut writer = FrameWriter::new(100);
    writer
        .enqueue(&warning(&"x".repeat(60)), Vec::new())
        .unwrap();
    let queued_bytes = writer.queued_bytes();
    let (end, fd) = pipe();
    assert_eq!(
        writer.enqueue(&warning(&"x".repeat(60)), vec![fd]),
        Err(EnqueueError::Full {
            queued_bytes,
            bytes_max: 100
        })
    );
    assert_closed(end);
    assert_eq!(writer.queued_bytes(), queued_bytes);
    writer.enqueue(&ToRuntime::Ready, Vec::new()).unwrap();
}
