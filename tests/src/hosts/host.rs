//! One machine of a network: its card, its cable, and what runs on it.

use std::cell::Cell;
use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::sync::Arc;

use super::leftovers::{OWNER, owner};
use super::namespace::Namespace;
use crate::command::{Command, Running};

/// A card that nobody has: the switch leads what is sent to it nowhere.
const NOBODY: &str = "02:00:00:00:de:ad";

/// A machine in a network. It is gone, with its cable, when it is dropped and nothing runs on it.
#[derive(Debug)]
pub struct Host {
    switch: Arc<Namespace>,
    namespace: Namespace,
    number: u8,
    v4: Cell<Ipv4Addr>,
    v6: Ipv6Addr,
}

impl Host {
    pub(super) fn plugged_into(
        switch: &Arc<Namespace>,
        number: u8,
        v4: Ipv4Addr,
        v6: Ipv6Addr,
    ) -> Host {
        let host = Host {
            switch: Arc::clone(switch),
            namespace: Namespace::new().expect("another one could be made"),
            number,
            v4: Cell::new(v4),
            v6,
        };
        let port = host.port();
        host.at_switch(format!(
            "link add {port} type veth peer name eth0 address {} netns {}",
            host.card(),
            host.namespace.path().display()
        ));
        host.at_switch(format!("link set {port} master switch up"));
        host.ip("link set lo up");
        host.ip(format!("addr add {v4}/24 dev eth0"));
        host.ip(format!("addr add {v6}/64 dev eth0 nodad"));
        host.ip("link set eth0 up");
        host
    }

    fn port(&self) -> String {
        format!("port{}", self.number)
    }

    fn card(&self) -> String {
        format!("02:00:00:00:00:{:02x}", self.number)
    }

    #[track_caller]
    fn ip(&self, arguments: impl Display) {
        let done = self.namespace.ip(&arguments.to_string());
        done.unwrap_or_else(|error| panic!("host {}: {error}", self.number));
    }

    #[track_caller]
    fn at_switch(&self, arguments: impl Display) {
        let done = self.switch.ip(&arguments.to_string());
        done.unwrap_or_else(|error| panic!("the switch: {error}"));
    }

    /// Its IPv4 address at this moment.
    pub fn v4(&self) -> IpAddr {
        self.v4.get().into()
    }

    /// Its IPv6 address.
    pub fn v6(&self) -> IpAddr {
        self.v6.into()
    }

    /// Does something on a thread that is on this host: the threads, sockets and processes that it makes are there.
    pub fn inside<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        self.namespace.inside(act)
    }

    /// A socket of UDP on this host, of its IPv4 address and any port.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn socket(&self) -> UdpSocket {
        let address = (self.v4(), 0);
        self.inside(|| UdpSocket::bind(address))
            .expect("a host has free ports")
    }

    /// Starts a program on this host.
    ///
    /// # Panics
    ///
    /// As [`Command::start`].
    pub fn start(&self, command: Command) -> Running {
        let command = command.env(OWNER, owner());
        self.inside(move || command.start())
    }

    /// Pulls the cable: what is sent in either direction is lost, and nobody is told.
    pub fn pull_cable(&self) {
        self.at_switch(format!("link set {} down", self.port()));
    }

    /// Puts the cable in again.
    pub fn plug_in(&self) {
        self.at_switch(format!("link set {} up", self.port()));
    }

    /// Sets its card down: whoever sends from here is told that there is no way.
    pub fn card_down(&self) {
        self.ip("link set eth0 down");
    }

    /// Sets its card up again, with the addresses that it had.
    pub fn card_up(&self) {
        self.ip("link set eth0 up");
        // The kernel takes this one away with the card.
        self.ip(format!("addr replace {}/64 dev eth0 nodad", self.v6));
    }

    /// Gives it another IPv4 address, of the same network, in the place of the one that it had.
    ///
    /// # Panics
    ///
    /// When it cannot have that one.
    pub fn move_to(&self, v4: Ipv4Addr) {
        self.ip(format!("addr del {}/24 dev eth0", self.v4.get()));
        self.ip(format!("addr add {v4}/24 dev eth0"));
        self.v4.set(v4);
    }

    /// From now on what it sends to `other` is lost on the way. What `other` sends to it arrives.
    pub fn lose_what_goes_to(&self, other: &Host) {
        for address in [other.v4(), other.v6()] {
            self.ip(format!(
                "neigh replace {address} lladdr {NOBODY} dev eth0 nud permanent"
            ));
        }
        // The other need not ask where this one is: the answer would be lost too.
        for address in [self.v4(), self.v6()] {
            other.ip(format!(
                "neigh replace {address} lladdr {} dev eth0 nud permanent",
                self.card()
            ));
        }
    }

    /// What it sends to `other` arrives again.
    pub fn deliver_what_goes_to(&self, other: &Host) {
        for (here, there) in [(self, other), (other, self)] {
            for address in [there.v4(), there.v6()] {
                here.ip(format!("neigh del {address} dev eth0"));
            }
        }
    }
}
