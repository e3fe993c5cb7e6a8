//! What a file of peers says about the machine that it is checked on.

use super::peer::DraftPeer;
use crate::Code;
use crate::check::fields::list;
use crate::check::{Checker, Report};
use crate::diagnostic::Place;
use crate::nearest::nearest;
use crate::peers::ThisMachine;

/// Peers that a help line names at most.
const LISTED_MAX: usize = 10;

const GB_BYTES: f64 = 1024.0 * 1024.0 * 1024.0;
/// The part of the memory that the system itself may keep back before a machine has less than people say of it: who has
/// built in 16 GB finds about 15.5.
const KEPT_BACK: f64 = 0.1;

impl Checker<'_> {
    /// Compares the entries with the machine; `place` is that of the list.
    pub(super) fn topology(
        &mut self,
        place: Place,
        drafts: &[Option<DraftPeer>],
        machine: &ThisMachine<'_>,
    ) {
        let whole = drafts.iter().flatten();
        let Some(this) = whole.clone().find(|draft| draft.peer.id == machine.id) else {
            // An entry with other errors may be the one.
            if drafts.iter().all(Option::is_some) {
                self.this_not_listed(place, drafts, machine);
            }
            return;
        };
        let others = whole.filter(|draft| draft.peer.id != machine.id);
        for other in others {
            self.leads_here(this, other, machine);
        }
        let ip = this.peer.address.ip();
        if !(machine.has_address)(ip) {
            let port = this.peer.address.port();
            let every = match ip.is_ipv4() {
                true => "0.0.0.0",
                false => "[::]",
            };
            self.report(
                Report::warning(
                    Code::AddressElsewhere,
                    this.address_place,
                    format!("this machine does not have the address {ip}"),
                )
                .help(format!(
                    "the others look for `{}` there: correct it (`ip address` lists those of this machine), or, where a \
                     router forwards the port, let the agent listen with `--listen {every}:{port}`",
                    machine.id
                )),
            );
        }
        self.declared(this, machine);
    }

    fn this_not_listed(
        &mut self,
        place: Place,
        drafts: &[Option<DraftPeer>],
        machine: &ThisMachine<'_>,
    ) {
        let ids: Vec<&str> = (drafts.iter().flatten())
            .map(|draft| draft.peer.id.as_str())
            .collect();
        let help = match nearest(machine.id.as_str(), ids.iter().copied()) {
            Some(near) => format!("did you mean `--node {near}`?"),
            None => {
                let shown = list(&ids[..ids.len().min(LISTED_MAX)]);
                let more = match ids.len().saturating_sub(LISTED_MAX) {
                    0 => String::new(),
                    more => format!(", and {more} more"),
                };
                format!(
                    "its peers are {shown}{more}; add `- id: {}` with the address at which the others reach it",
                    machine.id
                )
            }
        };
        self.report(
            Report::error(
                Code::ThisNotListed,
                place,
                format!(
                    "the file has no peer `{}`, which this machine is to be",
                    machine.id
                ),
            )
            .help(help),
        );
    }

    fn leads_here(&mut self, this: &DraftPeer, other: &DraftPeer, machine: &ThisMachine<'_>) {
        let (here, there) = (this.peer.address, other.peer.address);
        // On loopback, several agents of one machine are told apart by all of their address; and two entries of one
        // IP are seen without knowing the machine.
        let told_apart = here.ip().is_loopback() && there.ip().is_loopback();
        if told_apart || here.ip() == there.ip() || !(machine.has_address)(there.ip()) {
            return;
        }
        let message = format!(
            "`{}` is at {}, which is this machine, `{}`",
            other.peer.id,
            there.ip(),
            machine.id
        );
        let report = if here.port() == there.port() {
            Report::error(Code::LeadsHere, other.address_place, message)
                .help("two entries lead to one agent: correct its address, or remove it")
        } else {
            Report::warning(Code::SharedHost, other.address_place, message).help(
                "a machine has one agent, and what two peers declare of one machine counts twice: correct its address, \
                 or remove it",
            )
        };
        self.report(report.related(this.address_place, format!("`{}` is here", machine.id)));
    }

    fn declared(&mut self, this: &DraftPeer, machine: &ThisMachine<'_>) {
        let declared = &this.peer.capabilities;
        let places = &this.capability_places;
        let mut beyond = |place: Option<Place>, declares: String, has: String| {
            self.report(
                Report::warning(
                    Code::DeclaredBeyondFound,
                    place.unwrap_or(this.id_place),
                    format!(
                        "`{}` declares {declares}, and this machine has {has}",
                        machine.id
                    ),
                )
                .help("nodes are placed by what is declared: correct it, or leave it out"),
            );
        };
        if let (Some(said), Some(found)) = (declared.memory_bytes, machine.memory_bytes)
            && said as f64 * (1.0 - KEPT_BACK) > found as f64
        {
            beyond(places.memory, gigabytes(said), gigabytes(found));
        }
        if let (Some(said), Some(found)) = (declared.cpus, machine.cpus)
            && said > found
        {
            beyond(places.cpus, format!("{said} cpus"), found.to_string());
        }
        if declared.gpu == Some(true) && machine.gpu == Some(false) {
            beyond(places.gpu, "a GPU".to_owned(), "none".to_owned());
        }
    }
}

/// `15.5 GB of memory`.
fn gigabytes(bytes: u64) -> String {
    format!("{:.1} GB of memory", bytes as f64 / GB_BYTES)
}
