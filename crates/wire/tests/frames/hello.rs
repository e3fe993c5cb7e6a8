//! The first message of a conversation says which version it is in.

use dataflow_wire::client::CLIENT_PROTOCOL;
use dataflow_wire::node::NODE_PROTOCOL;
use dataflow_wire::{client, node};

#[test]
fn the_same_version_is_accepted() {
    assert!(node::check_hello(NODE_PROTOCOL).is_ok());
    assert!(client::check_hello(CLIENT_PROTOCOL).is_ok());
}

#[test]
fn another_version_is_refused_with_both_numbers_and_the_remedy() {
    for theirs in [0, NODE_PROTOCOL + 41, u32::MAX] {
        let error = node::check_hello(theirs).unwrap_err();
        assert_eq!((error.ours, error.theirs), (NODE_PROTOCOL, theirs));
        let text = error.to_string();
        assert!(text.contains(&format!("version {theirs} of the node protocol")));
        assert!(text.contains(&format!("this side version {NODE_PROTOCOL}")));
        assert!(text.contains("the same release"));
    }
    let text = client::check_hello(CLIENT_PROTOCOL + 1)
        .unwrap_err()
        .to_string();
    assert!(text.contains(&format!(
        "version {} of the command protocol",
        CLIENT_PROTOCOL + 1
    )));
    assert!(text.contains(&format!("this side version {CLIENT_PROTOCOL}")));
    assert!(text.contains("start it again"));
}
