//! Who has a port that somebody else wants.

use std::fs;

/// How a port is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    /// By QUIC.
    Udp,
    /// By somebody who listens.
    Tcp,
}

/// How the tables of the kernel call a socket that listens.
const LISTENS: &str = "0A";

/// Which process has the port, as far as this user may see.
pub(crate) fn holder_of(port: u16, transport: Transport) -> Option<String> {
    let tables = match transport {
        Transport::Udp => ["/proc/net/udp", "/proc/net/udp6"],
        Transport::Tcp => ["/proc/net/tcp", "/proc/net/tcp6"],
    };
    let inode = tables.iter().find_map(|table| {
        let table = fs::read_to_string(table).ok()?;
        table.lines().skip(1).find_map(|line| {
            let mut fields = line.split_ascii_whitespace();
            let local = fields.nth(1)?;
            let held = u16::from_str_radix(local.rsplit_once(':')?.1, 16).ok()?;
            let state = fields.nth(1)?;
            let is_it = held == port && (transport == Transport::Udp || state == LISTENS);
            // Field 9; four are taken already.
            is_it.then(|| fields.nth(5).map(str::to_owned))?
        })
    })?;
    let link = format!("socket:[{inode}]");
    fs::read_dir("/proc").ok()?.flatten().find_map(|process| {
        let pid: u32 = process.file_name().to_str()?.parse().ok()?;
        let descriptors = fs::read_dir(process.path().join("fd")).ok()?;
        let holds = descriptors.flatten().any(|descriptor| {
            fs::read_link(descriptor.path()).is_ok_and(|target| target.as_os_str() == link.as_str())
        });
        if !holds {
            return None;
        }
        let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
        Some(format!("{} (pid {pid})", name.trim_end().escape_debug()))
    })
}
