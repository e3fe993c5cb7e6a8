//! The launcher of a simulation: the runtime's side of every simulated process.

use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use dataflow_core::lifecycle::Exit;
use dataflow_runtime::process::{
    Control, ControlError, Frame, LaunchError, LaunchOrder, Launched, Launcher, LocalFuture,
    OutputPipe, Process, WatchError,
};
use dataflow_wire::frame::EnqueueError;
use dataflow_wire::node::ToNode;
use rustix::process::Signal;

use super::rules;
use super::world::{Entry, World};
use crate::process::SimulatedProcess;

/// How many frames the kernel keeps for a process that does not read.
const SOCKET_FRAMES: usize = 500;
/// What a frame takes, roughly.
const FRAME_BYTES: usize = 64;

/// Starts the simulated processes of one run.
pub(super) struct SimulationLauncher {
    pub(super) world: Rc<World>,
    pub(super) run: usize,
}

impl Launcher for SimulationLauncher {
    fn launch(&self, order: LaunchOrder) -> LocalFuture<'static, Result<Launched, LaunchError>> {
        let (world, run) = (Rc::clone(&self.world), self.run);
        Box::pin(async move {
            let LaunchOrder { index, epoch, .. } = order;
            super::models::at_launch(&world, run, &order);
            world
                .notes
                .trace(|| format!("r{run}.n{}.{epoch} is launched", index.0));
            rules::at_launch(&world, run, index, epoch);
            let (wait, fails) = {
                let mut draw = world.draw.borrow_mut();
                (draw.one_of(&[0, 0, 1, 5, 30]), draw.below(300) == 0)
            };
            if wait > 0 {
                tokio::time::sleep(std::time::Duration::from_millis(wait)).await;
            }
            if fails {
                world.notes.count("launches that failed");
                world.runs[run].has_failed_up.set(true);
                world.runs[run]
                    .last
                    .borrow_mut()
                    .insert(index, (epoch, Some(Exit::Code(-1))));
                let source = io::Error::other("no descriptor is left");
                return Err(LaunchError::NoControl { source });
            }
            world.notes.count("launches");
            if epoch.0 > 1 {
                world.notes.count("launches of later incarnations");
            }
            let entry = world.start(run, index, epoch);
            let process = Rc::new(SimulatedEnd { world, entry });
            Ok(Launched {
                pid: process.entry.pid,
                control: Rc::clone(&process) as Rc<dyn Control>,
                stdout: Box::new(Pipe(Some(Rc::clone(&process.entry)))),
                stderr: Box::new(Pipe(None)),
                process,
            })
        })
    }

    fn close(&self) {
        self.world.runs[self.run].is_closed.set(true);
    }
}

/// The runtime's side of one process.
struct SimulatedEnd {
    world: Rc<World>,
    entry: Rc<Entry>,
}

impl SimulatedEnd {
    async fn until_ended(&self) {
        loop {
            let ended = self.entry.ended.notified();
            if self.entry.exit().is_some() {
                return;
            }
            ended.await;
        }
    }
}

impl Process for SimulatedEnd {
    fn ended(&self) -> LocalFuture<'_, ()> {
        Box::pin(self.until_ended())
    }

    fn speaks(&self, pid: u32) -> Result<(), WatchError> {
        self.world
            .notes
            .check(pid == self.entry.pid, "launcher", || {
                format!("process {} is held as {pid}", self.entry.pid)
            });
        Ok(())
    }

    fn signal(&self, signal: Signal) {
        let entry = &self.entry;
        if entry.exit().is_some() {
            return;
        }
        self.world.notes.trace(|| {
            format!(
                "r{}.n{}.{} gets {signal:?}",
                entry.run, entry.node.0, entry.epoch
            )
        });
        match signal {
            Signal::KILL => {
                self.world.notes.count("SIGKILLs by the runtime");
                entry.was_killed.set(true);
                self.world.touch(entry, SimulatedProcess::kill);
            }
            Signal::TERM => {
                self.world.notes.count("SIGTERMs by the runtime");
                self.world.touch(entry, SimulatedProcess::terminate);
            }
            other => self
                .world
                .notes
                .wrong("launcher", || format!("{other:?} was sent")),
        }
    }

    fn rest_ended(&self) -> LocalFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    fn reap(&self) -> Exit {
        let entry = &self.entry;
        let Some(exit) = entry.exit() else {
            self.world.notes.wrong("launcher", || {
                format!("process {} is reaped alive", entry.pid)
            });
            return Exit::Code(-1);
        };
        self.world.reaped(entry);
        exit
    }
}

impl Control for SimulatedEnd {
    fn next(&self) -> LocalFuture<'_, Result<Option<Frame>, ControlError>> {
        Box::pin(async {
            loop {
                let said = self.entry.said.notified();
                let frame = self.entry.process.borrow_mut().say();
                if frame.is_some() || self.entry.exit().is_some() {
                    if let Some((frame, _)) = &frame {
                        rules::heard(&self.world, &self.entry, frame);
                    }
                    return Ok(frame);
                }
                said.await;
            }
        })
    }

    fn next_there(&self) -> Result<Option<Frame>, ControlError> {
        Ok(self.entry.process.borrow_mut().say())
    }

    fn send(&self, frame: &ToNode, descriptors: Vec<OwnedFd>) -> Result<(), EnqueueError> {
        rules::told(&self.world, &self.entry, frame);
        self.world.touch(&self.entry, |process| {
            process.hear(frame.clone(), descriptors)
        });
        Ok(())
    }

    fn write_queued(&self) -> LocalFuture<'_, ()> {
        Box::pin(self.until_ended())
    }

    fn queued_bytes(&self) -> usize {
        let frames = self.entry.process.borrow().unread();
        frames.saturating_sub(SOCKET_FRAMES) * FRAME_BYTES
    }

    fn finish(&self) {
        self.world.touch(&self.entry, SimulatedProcess::hang_up);
    }

    fn ended(&self) -> LocalFuture<'_, ()> {
        Box::pin(self.until_ended())
    }

    fn discard_rest(&self) -> LocalFuture<'_, ()> {
        Box::pin(async {
            self.until_ended().await;
            while self.entry.process.borrow_mut().say().is_some() {}
        })
    }
}

/// What a process prints; or nothing.
struct Pipe(Option<Rc<Entry>>);

impl Pipe {
    fn take(&self, into: &mut [u8]) -> Option<usize> {
        let entry = self.0.as_ref()?;
        let mut printed = entry.printed.borrow_mut();
        let count = printed.len().min(into.len());
        for (place, byte) in into.iter_mut().zip(printed.drain(..count)) {
            *place = byte;
        }
        Some(count)
    }
}

impl OutputPipe for Pipe {
    fn read<'a>(&'a self, into: &'a mut [u8]) -> LocalFuture<'a, io::Result<usize>> {
        Box::pin(async move {
            match (self.take(into), &self.0) {
                (Some(count @ 1..), _) => Ok(count),
                (_, Some(entry)) => loop {
                    let ended = entry.ended.notified();
                    if entry.exit().is_some() {
                        return Ok(self.take(into).unwrap_or(0));
                    }
                    ended.await;
                },
                (_, None) => Ok(0),
            }
        })
    }

    fn read_there(&self, into: &mut [u8]) -> io::Result<usize> {
        match self.take(into) {
            Some(count @ 1..) => Ok(count),
            _ if self.0.as_ref().is_some_and(|it| it.exit().is_none()) => {
                Err(io::ErrorKind::WouldBlock.into())
            }
            _ => Ok(0),
        }
    }
}
