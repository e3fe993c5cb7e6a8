//! Accepting commands: this user's, and not more than there may be.

use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use rustix::net::sockopt::socket_peercred;
use rustix::net::{SocketFlags, accept_with};
use tokio::io::unix::AsyncFd;

use crate::process::FramedSocket;

/// How much may wait for a command to read it, in bytes.
pub(crate) const QUEUE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How long accepting waits when the process has no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// A command that is connected; it counts until this is dropped.
#[derive(Debug)]
pub(crate) struct Place(#[expect(dead_code, reason = "it is counted")] Rc<()>);

/// Accepts commands for ever, `clients_max` of them at a time. Each goes to `begin` with its place, which is to be kept
/// for as long as it is talked to.
///
/// # Errors
///
/// When the event loop watches the socket no more.
pub(crate) async fn accept(
    listener: &AsyncFd<OwnedFd>,
    clients_max: usize,
    begin: impl Fn(FramedSocket, Place),
) -> io::Result<()> {
    let connected = Rc::new(());
    loop {
        let mut ready = listener.readable().await?;
        #[cfg(test)]
        crate::supervision::faults::task_step("server");
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = match accept_with(listener.get_ref(), flags) {
            Ok(socket) => socket,
            Err(rustix::io::Errno::AGAIN) => {
                ready.clear_ready();
                continue;
            }
            Err(rustix::io::Errno::CONNABORTED | rustix::io::Errno::INTR) => continue,
            Err(errno) => {
                tracing::warn!(%errno, "command not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let ours = rustix::process::geteuid();
        let is_ours = socket_peercred(&socket).is_ok_and(|peer| peer.uid == ours);
        if !is_ours || Rc::strong_count(&connected) > clients_max {
            tracing::warn!(is_ours, "command refused");
            continue;
        }
        if let Ok(socket) = FramedSocket::new(socket, QUEUE_BYTES_MAX) {
            begin(socket, Place(Rc::clone(&connected)));
        }
    }
}
