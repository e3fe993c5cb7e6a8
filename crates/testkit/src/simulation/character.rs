//! What each incarnation of a node does of its own accord, in fair weather and in foul.

use std::time::Duration;

use dataflow_core::lifecycle::Exit;
use dataflow_descriptor::Node;
use dataflow_ids::Epoch;

use super::draw::Draw;
use super::plan::{RunPlan, Weather};
use crate::process::{
    Acknowledgements, Afterwards, AtTerminate, Behaviour, CrashPoint, Library, Lingers, Releases,
};

/// From this incarnation on nothing crashes by itself: every run comes to its end.
const TAME: Epoch = Epoch(6);

/// What this incarnation does.
pub(super) fn behaviour(plan: &RunPlan, node: &Node, epoch: Epoch, draw: &mut Draw) -> Behaviour {
    let is_rough = plan.weather != Weather::Calm && epoch < TAME;
    let mut behaviour = tidy(node, draw);
    if is_rough {
        roughen(&mut behaviour, epoch, draw);
    }
    let has_cycle = plan
        .dataflow
        .edges
        .iter()
        .any(|edge| edge.source.index >= edge.target.index);
    if has_cycle && node.inputs.is_empty() && draw.percent(60) {
        // So that the cycle comes to rest by itself.
        behaviour.afterwards = Afterwards::Returns;
        behaviour.messages = behaviour.messages.min(10);
        behaviour.crash = CrashPoint::Never;
    }
    if plan.stuck == Some(node.index) {
        behaviour.crash = CrashPoint::Never;
        behaviour.returns_after = None;
        if draw.percent(50) {
            behaviour.lingers = Lingers::ForEver;
            behaviour.at_terminate = AtTerminate::Ignores;
        } else {
            behaviour.releases = Releases::Never;
            behaviour.holds_one_in = 1;
            behaviour.chunk_one_in = 1;
        }
    }
    behaviour
}

/// A process that does its work and ends when it should.
fn tidy(node: &Node, draw: &mut Draw) -> Behaviour {
    let has_ports = !node.inputs.is_empty() || !node.outputs.is_empty();
    let library = if has_ports || draw.percent(40) {
        Library::Used
    } else {
        Library::Unused
    };
    let chunk_bytes_max = node.output_memory_bytes.map_or(2048, |bytes| bytes / 4);
    Behaviour {
        library,
        connects_after: draw.millis(0, 20),
        ready_after: draw.millis(0, 20),
        messages: draw.one_of(&[0, 3, 10, 30, 30, 100, 200]),
        afterwards: draw.one_of(&[Afterwards::Returns, Afterwards::Returns, Afterwards::Waits]),
        think_max: Duration::from_millis(draw.one_of(&[0, 1, 2, 5, 20, 50, 300])),
        chunk_one_in: draw.one_of(&[0, 1, 2, 3]),
        chunk_bytes_max: chunk_bytes_max as usize,
        holds_one_in: draw.one_of(&[0, 0, 1, 2, 4]),
        hold_max: Duration::from_millis(draw.one_of(&[1, 10, 100, 1000, 3000])),
        releases: Releases::InTime,
        lingers: Lingers::For(Duration::from_millis(draw.one_of(&[0, 0, 0, 5, 50]))),
        last_words: draw.one_of(&[0, 0, 1, 3]),
        exit: Exit::Code(0),
        at_terminate: draw.one_of(&[
            AtTerminate::Dies,
            AtTerminate::Dies,
            AtTerminate::Returns(0),
            AtTerminate::Returns(143),
            AtTerminate::Ignores,
        ]),
        ..Behaviour::default()
    }
}

fn roughen(behaviour: &mut Behaviour, epoch: Epoch, draw: &mut Draw) {
    if draw.percent(70) {
        let (soon, later) = (draw.between(4, 40) as u32, draw.between(20, 400) as u32);
        behaviour.crash = draw.one_of(&[
            CrashPoint::BeforeHello,
            CrashPoint::BeforeReady,
            CrashPoint::AtStep(soon),
            CrashPoint::AtStep(later),
            CrashPoint::Holding,
            CrashPoint::Holding,
            CrashPoint::Sending,
            CrashPoint::Blocked,
            CrashPoint::Ending,
        ]);
        // A first incarnation that never becomes ready ends the run at once: not too often.
        let is_early = matches!(
            behaviour.crash,
            CrashPoint::BeforeHello | CrashPoint::BeforeReady
        );
        if is_early && epoch == Epoch(1) && draw.percent(90) {
            behaviour.crash = CrashPoint::AtStep(draw.between(5, 60) as u32);
        }
        behaviour.crash_exit = draw.one_of(&[
            Exit::Code(1),
            Exit::Code(3),
            Exit::Signal(11),
            Exit::Signal(9),
            Exit::Code(0),
        ]);
    }
    if draw.percent(10) {
        behaviour.exit = Exit::Code(draw.between(1, 3) as i32);
    }
    if draw.percent(10) {
        behaviour.returns_after = Some(draw.between(1, 20));
    }
    if draw.percent(15) {
        behaviour.hold_max = Duration::from_secs(draw.between(10, 180));
    }
    if draw.percent(15) {
        behaviour.releases = Releases::WithItsEnd;
    }
    if draw.percent(20) {
        behaviour.stalls_one_in = draw.between(10, 200);
        behaviour.stall_max = draw.one_of(&[100, 1_000, 20_000].map(Duration::from_millis));
    }
    if draw.percent(6) {
        behaviour.connects_after = draw.millis(100, 5_000);
    }
    if draw.percent(6) {
        behaviour.ready_after = draw.millis(100, 5_000);
    }
    if draw.percent(15) {
        behaviour.lingers = Lingers::For(draw.millis(1_000, 30_000));
    }
    if draw.percent(60) {
        behaviour.acknowledgements = Acknowledgements {
            lost: draw.one_of(&[0, 1, 2, 2, 4]),
            repeated: draw.one_of(&[0, 2, 4]),
            late: draw.one_of(&[0, 2, 4]),
            stale: draw.one_of(&[0, 1, 2]),
        };
        // Somebody has to hear that it is over: not all of them get lost.
        if behaviour.acknowledgements.lost == 1 {
            behaviour.acknowledgements.lost = 3;
        }
    }
}
