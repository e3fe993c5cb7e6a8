//! A conversation with a running dataflow over its own socket: as a command has it, without starting a process
//! for each question.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Instant;

use dataflow_wire::client::{CLIENT_PROTOCOL, ClientReply, ClientRequest};
use dataflow_wire::frame::{FrameReader, Received, send};
use dataflow_wire::status::DataflowStatus;

use crate::PATIENCE;

/// The connection. A runtime that is gone gives `None` to every question.
#[derive(Debug)]
pub struct Talk {
    stream: UnixStream,
    reader: FrameReader,
}

fn socket_in(folder: &Path, file_name: &str) -> Option<PathBuf> {
    // `<runtime folder>/dataflow/<a hash of the project>/<name>.sock`
    let projects = std::fs::read_dir(folder.join("dataflow")).ok()?;
    projects
        .flatten()
        .map(|project| project.path().join(file_name))
        .find(|socket| socket.exists())
}

impl Talk {
    /// Connects to the dataflow of this name in a runtime folder, as soon as it is there.
    ///
    /// `still` says whether it may yet come.
    pub(crate) fn connect(
        runtime_folder: &Path,
        name: &str,
        mut still: impl FnMut() -> bool,
    ) -> Option<Talk> {
        let deadline = Instant::now() + PATIENCE;
        let file_name = format!("{name}.sock");
        loop {
            let stream = socket_in(runtime_folder, &file_name)
                .and_then(|socket| UnixStream::connect(socket).ok());
            if let Some(stream) = stream {
                stream
                    .set_read_timeout(Some(PATIENCE))
                    .expect("a socket has a timeout");
                let mut talk = Talk {
                    stream,
                    reader: FrameReader::new(),
                };
                let hello = ClientRequest::Hello {
                    protocol: CLIENT_PROTOCOL,
                };
                return match talk.ask(&hello)? {
                    ClientReply::Welcome { .. } => Some(talk),
                    other => panic!("no welcome: {other:?}"),
                };
            }
            if !still() {
                return None;
            }
            assert!(Instant::now() < deadline, "never: `{name}` has a socket");
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }

    /// Asks, and waits for the first answer. `None`: the runtime has ended.
    ///
    /// # Panics
    ///
    /// When the answer does not come, or is no answer.
    pub fn ask(&mut self, request: &ClientRequest) -> Option<ClientReply> {
        self.say(request)?;
        self.next()
    }

    /// Asks, and does not wait. `None`: the runtime has ended.
    pub fn say(&mut self, request: &ClientRequest) -> Option<()> {
        send(&self.stream, request, &[]).ok()
    }

    /// Waits for another answer. `None`: the runtime has ended.
    ///
    /// # Panics
    ///
    /// As [`Talk::ask`].
    #[allow(clippy::should_implement_trait)] // it waits, and for a fact that may never come
    pub fn next(&mut self) -> Option<ClientReply> {
        loop {
            let answer = self.reader.next::<ClientReply>();
            if let Some((reply, _)) = answer.expect("an answer is a frame") {
                return Some(reply);
            }
            match self.reader.receive(&self.stream) {
                Ok(Received::End) => return None,
                Ok(Received::WouldBlock) => panic!("the runtime does not answer"),
                Ok(_) => {}
                // It was killed with a question unread.
                Err(_) => return None,
            }
        }
    }

    /// How the dataflow stands. `None`: the runtime has ended.
    ///
    /// # Panics
    ///
    /// As [`Talk::ask`].
    pub fn status(&mut self) -> Option<DataflowStatus> {
        match self.ask(&ClientRequest::Status)? {
            ClientReply::Status(status) => Some(*status),
            other => panic!("no status: {other:?}"),
        }
    }

    /// Waits until `is_so` holds of its status. `None`: the runtime has ended before.
    ///
    /// # Panics
    ///
    /// When it never does; `what` says what was waited for.
    pub fn wait_until(
        &mut self,
        what: &str,
        is_so: impl Fn(&DataflowStatus) -> bool,
    ) -> Option<DataflowStatus> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status = self.status()?;
            if is_so(&status) {
                return Some(status);
            }
            assert!(Instant::now() < deadline, "never: {what}; {status:#?}");
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }
}
