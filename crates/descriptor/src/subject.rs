//! What a file is about: a dataflow, or the peers. The words that differ between the two before a key is read.

/// What a file is about, in the words of its diagnostics.
#[derive(Debug)]
pub(crate) struct Subject {
    /// What to name instead of a file that cannot be read.
    pub(crate) name_one: &'static str,
    /// What a file above the limit is asked.
    pub(crate) too_large: &'static str,
    /// What nests and has values: `a description`.
    pub(crate) noun: &'static str,
    /// What to do about a second document.
    pub(crate) several_documents: &'static str,
    /// The least that a file has.
    pub(crate) least: &'static str,
}

/// A dataflow's description.
pub(crate) const DATAFLOW: Subject = Subject {
    name_one: "name a dataflow's YAML file",
    too_large: "no dataflow is that large: is this another file?",
    noun: "a description",
    several_documents: "one file describes one dataflow: remove the `---`, or make two files",
    least: "a dataflow has at least `nodes:` with one node, such as `nodes: [{id: hello, path: ./hello.py}]`",
};

/// A file of peers.
pub(crate) const PEERS: Subject = Subject {
    name_one: "name a file of peers, such as `peers.yaml`",
    too_large: "no file of peers is that large: is this another file?",
    noun: "a file of peers",
    several_documents: "one file has all peers of a cluster: remove the `---`, and put them in one list",
    least: "it has at least `peers:` with one peer, such as `peers: [{id: node1, address: \"192.168.1.10:50051\"}]`",
};
