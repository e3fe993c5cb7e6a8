//! What each node waits for at one moment, down to the one that all of a chain wait for.
//!
//! It explains and decides nothing: what is asked for here is read from the life cycle, the edges' headers and the
//! processes at slightly different moments, and any of it may have been written by a faulty process.

use dataflow_ids::{EdgeId, Lacks, LifeCycle, NodeIndex, SenderSleep};

use crate::inputs::{InputReading, Inputs};

/// The most links of a chain that are named: of a longer one the first, and the last, at which it hangs.
pub const LINKS_MAX: usize = 8;

/// A node at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeFacts {
    /// Its state, as it is shown.
    pub state: LifeCycle,
    /// Whether a process of it lives, as far as is known.
    pub has_process: bool,
    /// Whether its library has connected.
    pub is_connected: bool,
}

/// An edge at one moment. An edge's place in a list of these is its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EdgeFacts {
    /// Its sender.
    pub source: NodeIndex,
    /// Its receiver.
    pub target: NodeIndex,
    /// How many messages the receiver may hold.
    pub held_max: u64,
    /// Messages in its queue.
    pub queued: u64,
    /// Messages that the receiver holds.
    pub held: u64,
    /// How long ago the oldest message in the queue was sent, as far as that is known; any unit.
    pub oldest_ns: Option<u64>,
    /// What its sender sleeps for there, as it says itself, if it sleeps.
    pub sleeps_for: Option<SenderSleep>,
    /// Whether its sender has ended for good.
    pub is_closed: bool,
    /// Whether nobody owes a token of it after that.
    pub is_drained: bool,
    /// Whether its receiver has been ready once.
    pub is_receiver_ready: bool,
    /// Whether its receiver has ended for good.
    pub is_unread: bool,
}

/// What a node waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wait {
    /// A place where what it requires is left.
    Place,
    /// The word to start: all nodes are placed first.
    Start,
    /// Its models.
    Models,
    /// Its library: the process was started, or is being started, and nothing was heard of it.
    Library,
    /// Its first call of `recv`, `send` or `ready()`.
    FirstCall,
    /// Room: it cannot send, because of somebody.
    Room(Chain),
    /// The end of its own process, which was told to end or has nothing left to read.
    Exit,
    /// The tokens of these edges, which others owe, and only then is it over. There is none for a moment, when the last
    /// one has just come back.
    Tokens(Vec<EdgeId>),
    /// The time of its next start.
    Backoff,
    /// A person, who has stopped it.
    Person,
    /// Its peer.
    Peer,
}

/// Who keeps a node from sending, and who keeps that one from receiving, and so on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// Whom it waits for, then whom that one waits for: never empty, at most [`LINKS_MAX`].
    pub links: Vec<Link>,
    /// How many are left out before the last of them.
    pub left_out: usize,
    /// Where it ends.
    pub end: ChainEnd,
}

/// One step of a chain: its sender waits for its receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// The edge.
    pub edge: EdgeId,
    /// What is missing there.
    pub lacks: Lacks,
}

/// Where a chain ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChainEnd {
    /// At the receiver of its last link, which waits for room of nobody.
    There,
    /// Nowhere: the last link leads to one that is in it already. So does one that is too long to be named, if who is not
    /// named goes round.
    Circle,
}

impl EdgeFacts {
    /// What its sender lacks there, if it waits because of this edge and is in this state.
    ///
    /// The sender says what it sleeps for. The counts were read at another moment: they only tell apart what it says with one
    /// word.
    #[must_use]
    pub fn lacks(&self, source: LifeCycle) -> Option<Lacks> {
        if self.is_closed || self.is_unread || !may_send(source) {
            return None;
        }
        match self.sleeps_for? {
            // It is being woken, and does not know yet.
            SenderSleep::Readiness if self.is_receiver_ready => None,
            SenderSleep::Readiness => Some(Lacks::Readiness),
            SenderSleep::Queue => Some(Lacks::Queue),
            SenderSleep::Release if self.held > self.held_max => Some(Lacks::Slots),
            // All has been given back by now.
            SenderSleep::Release if self.queued == 0 && self.held == 0 => None,
            SenderSleep::Release => Some(Lacks::Memory),
        }
    }
}

/// Whether a node in this state may be in a call of `send` or `loan`.
fn may_send(state: LifeCycle) -> bool {
    matches!(
        state,
        LifeCycle::Starting | LifeCycle::Ready | LifeCycle::Running | LifeCycle::Stopping
    )
}

/// What each of these nodes waits for, in their order; nothing for one that works, or waits for its next message.
///
/// It takes a time that grows with the number of nodes and edges, and no faster. An edge between nodes that are not
/// there explains nothing.
#[must_use]
pub fn explain(nodes: &[NodeFacts], edges: &[EdgeFacts]) -> Vec<Vec<Wait>> {
    let world = World::new(nodes, edges);
    (nodes.iter().enumerate())
        .map(|(node, facts)| world.waits(node, facts))
        .collect()
}

/// The nodes and edges, with what follows from all of them together.
struct World<'a> {
    edges: &'a [EdgeFacts],
    /// The links that each node waits on.
    blocked_on: Vec<Vec<Link>>,
    /// The edges from each node that have closed and on which something is owed.
    owed: Vec<Vec<EdgeId>>,
    /// How the edges to each node stand.
    inputs: Vec<Vec<InputReading>>,
    /// Where the chain from each node ends.
    ends: Vec<End>,
}

/// Where the chain from a node ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// At the node itself.
    Here,
    /// After so many links, with this one.
    After(usize, Link),
    /// In a circle.
    Circle,
}

impl<'a> World<'a> {
    fn new(nodes: &[NodeFacts], edges: &'a [EdgeFacts]) -> World<'a> {
        let mut world = World {
            edges,
            blocked_on: vec![Vec::new(); nodes.len()],
            owed: vec![Vec::new(); nodes.len()],
            inputs: vec![Vec::new(); nodes.len()],
            ends: Vec::new(),
        };
        for (edge, facts) in (0..).map(EdgeId).zip(edges) {
            let (source, target) = (facts.source.0 as usize, facts.target.0 as usize);
            if source.max(target) >= nodes.len() {
                continue;
            }
            world.inputs[target].push(InputReading {
                is_closed: facts.is_closed,
                queued: facts.queued,
            });
            if let Some(lacks) = facts.lacks(nodes[source].state) {
                world.blocked_on[source].push(Link { edge, lacks });
            }
            if facts.is_closed && !facts.is_drained && (facts.queued > 0 || facts.held > 0) {
                world.owed[source].push(edge);
            }
        }
        world.ends = world.find_ends();
        world
    }

    fn target(&self, link: Link) -> usize {
        self.edges[link.edge.0 as usize].target.0 as usize
    }

    /// The link that a chain follows from a node: where a message has waited for the longest time.
    fn next(&self, node: usize) -> Option<Link> {
        let oldest = |link: &&Link| self.edges[link.edge.0 as usize].oldest_ns;
        // Of equals the last one of what is iterated counts: so the first one of the description.
        self.blocked_on[node]
            .iter()
            .rev()
            .max_by_key(oldest)
            .copied()
    }

    /// Follows every chain once: who has been seen is not followed again.
    fn find_ends(&self) -> Vec<End> {
        let mut ends: Vec<Option<End>> = vec![None; self.blocked_on.len()];
        let mut is_on_path = vec![false; self.blocked_on.len()];
        for start in 0..self.blocked_on.len() {
            let mut path: Vec<(usize, Link)> = Vec::new();
            let mut at = start;
            let mut end = loop {
                if let Some(end) = ends[at] {
                    break end;
                }
                if is_on_path[at] {
                    break End::Circle;
                }
                let Some(link) = self.next(at) else {
                    ends[at] = Some(End::Here);
                    break End::Here;
                };
                is_on_path[at] = true;
                path.push((at, link));
                at = self.target(link);
            };
            for (node, link) in path.into_iter().rev() {
                end = match end {
                    End::Here => End::After(1, link),
                    End::After(links, last) => End::After(links + 1, last),
                    End::Circle => End::Circle,
                };
                ends[node] = Some(end);
                is_on_path[node] = false;
            }
        }
        (ends.into_iter())
            .map(|end| end.unwrap_or(End::Here))
            .collect()
    }

    /// The chain that begins with a link of a node.
    fn chain(&self, node: usize, first: Link) -> Chain {
        let mut links = vec![first];
        let mut seen = vec![node];
        let mut at = self.target(first);
        while links.len() < LINKS_MAX
            && !seen.contains(&at)
            && let Some(link) = self.next(at)
        {
            links.push(link);
            seen.push(at);
            at = self.target(link);
        }
        if seen.contains(&at) {
            let (left_out, end) = (0, ChainEnd::Circle);
            return Chain {
                links,
                left_out,
                end,
            };
        }
        let (left_out, end) = match self.ends[self.target(first)] {
            End::Here => (0, ChainEnd::There),
            End::Circle => (0, ChainEnd::Circle),
            End::After(more, last) => {
                let left_out = (more + 1).saturating_sub(links.len());
                if left_out > 0
                    && let Some(last_named) = links.last_mut()
                {
                    *last_named = last;
                }
                (left_out, ChainEnd::There)
            }
        };
        Chain {
            links,
            left_out,
            end,
        }
    }

    fn waits(&self, node: usize, facts: &NodeFacts) -> Vec<Wait> {
        let blocked_on = self.blocked_on[node].iter();
        let blocked: Vec<Wait> = blocked_on
            .map(|link| Wait::Room(self.chain(node, *link)))
            .collect();
        if !blocked.is_empty() {
            return blocked;
        }
        let inputs = Inputs::of(self.inputs[node].iter().copied());
        match facts.state {
            LifeCycle::Declared => vec![Wait::Place],
            LifeCycle::Placed => vec![Wait::Start],
            LifeCycle::Downloading => vec![Wait::Models],
            LifeCycle::Starting if facts.is_connected => vec![Wait::FirstCall],
            LifeCycle::Starting => vec![Wait::Library],
            LifeCycle::Ready | LifeCycle::Running
                if inputs == Inputs::AllRead && facts.has_process =>
            {
                vec![Wait::Exit]
            }
            LifeCycle::Ready | LifeCycle::Running => Vec::new(),
            LifeCycle::Stopping => vec![Wait::Exit],
            LifeCycle::Draining => vec![Wait::Tokens(self.owed[node].clone())],
            LifeCycle::Backoff => vec![Wait::Backoff],
            LifeCycle::Parked => vec![Wait::Person],
            LifeCycle::Lost => vec![Wait::Peer],
            LifeCycle::Finished | LifeCycle::Failed => Vec::new(),
        }
    }
}
