//! `address` of a peer: IP:PORT or [v6]:PORT, where an agent can listen and be reached.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

use super::Seen;
use crate::Code;
use crate::check::{Checker, Report};
use crate::yaml::{Value, shortened};

const SYNTAX_HELP: &str = "write IP:PORT, such as `192.168.1.10:50051` or `[2001:db8::10]:50051`";
const PORT_HELP: &str = "a port is 1 to 65535";
/// The port in examples.
const EXAMPLE_PORT: u16 = 50051;

/// What is wrong with a text that should be an address, and what to do about it.
#[derive(Debug, PartialEq, Eq)]
struct Fault {
    code: Code,
    /// After "… cannot be `text`: ".
    why: String,
    help: String,
}

impl Fault {
    fn new(code: Code, why: impl Into<String>, help: impl Into<String>) -> Fault {
        Fault {
            code,
            why: why.into(),
            help: help.into(),
        }
    }
}

impl Checker<'_> {
    /// Where a peer listens; `owner` names it.
    pub(super) fn peer_address(
        &mut self,
        value: &Value,
        owner: &str,
        seen: &mut Seen,
    ) -> Option<SocketAddr> {
        let what = format!("`address` of {owner}");
        let Some(text) = value.as_text() else {
            self.wrong_type(value, &what, "a text", Some(SYNTAX_HELP.to_owned()));
            return None;
        };
        let address = match read(text) {
            Ok(address) => address,
            Err(fault) => {
                self.report(
                    Report::error(
                        fault.code,
                        value.place,
                        format!("{what} cannot be `{}`: {}", shortened(text), fault.why),
                    )
                    .help(fault.help),
                );
                return None;
            }
        };
        let place = value.used_at;
        if let Some(first) = seen.addresses.get(&address) {
            self.report(
                Report::error(
                    Code::DuplicateAddress,
                    place,
                    format!("two peers have the address {address}"),
                )
                .related(*first, "the first is here")
                .help("at one address one agent answers: correct one, or remove it"),
            );
            return Some(address);
        }
        seen.addresses.insert(address, place);
        if !address.ip().is_loopback() {
            if let Some((other, first)) = seen.hosts.get(&address.ip()) {
                self.report(
                    Report::warning(
                        Code::SharedHost,
                        place,
                        format!("{owner} has the same IP as {other}: {}", address.ip()),
                    )
                    .related(*first, "the other is here")
                    .help(
                        "a machine has one agent, and what two peers declare of one machine counts twice; it is right \
                         only where ports are forwarded to several machines",
                    ),
                );
            } else {
                seen.hosts.insert(address.ip(), (owner.to_owned(), place));
            }
        }
        Some(address)
    }
}

/// Reads an address where a peer can be. An IPv4 address that is written as an IPv6 one becomes what it is.
fn read(text: &str) -> Result<SocketAddr, Fault> {
    let written: SocketAddr = text.parse().map_err(|_| why_no_address(text))?;
    let address = match written {
        SocketAddr::V6(six) if six.ip().to_ipv4_mapped().is_none() => {
            SocketAddr::V6(SocketAddrV6::new(*six.ip(), six.port(), 0, six.scope_id()))
        }
        _ => SocketAddr::new(written.ip().to_canonical(), written.port()),
    };
    if address.port() == 0 {
        return Err(Fault::new(
            Code::BadPort,
            "nobody can be reached at the port 0",
            PORT_HELP,
        ));
    }
    usable(&written, &address)?;
    Ok(address)
}

fn usable(written: &SocketAddr, address: &SocketAddr) -> Result<(), Fault> {
    let unusable = |why: &str, help: &str| Err(Fault::new(Code::UnusableAddress, why, help));
    let ip = address.ip();
    if ip.is_unspecified() {
        return unusable(
            "it stands for all addresses of a machine, and is none where others reach it",
            "write the IP at which the others reach it; `ip address` lists those of a machine",
        );
    }
    if ip.is_multicast() {
        return unusable(
            "it is a multicast address, which belongs to no machine",
            "write the IP of the machine; `ip address` lists those of a machine",
        );
    }
    match ip {
        IpAddr::V4(four) if four.is_broadcast() => unusable(
            "it is the broadcast address, which belongs to no machine",
            "write the IP of the machine; `ip address` lists those of a machine",
        ),
        IpAddr::V4(four) if four.octets()[0] == 0 => unusable(
            "addresses that begin with 0 belong to no machine",
            "write the IP of the machine; `ip address` lists those of a machine",
        ),
        IpAddr::V6(six) => {
            let scope = match written {
                SocketAddr::V6(written) => written.scope_id(),
                SocketAddr::V4(_) => 0,
            };
            match (is_link_local(six), scope) {
                (true, 0) => unusable(
                    "it is a link-local address, and which link is meant is not said",
                    "add the number of the interface, as `ip link` shows it: `[fe80::1%2]:50051`; better, use another \
                     address, since the number differs from machine to machine",
                ),
                (false, 1..) => unusable(
                    "only a link-local address has a `%` and an interface",
                    "remove the `%` and what follows it",
                ),
                _ => Ok(()),
            }
        }
        IpAddr::V4(_) => Ok(()),
    }
}

fn is_link_local(ip: Ipv6Addr) -> bool {
    ip.segments()[0] & 0xffc0 == 0xfe80
}

/// Why `text` is no address.
fn why_no_address(text: &str) -> Fault {
    let bad = |why: &str| Fault::new(Code::BadAddress, why, SYNTAX_HELP);
    if text.trim().is_empty() {
        return bad("it is empty");
    }
    if text.trim() != text {
        return Fault::new(
            Code::BadAddress,
            "there are blanks around it",
            format!("write `{}`", shortened(text.trim())),
        );
    }
    if let Some((scheme, rest)) = text.split_once("://") {
        return Fault::new(
            Code::BadAddress,
            "it is a URL",
            format!(
                "write IP:PORT, without `{}://` and without a path: `{}`",
                shortened(scheme),
                shortened(rest.split('/').next().unwrap_or_default())
            ),
        );
    }
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Fault::new(
            Code::BadPort,
            match ip {
                IpAddr::V6(_) if !text.starts_with('[') => {
                    "an IPv6 address stands in brackets, and a port follows"
                }
                _ => "it has no port",
            },
            format!("write `{}`", SocketAddr::new(ip, EXAMPLE_PORT)),
        );
    }
    if let Some(rest) = text.strip_prefix('[') {
        return why_no_v6(rest);
    }
    let Some((host, port)) = text.rsplit_once(':') else {
        return if looks_like_v4(text) {
            bad(&why_no_v4(text))
        } else {
            no_name(text)
        };
    };
    if host.is_empty() {
        return bad("it has no IP");
    }
    if host.contains(':') {
        return Fault::new(
            Code::BadAddress,
            "an IPv6 address stands in brackets",
            format!("write `[{}]:{}`", shortened(host), shortened(port)),
        );
    }
    if host.parse::<IpAddr>().is_ok() {
        return why_no_port(port);
    }
    if looks_like_v4(host) {
        bad(&why_no_v4(host))
    } else {
        no_name(host)
    }
}

/// What is wrong with `rest`, which followed a `[`.
fn why_no_v6(rest: &str) -> Fault {
    let bad = |why: &str| Fault::new(Code::BadAddress, why, SYNTAX_HELP);
    let Some((inside, after)) = rest.split_once(']') else {
        return bad("the bracket is not closed");
    };
    if let Some((ip, scope)) = inside.split_once('%')
        && ip.parse::<Ipv6Addr>().is_ok()
        && scope.parse::<u32>().is_err()
    {
        return Fault::new(
            Code::BadAddress,
            "an interface is given by its number",
            format!("write the number that `ip link` shows for it: `[{ip}%2]:{EXAMPLE_PORT}`"),
        );
    }
    let ip = inside.split('%').next().unwrap_or_default();
    if ip.parse::<Ipv6Addr>().is_err() {
        return bad(&format!("`{}` is no IPv6 address", shortened(ip)));
    }
    match after.strip_prefix(':') {
        Some(port) => why_no_port(port),
        None => Fault::new(
            Code::BadPort,
            "it has no port",
            format!("write `[{}]:{EXAMPLE_PORT}`", shortened(inside)),
        ),
    }
}

fn why_no_port(port: &str) -> Fault {
    let why = if port.is_empty() {
        "it has no port".to_owned()
    } else {
        format!("`{}` is no port", shortened(port))
    };
    Fault::new(Code::BadPort, why, PORT_HELP)
}

fn looks_like_v4(text: &str) -> bool {
    text.contains('.')
        && text
            .chars()
            .all(|character| character.is_ascii_digit() || character == '.')
}

fn why_no_v4(text: &str) -> String {
    let parts: Vec<&str> = text.split('.').collect();
    if parts.len() != 4 {
        return format!(
            "`{}` has {} numbers, and an IPv4 address has 4",
            shortened(text),
            parts.len()
        );
    }
    let wrong = parts.iter().find(|part| part.parse::<u8>().is_err());
    match wrong {
        Some(&"") => format!("`{}` lacks a number", shortened(text)),
        Some(part) => format!("`{}` is above 255", shortened(part)),
        None => "a number of it begins with 0, which some read as octal".to_owned(),
    }
}

fn no_name(host: &str) -> Fault {
    // Nobody should be shown a command to copy that does something else.
    let a_name = host
        .chars()
        .all(|sign| sign.is_ascii_alphanumeric() || matches!(sign, '.' | '-' | '_'))
        && !host.starts_with('-');
    let help = match a_name {
        true => format!(
            "names are not looked up: write the machine's IP; `getent hosts {}` may tell it",
            shortened(host)
        ),
        false => SYNTAX_HELP.to_owned(),
    };
    Fault::new(
        Code::BadAddress,
        format!("`{}` is no IP", shortened(host)),
        help,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_an_ip_and_a_port() {
        for (text, same) in [
            ("192.168.1.10:50051", "192.168.1.10:50051"),
            ("127.0.0.1:1", "127.0.0.1:1"),
            ("[::1]:65535", "[::1]:65535"),
            ("[2001:db8::10]:50051", "[2001:db8::10]:50051"),
            ("[fe80::1%3]:50051", "[fe80::1%3]:50051"),
            ("[::ffff:10.0.0.1]:5", "10.0.0.1:5"),
        ] {
            assert_eq!(read(text).unwrap().to_string(), same);
        }
    }

    #[test]
    fn what_is_no_address_is_told_apart() {
        use Code::{BadAddress, BadPort, UnusableAddress};
        for (text, code, part) in [
            ("", BadAddress, "empty"),
            (" 10.0.0.1:5", BadAddress, "blanks"),
            ("quic://10.0.0.1:5/x", BadAddress, "URL"),
            ("10.0.0.1", BadPort, "no port"),
            ("10.0.0.1:", BadPort, "no port"),
            ("10.0.0.1:0", BadPort, "port 0"),
            ("10.0.0.1:65536", BadPort, "`65536`"),
            ("10.0.0.1:-1", BadPort, "`-1`"),
            ("10.0.0.1:http", BadPort, "`http`"),
            ("10.0.0:5", BadAddress, "3 numbers"),
            ("10.0.0.256:5", BadAddress, "above 255"),
            ("10.0.0.01:5", BadAddress, "octal"),
            ("10.0..1:5", BadAddress, "lacks"),
            ("gpu-a.local:5", BadAddress, "no IP"),
            ("localhost", BadAddress, "no IP"),
            (":50051", BadAddress, "no IP"),
            ("::1", BadPort, "brackets"),
            ("2001:db8:0:0:0:0:0:0:1:5", BadAddress, "brackets"),
            ("[::1]", BadPort, "no port"),
            ("[::1]:", BadPort, "no port"),
            ("[::1]:x", BadPort, "`x`"),
            ("[::1", BadAddress, "not closed"),
            ("[::g]:5", BadAddress, "`::g`"),
            ("[fe80::1%eth0]:5", BadAddress, "number"),
            ("[fe80::1]:5", UnusableAddress, "link-local"),
            ("[2001:db8::1%2]:5", UnusableAddress, "link-local"),
            ("0.0.0.0:5", UnusableAddress, "all addresses"),
            ("0.1.2.3:5", UnusableAddress, "begin with 0"),
            ("[::]:5", UnusableAddress, "all addresses"),
            ("[::ffff:0.0.0.0]:5", UnusableAddress, "all addresses"),
            ("224.0.0.1:5", UnusableAddress, "multicast"),
            ("[ff02::1]:5", UnusableAddress, "multicast"),
            ("255.255.255.255:5", UnusableAddress, "broadcast"),
        ] {
            let fault = read(text).unwrap_err();
            assert_eq!(fault.code, code, "{text}: {fault:?}");
            assert!(fault.why.contains(part), "{text}: {fault:?}");
        }
    }
}
