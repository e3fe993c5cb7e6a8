//! The first stream of a connection: preambles, hellos, and then frames, one after the other.

use std::fmt;

use dataflow_wire::peer::{
    FRAME_BYTES_MAX, Frame, Goodbye, HELLO_BYTES_MAX, Hello, LENGTH_BYTES, PREAMBLE_BYTES,
    Preamble, Refusal,
};
use quinn::{Connection, ConnectionError, ReadError, RecvStream, SendStream, VarInt, WriteError};

/// Control goes before whatever else there will be on a connection.
const PRIORITY: i32 = i32::MAX;
/// How much is read at once.
const READ_BYTES: usize = 1024;

/// Why there is nothing more to hear or to say.
#[derive(Debug)]
pub(super) enum TalkError {
    /// The connection has ended.
    Ended(ConnectionError),
    /// What came is nothing that an agent says.
    Garbage(String),
}

impl fmt::Display for TalkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TalkError::Ended(error) => error.fmt(f),
            TalkError::Garbage(what) => f.write_str(what),
        }
    }
}

impl From<ConnectionError> for TalkError {
    fn from(error: ConnectionError) -> TalkError {
        TalkError::Ended(error)
    }
}

impl From<WriteError> for TalkError {
    fn from(error: WriteError) -> TalkError {
        match error {
            WriteError::ConnectionLost(error) => TalkError::Ended(error),
            other => TalkError::Garbage(format!("it does not read on: {other}")),
        }
    }
}

/// What is said on a connection.
#[derive(Debug)]
pub(super) struct Mouth(SendStream);

/// What is heard on a connection.
#[derive(Debug)]
pub(super) struct Ear {
    stream: RecvStream,
    /// What was read and not understood yet. Never longer than one frame and one read.
    buffer: Vec<u8>,
    body_bytes_max: usize,
}

/// Opens the conversation, as who has dialled.
pub(super) async fn open(connection: &Connection) -> Result<(Mouth, Ear), TalkError> {
    let (send, receive) = connection.open_bi().await?;
    begin(send, receive).await
}

/// Waits until the other side opens the conversation.
pub(super) async fn accept(connection: &Connection) -> Result<(Mouth, Ear), TalkError> {
    let (send, receive) = connection.accept_bi().await?;
    begin(send, receive).await
}

async fn begin(mut send: SendStream, receive: RecvStream) -> Result<(Mouth, Ear), TalkError> {
    // Only a stream that is closed refuses it, and writing says that next.
    let _ = send.set_priority(PRIORITY);
    send.write_all(&Preamble::OURS.to_bytes()).await?;
    let ear = Ear {
        stream: receive,
        buffer: Vec::new(),
        body_bytes_max: HELLO_BYTES_MAX,
    };
    Ok((Mouth(send), ear))
}

impl Mouth {
    /// Says one thing. Waits while the other side does not read.
    pub(super) async fn say(&mut self, frame: &Frame) -> Result<(), TalkError> {
        let bytes = frame
            .encode()
            .map_err(|error| TalkError::Garbage(error.to_string()))?;
        Ok(self.0.write_all(&bytes).await?)
    }
}

impl Ear {
    /// The other side's preamble.
    pub(super) async fn preamble(&mut self) -> Result<Preamble, TalkError> {
        while self.buffer.len() < PREAMBLE_BYTES {
            self.read().await?;
        }
        let (first, rest) = self.buffer.split_at(PREAMBLE_BYTES);
        let mut bytes = [0; PREAMBLE_BYTES];
        bytes.copy_from_slice(first);
        self.buffer = rest.to_vec();
        Preamble::from_bytes(&bytes).map_err(|error| TalkError::Garbage(error.to_string()))
    }

    /// The other side's hello. What comes after it is short.
    pub(super) async fn hello(&mut self) -> Result<Box<Hello>, TalkError> {
        let Frame::Hello(hello) = self.hear().await? else {
            return Err(TalkError::Garbage("it does not say hello".to_owned()));
        };
        hello
            .check()
            .map_err(|error| TalkError::Garbage(error.to_string()))?;
        self.body_bytes_max = FRAME_BYTES_MAX;
        Ok(hello)
    }

    /// The next frame. Nothing is lost if this is dropped before it is done.
    pub(super) async fn hear(&mut self) -> Result<Frame, TalkError> {
        loop {
            if let Some(frame) = self.take()? {
                return Ok(frame);
            }
            self.read().await?;
        }
    }

    fn take(&mut self) -> Result<Option<Frame>, TalkError> {
        let garbage =
            |error: dataflow_wire::frame::DecodeError| TalkError::Garbage(error.to_string());
        let Some((length, rest)) = self.buffer.split_first_chunk::<LENGTH_BYTES>() else {
            return Ok(None);
        };
        let body_bytes = Frame::body_bytes(*length, self.body_bytes_max).map_err(garbage)?;
        let Some(body) = rest.get(..body_bytes) else {
            return Ok(None);
        };
        let frame = Frame::decode(body).map_err(garbage)?;
        self.buffer.drain(..LENGTH_BYTES + body_bytes);
        Ok(Some(frame))
    }

    async fn read(&mut self) -> Result<(), TalkError> {
        let mut bytes = [0; READ_BYTES];
        match self.stream.read(&mut bytes).await {
            Ok(Some(count)) => {
                self.buffer.extend_from_slice(&bytes[..count]);
                Ok(())
            }
            Err(ReadError::ConnectionLost(error)) => Err(TalkError::Ended(error)),
            Ok(None) | Err(_) => Err(TalkError::Garbage("it ends the conversation".to_owned())),
        }
    }
}

/// Does not take the other side, and tells it why.
pub(super) fn refuse(connection: &Connection, refusal: &Refusal) {
    let (code, reason) = refusal.to_close();
    connection.close(VarInt::from_u32(code), &reason);
}

/// Ends a connection that was taken.
pub(super) fn goodbye(connection: &Connection, goodbye: Goodbye) {
    connection.close(VarInt::from_u32(goodbye.code()), b"");
}
