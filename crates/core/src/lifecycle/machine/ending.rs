//! What follows when a node's process is gone: a restart, a pause, or the end.

use dataflow_ids::{End, Epoch, LifeCycle, span};

use super::super::events::NodeCommand;
use super::super::exit::Exit;
use super::{FIRST, Incarnation, Intent, NodeMachine};
use crate::broken::{Rule, is_broken};
use crate::restart::{Decision, Ended};
use crate::time::Time;

impl NodeMachine {
    /// What an exit means, if it is that of the current process.
    pub(super) fn end_of(&self, epoch: Epoch, exit: Exit) -> Option<End> {
        let incarnation = self.incarnation.as_ref().filter(|_| epoch == self.epoch)?;
        Some(match self.forced.or(incarnation.killer) {
            Some(by) if incarnation.kill_sent && exit.is_by_kill() => End::Forced { by },
            _ if exit.is_success() => End::Drained,
            _ if incarnation.terminate_sent && exit.is_by_terminate() => End::Drained,
            _ => End::Crashed {
                how: exit.to_string(),
            },
        })
    }

    /// The current process is no more, or never was. Decides what follows. `before_ready` says what happened,
    /// in case the node was not ready yet.
    pub(super) fn gone(
        &mut self,
        now: Time,
        end: End,
        before_ready: String,
        commands: &mut Vec<NodeCommand>,
    ) {
        let Some(incarnation) = self.incarnation.take() else {
            return;
        };
        self.last_end = Some(end.clone());
        if self.ends_for_good() {
            let because = match &end {
                End::Drained => "stopped".into(),
                End::Forced { .. } | End::Crashed { .. } => end.to_string(),
            };
            return self.finish(end, because, commands);
        }
        let is_fresh = self.epoch == FIRST && !incarnation.ready;
        if is_fresh && self.intent == Intent::Run {
            commands.push(NodeCommand::FailUp {
                why: before_ready.clone(),
            });
            let end = End::Crashed {
                how: before_ready.clone(),
            };
            return self.finish(end, before_ready, commands);
        }
        if self.inputs_closed {
            let because = match &end {
                End::Crashed { how } => format!("{how}; not restarted: its inputs have closed"),
                End::Drained | End::Forced { .. } => "returned".into(),
            };
            return self.finish(end, because, commands);
        }
        match self.intent {
            Intent::Park => {
                let because = match &end {
                    End::Drained => "parked".into(),
                    End::Forced { .. } | End::Crashed { .. } => format!("parked; {end}"),
                };
                if is_broken(Rule::ParkedOutputsClose) {
                    commands.push(NodeCommand::CloseOutputs);
                }
                self.go(LifeCycle::Parked, Some(because), commands);
            }
            Intent::Restart => {
                if is_broken(Rule::RestartByHandCounts) {
                    let started_at = incarnation.started_at;
                    self.restarts.on_exit(now, Ended::Badly, started_at, 0);
                }
                self.start(now, Some("restarted by hand".into()), commands);
            }
            Intent::Run | Intent::Stop { .. } => self.decide(now, &incarnation, end, commands),
        }
    }

    /// Asks the restart policy about an end that nobody asked for.
    fn decide(
        &mut self,
        now: Time,
        incarnation: &Incarnation,
        end: End,
        commands: &mut Vec<NodeCommand>,
    ) {
        let (ended, what) = match &end {
            End::Crashed { how } => (Ended::Badly, how.clone()),
            End::Drained | End::Forced { .. } => (Ended::Well, "returned".into()),
        };
        let random = self.random.draw();
        match self
            .restarts
            .on_exit(now, ended, incarnation.started_at, random)
        {
            Decision::Restart { after } => {
                if is_broken(Rule::OutputsCloseAtACrash) {
                    commands.push(NodeCommand::CloseOutputs);
                }
                if is_broken(Rule::InputsCloseAtACrash) {
                    commands.push(NodeCommand::CloseInputs);
                }
                let because = format!("{what}; starts again in {}", span::plain(after));
                self.again_at = Some(now.after(after));
                self.go(LifeCycle::Backoff, Some(because), commands);
                commands.push(NodeCommand::ArmBackoff {
                    epoch: self.epoch,
                    after,
                });
            }
            Decision::GiveUp { why } => {
                let because = format!("{what}; not restarted: {why}");
                let end = End::Crashed {
                    how: because.clone(),
                };
                self.finish(end, because, commands);
            }
            Decision::Done => self.finish(end, what, commands),
        }
    }

    /// Ends a node that has no process at the moment.
    pub(super) fn finish_without_process(&mut self, why: &str, commands: &mut Vec<NodeCommand>) {
        let (end, because) = match self.last_end.clone() {
            Some(End::Crashed { how }) => {
                let because = format!("{how}; not restarted: {why}");
                (End::Crashed { how }, because)
            }
            Some(end) => (end, why.into()),
            None => (End::Drained, format!("never started: {why}")),
        };
        self.finish(end, because, commands);
    }

    /// No incarnation follows: closes the node's edges and begins to drain its outputs.
    pub(super) fn finish(&mut self, end: End, because: String, commands: &mut Vec<NodeCommand>) {
        self.end = Some(end);
        commands.push(NodeCommand::CloseInputs);
        commands.push(NodeCommand::CloseOutputs);
        self.go(LifeCycle::Draining, Some(because), commands);
    }

    pub(super) fn drained(&mut self, commands: &mut Vec<NodeCommand>) {
        let to = match self.end {
            Some(End::Drained) | None => LifeCycle::Finished,
            Some(End::Forced { .. } | End::Crashed { .. }) => LifeCycle::Failed,
        };
        let because = self.because.clone();
        self.go(to, because, commands);
    }
}
