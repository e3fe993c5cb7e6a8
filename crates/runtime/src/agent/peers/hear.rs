//! What the network says, on its way to the actors.

use dataflow_core::peers::CloseCode;

use super::entry::Stranger;
use super::serve::PeerService;
use crate::actors::PeerMessage;
use crate::agent::AgentEvent;
use crate::network::NetworkEvent;

impl PeerService {
    /// Passes on what the network says.
    pub(super) fn pass_on(&self, event: NetworkEvent) {
        let keeper = &self.keeper;
        match event {
            NetworkEvent::DialEnded { peer, dial, result } => {
                let link = result.as_ref().ok().map(|(facts, _)| facts.link);
                let entry = keeper.entry(&peer);
                let told = entry.as_ref().and_then(|entry| {
                    let ended = entry.change_links(|links| links.dial_ended(dial, result));
                    ended.map(|ended| (entry, ended))
                });
                match (told, link) {
                    (Some((entry, (dial, result))), link) => {
                        if let Some(link) = link {
                            keeper.owns(entry, link);
                        }
                        (entry.handle()).fact(PeerMessage::DialEnded { dial, result });
                    }
                    // Nobody waits for it any more.
                    (None, Some(link)) => keeper.network().close(link, CloseCode::Superseded),
                    (None, None) => {}
                }
            }
            NetworkEvent::Accepted { facts, hello } => match keeper.entry(&hello.peer) {
                // The file may have changed while the other side took its time over its hello: a key that was taken
                // out of it is good for nothing from that moment on.
                Some(entry)
                    if !entry.is_retired() && keeper.trusted().admits(&hello, facts.from) =>
                {
                    keeper.owns(&entry, facts.link);
                    entry.change_links(|links| links.accepted(facts.clone(), hello));
                    entry.handle().fact(PeerMessage::Accepted(facts));
                }
                _ => (keeper.network()).close(facts.link, CloseCode::Reconfigured),
            },
            NetworkEvent::LinkEnded { link, end } => {
                if let Some(entry) = keeper.owner(link) {
                    entry.change_links(|links| links.link_ended(link, end.clone()));
                    entry.handle().fact(PeerMessage::LinkEnded { link, end });
                }
            }
            NetworkEvent::Answered {
                link,
                sequence,
                round_trip,
                control_silent_for,
            } => {
                if let Some(entry) = keeper.owner(link) {
                    let reading = keeper.network().reading(link);
                    entry.change_links(|links| {
                        links.answered(link, sequence, round_trip, control_silent_for, reading);
                    });
                    entry.handle().fact(PeerMessage::Answered {
                        link,
                        sequence,
                        round_trip,
                        control_silent_for,
                    });
                }
            }
            NetworkEvent::Stranger {
                from,
                peer,
                rejection,
                more,
            } => match peer.as_ref().and_then(|peer| keeper.entry(peer)) {
                Some(entry) => {
                    entry.was_refused(Stranger {
                        from,
                        rejection: rejection.clone(),
                        more,
                    });
                    // When it finds no room, another one like it was told a moment ago.
                    let _ = entry.handle().tell(PeerMessage::Stranger(rejection));
                }
                None => keeper.tell_stranger(Some(from), peer, rejection, more),
            },
            NetworkEvent::Trouble(trouble) => {
                match &trouble {
                    Some(what) => tracing::warn!(%what, "network in trouble"),
                    None => tracing::info!("network out of trouble"),
                }
                keeper.change_settings(|settings| settings.trouble.clone_from(&trouble));
                keeper.tell(AgentEvent::Trouble(trouble));
            }
        }
    }
}
