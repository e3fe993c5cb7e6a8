//! Any value of what an agent is asked and answers.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStringExt;
use std::time::{Duration, UNIX_EPOCH};

use dataflow_ids::{BootId, ClusterName, Fingerprint, LifeCycle, PeerId, PeerState};
use dataflow_wire::client::{ClientReply, ClientRequest, OnLeave, RunNews, UpRefusal, UpRequest};
use dataflow_wire::event::RunEvent;
use dataflow_wire::log::LogStream;
use dataflow_wire::peers::{Offer, PeerStatus, PeersStatus};
use dataflow_wire::status::Phase;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::models::model_status;
use super::status::{report, waiting};
use super::{dataflow_name, duration, epoch, name, node_id, text};

/// What need not be text.
fn os_text() -> impl Strategy<Value = OsString> {
    vec(any::<u8>(), 0..40).prop_map(OsString::from_vec)
}

fn up() -> impl Strategy<Value = UpRequest> {
    (
        (text(), os_text(), vec((os_text(), os_text()), 0..6)),
        (option::of(duration()), option::of(any::<u64>())),
        (option::of(any::<u64>()), option::of(text())),
        (any::<bool>(), select(vec![OnLeave::Stop, OnLeave::GoOn])),
    )
        .prop_map(
            |(
                (file, folder, environment),
                (force_after, log_bytes_max),
                (fetch_bytes_per_second_max, terminal),
                (wants_lines, on_leave),
            )| UpRequest {
                file: file.into(),
                folder,
                environment,
                force_after,
                log_bytes_max,
                fetch_bytes_per_second_max,
                terminal: terminal.map(Into::into),
                wants_lines,
                on_leave,
            },
        )
}

pub(super) fn requests() -> impl Strategy<Value = ClientRequest> {
    prop_oneof![
        Just(ClientRequest::Peers),
        up().prop_map(|up| ClientRequest::Up(Box::new(up))),
    ]
}

fn refusal() -> impl Strategy<Value = UpRefusal> {
    prop_oneof![
        (dataflow_name(), any::<u32>(), text()).prop_map(|(name, pid, file)| {
            let file = file.into();
            UpRefusal::RunsAlready { name, pid, file }
        }),
        Just(UpRefusal::Interrupted),
        Just(UpRefusal::AgentEnds),
        text().prop_map(|why| UpRefusal::Input { why }),
        text().prop_map(|why| UpRefusal::Failure { why }),
    ]
}

fn news() -> impl Strategy<Value = RunNews> {
    let stream = select(vec![
        LogStream::Stdout,
        LogStream::Stderr,
        LogStream::Runtime,
    ]);
    // Of what the kernel's clocks can say.
    let at = (0..1_u64 << 33, 0..1_000_000_000_u32);
    let states = (
        select(LifeCycle::ALL.to_vec()),
        select(LifeCycle::ALL.to_vec()),
    );
    let phases = vec![
        Phase::Starting,
        Phase::Running,
        Phase::Stopping,
        Phase::Ended,
    ];
    let events = prop_oneof![
        (node_id(), stream, at, text()).prop_map(|(node, stream, (seconds, ns), line)| {
            let at = UNIX_EPOCH + Duration::new(seconds, ns);
            RunEvent::Log {
                node,
                stream,
                at,
                line,
            }
        }),
        (node_id(), states, epoch(), option::of(text())).prop_map(
            |(node, (from, to), epoch, because)| RunEvent::State {
                node,
                from,
                to,
                epoch,
                because,
            }
        ),
        model_status().prop_map(|status| RunEvent::Model(Box::new(status))),
        select(phases).prop_map(RunEvent::Phase),
        vec(waiting(), 0..4).prop_map(RunEvent::Waiting),
        report().prop_map(|report| RunEvent::Ended(Box::new(report))),
    ];
    prop_oneof![
        events.prop_map(RunNews::Event),
        any::<u64>().prop_map(RunNews::Dropped),
    ]
}

fn address() -> impl Strategy<Value = SocketAddr> {
    (any::<std::net::IpAddr>(), any::<u16>()).prop_map(SocketAddr::from)
}

fn peer_id() -> impl Strategy<Value = PeerId> {
    name().prop_map(|name| PeerId::new(name).unwrap())
}

fn fingerprint() -> impl Strategy<Value = Fingerprint> {
    any::<[u8; 32]>().prop_map(Fingerprint)
}

fn offer() -> impl Strategy<Value = Offer> {
    (
        option::of(any::<u64>()),
        option::of(any::<u32>()),
        option::of(any::<bool>()),
        proptest::collection::btree_map(text(), text(), 0..3),
    )
        .prop_map(|(memory_bytes, cpus, gpu, labels)| Offer {
            memory_bytes,
            cpus,
            gpu,
            labels: labels.into_iter().collect::<BTreeMap<_, _>>(),
        })
}

fn peer_status() -> impl Strategy<Value = PeerStatus> {
    let state = select(vec![
        PeerState::Healthy,
        PeerState::Degraded,
        PeerState::Unreachable,
        PeerState::Rejected,
    ]);
    (
        (peer_id(), address(), vec(fingerprint(), 0..2)),
        (state, duration(), text(), option::of(text()), any::<u64>()),
        (
            option::of(duration()),
            option::of(any::<u32>()),
            option::of(address()),
        ),
        (offer(), option::of(offer())),
        (option::of(text()), option::of(any::<u64>())),
    )
        .prop_map(
            |(
                (peer, address, fingerprints),
                (state, state_for, because, remedy, transitions),
                (round_trip, loss_ppm, connected),
                (declared, found),
                (version, boot),
            )| PeerStatus {
                peer,
                address,
                fingerprints,
                state,
                state_for,
                because,
                remedy,
                transitions,
                round_trip,
                loss_ppm,
                connected,
                declared,
                found,
                version,
                boot: boot.map(BootId),
            },
        )
}

fn peers_status() -> impl Strategy<Value = PeersStatus> {
    (
        (peer_id(), address(), fingerprint(), any::<u64>()),
        (text(), duration(), name()),
        (offer(), offer()),
        (text(), option::of(text()), vec(text(), 0..3)),
        vec(peer_status(), 0..4),
    )
        .prop_map(
            |(
                (this, address, fingerprint, boot),
                (version, up_for, cluster),
                (found, declared),
                (file, file_problem, warnings),
                peers,
            )| PeersStatus {
                this,
                address,
                fingerprint,
                boot: BootId(boot),
                version,
                up_for,
                cluster: ClusterName::new(cluster).unwrap(),
                found,
                declared,
                file: file.into(),
                file_problem,
                warnings,
                peers,
            },
        )
}

pub(super) fn replies() -> impl Strategy<Value = ClientReply> {
    prop_oneof![
        peers_status().prop_map(|status| ClientReply::Peers(Box::new(status))),
        refusal().prop_map(ClientReply::UpRefused),
        text().prop_map(|run| ClientReply::Begun { run }),
        vec(news(), 0..4).prop_map(ClientReply::News),
        (text(), any::<bool>())
            .prop_map(|(why, has_ended)| ClientReply::BrokeOff { why, has_ended }),
    ]
}
