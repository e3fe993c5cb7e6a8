//! Whether this machine lets us make hosts, asked once a process.

use std::io::Write;
use std::sync::OnceLock;

use super::namespace::Namespace;

/// Why there cannot be hosts here, when there cannot.
fn why_not() -> Option<&'static str> {
    static WHY_NOT: OnceLock<Option<String>> = OnceLock::new();
    WHY_NOT.get_or_init(|| tried().err()).as_deref()
}

/// Makes the smallest network: what each of the others is made of.
fn tried() -> Result<(), String> {
    let namespace =
        || Namespace::new().map_err(|error| format!("no network namespace can be made: {error}"));
    let (switch, host) = (namespace()?, namespace()?);
    switch.ip("link add switch type bridge")?;
    switch.ip(&format!(
        "link add port type veth peer name eth0 netns {}",
        host.path().display()
    ))?;
    host.ip("addr add fd77::1/64 dev eth0 nodad")
}

/// Whether there can be hosts. If not, says loudly that `test` is skipped, and why.
pub(super) fn is_allowed(test: &str) -> bool {
    let Some(why) = why_not() else {
        return true;
    };
    // Not through `eprintln!`, which is shown for tests that fail alone.
    let _ = writeln!(
        std::io::stderr(),
        "\n**** SKIPPED: {test}: it needs network namespaces (as root, with iproute2): {why}\n"
    );
    false
}
