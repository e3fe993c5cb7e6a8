//! What a person wants of one node while the dataflow goes on: that it pauses, that it is started again.

use dataflow_ids::{Forcer, LifeCycle};

use super::super::events::{Kill, NodeCommand, Refusal, Wish};
use super::{Intent, NodeMachine};
use crate::time::Time;

impl NodeMachine {
    /// Why a wish would change nothing; `None` when it comes true unless something happens before that.
    #[must_use]
    pub fn refuses(&self, wish: Wish) -> Option<Refusal> {
        if self.end.is_some() {
            return Some(Refusal::Ended);
        }
        if self.ends_for_good() {
            return Some(Refusal::Stopping);
        }
        let is_before_its_start = matches!(
            self.state,
            LifeCycle::Declared | LifeCycle::Placed | LifeCycle::Downloading
        );
        (wish == Wish::Park && is_before_its_start).then_some(Refusal::NotStarted)
    }

    pub(super) fn park(&mut self, kill: Option<Kill>, commands: &mut Vec<NodeCommand>) {
        if self.refuses(Wish::Park).is_some() {
            return;
        }
        if self.incarnation.is_some() {
            self.end_this_process(Intent::Park, "being parked", kill, commands);
        } else if self.state == LifeCycle::Backoff {
            self.go(LifeCycle::Parked, Some("parked".into()), commands);
        }
    }

    pub(super) fn restart(
        &mut self,
        now: Time,
        kill: Option<Kill>,
        commands: &mut Vec<NodeCommand>,
    ) {
        if self.refuses(Wish::Restart).is_some() {
            return;
        }
        match self.state {
            LifeCycle::Backoff | LifeCycle::Parked => {
                self.start(now, Some("restarted by hand".into()), commands);
            }
            // It is being started already, unless a person has had enough of waiting for that.
            LifeCycle::Starting if self.killer(kill).is_none() => {}
            _ if self.incarnation.is_some() => {
                self.end_this_process(Intent::Restart, "being restarted by hand", kill, commands);
            }
            // It has not been started yet, and will be.
            _ => {}
        }
    }

    fn end_this_process(
        &mut self,
        intent: Intent,
        because: &str,
        kill: Option<Kill>,
        commands: &mut Vec<NodeCommand>,
    ) {
        self.intent = intent;
        let killer = self.killer(kill);
        if let Some(incarnation) = &mut self.incarnation {
            incarnation.killer = incarnation.killer.or(killer);
        }
        self.go_stopping(because, commands);
        self.pursue(commands);
    }

    /// Who kills the current incarnation.
    fn killer(&self, kill: Option<Kill>) -> Option<Forcer> {
        kill.filter(|kill| kill.epoch == self.epoch)
            .map(|kill| kill.by)
    }
}
