//! `stop NODE` and `restart NODE`: a command that wants something of one node, and stays until it is so.

use dataflow_core::Time;
use dataflow_core::lifecycle::Wish;
use dataflow_ids::{Forcer, NodeId, NodeIndex};
use dataflow_wire::client::{ClientReply, ClientRequest, NodeRefusal};

use tokio::sync::oneshot;

use crate::actors::{ASKED_AHEAD, WAITING_AGAIN, WAITING_FIRST};
use crate::commands::say;
use crate::process::FramedSocket;
use crate::root::{Aim, RootRef};

/// Does what a command wants, and tells it how that goes. Gives whether the conversation goes on.
pub(super) async fn fulfil(
    root: &RootRef,
    socket: &FramedSocket,
    (name, wish, kill): (NodeId, Wish, Option<Forcer>),
) -> bool {
    let Some(node) = root.node_named(&name) else {
        let nodes = root.dataflow.nodes.iter();
        let known = nodes.map(|node| node.id.clone()).collect();
        return say(
            socket,
            &ClientReply::NodeRefused(NodeRefusal::Unknown { known }),
        )
        .await;
    };
    if let Some(refusal) = root.refuses(node, wish) {
        return say(socket, &ClientReply::NodeRefused(refusal)).await;
    }
    let killed = kill.filter(|_| root.memory().node(node).read().has_process());
    let wished = |heard| root.wish_message(node, wish, kill, Some(heard));
    // One that wishes without end lets itself wait. A run that has ended has nothing left to change.
    let Ok(heard) = root.handles().node(node).deliver_question(wished).await else {
        return say(socket, &ClientReply::NodeRefused(NodeRefusal::Stopping)).await;
    };
    say(socket, &ClientReply::Accepted).await && follow(root, socket, (node, killed), heard).await
}

/// Tells a command who is waited for, until the node has come where it was to go, or the command goes away.
async fn follow(
    root: &RootRef,
    socket: &FramedSocket,
    (node, killed): (NodeIndex, Option<Forcer>),
    mut heard: oneshot::Receiver<Aim>,
) -> bool {
    let mut changes = root.node_changes.subscribe();
    let mut aim = None;
    let mut says_at = root.env().now().after(WAITING_FIRST);
    let mut is_asked = false;
    loop {
        if let Some(status) = aim.and_then(|aim| root.arrived(node, aim)) {
            let status = Box::new(status);
            return say(socket, &ClientReply::NodeStands { status, killed }).await;
        }
        let wakes_at = match is_asked {
            true => says_at,
            false => Time(says_at.0.saturating_sub(ASKED_AHEAD)),
        };
        tokio::select! {
            biased;
            answer = &mut heard, if aim.is_none() => match answer {
                Ok(heard) => aim = Some(heard),
                Err(_) => {
                    say(socket, &ClientReply::Refused { reason: unheard(root, node) }).await;
                    return false;
                }
            },
            changed = changes.changed() => {
                if changed.is_err() {
                    return false;
                }
            }
            request = socket.next::<ClientRequest>() => match request {
                // It may say more when it has its answer.
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return false,
            },
            () = root.env().sleep_until(wakes_at) => {
                if !std::mem::replace(&mut is_asked, true) {
                    root.ask_before_waiting(node);
                    continue;
                }
                is_asked = false;
                says_at = root.env().now().after(WAITING_AGAIN);
                let waiting = root.waiting_for_node(node);
                if !say(socket, &ClientReply::Waiting(waiting)).await {
                    return false;
                }
            }
        }
    }
}

/// Why a wish was not heard: the node's actor could not take it twice, or the run has ended before its turn came.
fn unheard(root: &RootRef, node: NodeIndex) -> String {
    let id = &root.dataflow.nodes[node.0 as usize].id;
    format!(
        "what was wished of `{id}` was lost with the runtime's own actor for it, or with the end of the run: \
         `dataflow ps` shows how it stands, `dataflow logs {id}` why"
    )
}
